"""The ops that are not supported against the models that have them: who would gain from which op."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opcov.coverage import Coverage, OpRow
from opcov.problems import UsageError
from opcov.wording import counted, one_line

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_COUNTED: Mapping[str, tuple[str, Callable[[OpRow], int]]] = {
    "nodes": ("nodes that are not supported", lambda row: row.counts.not_supported),
    "graphs": ("distinct graphs with such a node", lambda row: row.graphs),
    "regions": ("fallback regions and lost graphs that hold such a node", lambda row: row.impact[1]),
    "sole": ("fallback regions and lost graphs that go with the op alone", lambda row: row.impact[0]),
}
"""What a cell may count, in words and from the row of an op over one model."""

_MOST_OPS = 40
_MOST_MODELS = 40
_MOST_LETTERS = 60


@dataclass(frozen=True, slots=True)
class Matrix:
    """Ops that are not supported against models.

    Attributes:
        value: what the cells count: `nodes`, `graphs`, `regions` or `sole`.
        ops: those not supported somewhere, in the order of `Scan.ops`.
        models: in natural order.
        cells: for each op one number a model, 0 where the model does not have it; None for a model without graphs, of
            which nothing is known.

    >>> import opcov
    >>> matrix = opcov.scan("fixtures/gm", include=["odd/*"]).matrix()
    >>> matrix.models
    ('odd/serving-blocks', 'odd/stream-overlap', 'odd/unknown-activation')
    >>> dict(zip(matrix.ops, matrix.cells))["torch.cuda.set_stream"]
    (0, 2, None)
    """

    value: str
    ops: tuple[str, ...]
    models: tuple[str, ...]
    cells: tuple[tuple[int | None, ...], ...]

    def __repr__(self) -> str:
        return f"<Matrix of {self.value}: {counted(len(self.ops), 'op')} x {counted(len(self.models), 'model')}>"

    @property
    def frame(self) -> pd.DataFrame:
        """The cells as a DataFrame of `Int64`, with the ops as index and the models as columns.

        >>> import opcov
        >>> frame = opcov.scan("fixtures/gm", include=["odd/*"]).matrix().frame
        >>> int(frame.loc["torch.cuda.set_stream", "odd/stream-overlap"])
        2
        """
        import pandas as pd

        index = pd.Index(list(self.ops), name="op", dtype="string")
        columns = pd.Index(list(self.models), name="model", dtype="string")
        return pd.DataFrame([list(row) for row in self.cells], index=index, columns=columns).astype("Int64")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draws it with matplotlib: the darker a cell, the more it counts; models without graphs are hatched.

        Args:
            ax: where to draw; without it a new figure of pyplot.

        Returns:
            The axes, for titles and the like.

        Raises:
            UsageError: matplotlib is not installed, or there is nothing to draw.

        >>> import opcov
        >>> from matplotlib.figure import Figure
        >>> scan = opcov.scan("fixtures/gm", include=["odd/*"])
        >>> axes = scan.matrix().plot(Figure().subplots())
        >>> [label.get_text() for label in axes.get_xticklabels()]
        ['odd/serving-blocks', 'odd/stream-overlap', 'odd/unknown-activation']
        """
        if not self.ops:
            raise UsageError("there is nothing to draw: no op of this scan is unsupported")
        try:
            import matplotlib as mpl
        except ImportError as error:
            raise UsageError("drawing needs matplotlib: pip install opcov[plot]") from error
        if ax is None:
            from matplotlib import pyplot as plt

            size = (3 + 0.4 * len(self.models), 2 + 0.25 * len(self.ops))
            _, ax = plt.subplots(figsize=size, layout="constrained")
        top = max(1, self._largest)
        numbers = [[math.nan if cell is None else math.log1p(cell) for cell in row] for row in self.cells]
        ax.patch.set(hatch="///", edgecolor="0.7")  # shows through where there is no number
        ax.imshow(numbers, cmap=mpl.colormaps["Oranges"], vmin=0, vmax=math.log1p(top), aspect="auto")
        # A name of a model or an op is text, never a formula that matplotlib might fail to set.
        ax.set_xticks(range(len(self.models)), [*map(_label, self.models)], rotation=90, parse_math=False)
        ax.set_yticks(range(len(self.ops)), [*map(_label, self.ops)], parse_math=False)
        for y, row in enumerate(self.cells):
            for x, cell in enumerate(row):
                if cell:
                    dark = math.log1p(cell) > 0.6 * math.log1p(top)
                    ax.text(x, y, str(cell), ha="center", va="center", fontsize=7, color="white" if dark else "black")
        ax.set_title(f"ops not supported: {_COUNTED[self.value][0]}", fontsize="medium")
        return ax

    @property
    def _largest(self) -> int:
        return max((cell or 0 for row in self.cells for cell in row), default=0)

    def _repr_html_(self) -> str:
        """A table whose cells are the warmer the more they count; the first ops and models where there are many."""
        if not self.ops:
            return "<p>No op is unsupported.</p>"
        ops, models = self.ops[:_MOST_OPS], self.models[:_MOST_MODELS]
        caption = f"Ops not supported by model: {_COUNTED[self.value][0]}; - for a model without graphs"
        left_out = [
            counted(len(every) - len(shown), noun)
            for every, shown, noun in ((self.ops, ops, "op"), (self.models, models, "model"))
            if len(every) > len(shown)
        ]
        if left_out:
            caption += f"; {' and '.join(left_out)} more in .frame"
        heads = "".join(f'<th scope="col" style="{_UPRIGHT}">{_text(model)}</th>' for model in models)
        rows = "".join(
            f'<tr><th scope="row" style="text-align:left">{_text(op)}</th>'
            f"{''.join(map(self._cell, row[: len(models)]))}</tr>"
            for op, row in zip(ops, self.cells, strict=False)
        )
        return (
            f'<table><caption style="text-align:left">{_text(caption, whole=True)}</caption>'
            f'<thead><tr><th scope="col">op</th>{heads}</tr></thead><tbody>{rows}</tbody></table>'
        )

    def _cell(self, number: int | None) -> str:
        if not number:
            return "<td>-</td>" if number is None else "<td></td>"
        # Little colour enough for the text above it in light and in dark notebooks.
        strength = 0.1 + 0.4 * math.log1p(number) / math.log1p(self._largest)
        return f'<td style="text-align:right;background:rgba(230,110,30,{strength:.2f})">{number}</td>'


_UPRIGHT = "writing-mode:vertical-rl;transform:rotate(180deg);text-align:left"


def _label(text: str) -> str:
    text = one_line(text)
    return text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 1]}…"


def _text(text: str, *, whole: bool = False) -> str:
    return html.escape(one_line(text) if whole else _label(text))


def matrix_of(coverage: Coverage, value: str = "nodes") -> Matrix:
    """Makes the matrix of a coverage.

    Args:
        coverage: what a scan found.
        value: what the cells count: `nodes`, `graphs`, `regions` or `sole`.

    Raises:
        UsageError: the value is not known.
    """
    if value not in _COUNTED:
        raise UsageError(f"a matrix cannot count {value!r}; it counts: {', '.join(_COUNTED)}")
    _, count = _COUNTED[value]
    ops = tuple(row.op for row in coverage.op_rows if row.counts.not_supported)
    models = tuple(model.name for model in coverage.ordered_models)
    columns: list[Mapping[str, int] | None] = []
    for name in models:
        part = coverage.of_model(name)
        found = {row.op: count(row) for row in part.op_rows if row.counts.not_supported}
        columns.append(found if any(body.graphs for body in part.bodies.values()) else None)
    cells = tuple(tuple(None if column is None else column.get(op, 0) for column in columns) for op in ops)
    return Matrix(value, ops, models, cells)
