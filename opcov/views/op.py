"""One op of a scan: its call shapes, its nodes, where it is and which code it comes from."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from opcov.coverage import OpRow
from opcov.document import LARGEST_NUMBER
from opcov.views.notebook import op_html
from opcov.wording import counted

if TYPE_CHECKING:
    import pandas as pd

    from opcov.views.scan import Scan


class OpView:
    """One op of a scan.

    Attributes:
        name: its canonical name.

    >>> import opcov
    >>> opcov.scan("fixtures/gm", include=["odd/stream-overlap"]).op("set_stream")
    <OpView of 'torch.cuda.set_stream': unsupported, 0 of 2 nodes supported>
    """

    def __init__(self, scan: Scan, row: OpRow) -> None:
        """Keeps what it is a view of.

        Args:
            scan: all of it.
            row: the op over the whole scan.
        """
        self.name = row.op
        self._scan = scan
        self._row = row

    def __repr__(self) -> str:
        counts = self._row.counts
        nodes = f"{counts.supported} of {counted(counts.nodes, 'node')} supported"
        return f"<OpView of {self.name!r}: {self._row.status.value}, {nodes}>"

    def _repr_html_(self) -> str:
        variants = [row for row in self._scan.coverage.variant_rows if row.op == self.name]
        return op_html(self._row, variants)

    @property
    def row(self) -> pd.Series[Any]:
        """Its row of `Scan.ops`.

        >>> import opcov
        >>> opcov.scan("fixtures/gm", include=["odd/stream-overlap"]).op("set_stream").row.example
        'torch.cuda.set_stream(stream)'
        """
        return self.ops.iloc[0]

    @property
    def ops(self) -> pd.DataFrame:
        """`Scan.ops`, of which only its row.

        >>> import opcov
        >>> len(opcov.scan("fixtures/gm", include=["odd/stream-overlap"]).op("set_stream").ops)
        1
        """
        return _where(self._scan.ops, "op", {self.name})

    @property
    def variants(self) -> pd.DataFrame:
        """Those rows of `Scan.variants` that are of this op.

        >>> import opcov
        >>> scan = opcov.scan("fixtures/gm", include=["odd/stream-overlap"])
        >>> scan.op("torch.nn.functional.silu").variants.variant.tolist()
        ['torch.nn.functional.silu(T)']
        """
        return _where(self._scan.variants, "op", {self.name})

    @property
    def nodes(self) -> pd.DataFrame:
        """Those rows of `Scan.nodes` that are of this op.

        >>> import opcov
        >>> opcov.scan("fixtures/gm", include=["odd/stream-overlap"]).op("set_stream").nodes.node.tolist()
        ['set_stream', 'set_stream_1']
        """
        return _where(self._scan.nodes, "op", {self.name})

    @property
    def graphs(self) -> pd.DataFrame:
        """Those rows of `Scan.graphs` that hold the op, supported or not.

        >>> import opcov
        >>> opcov.scan("fixtures/gm", include=["odd/stream-overlap"]).op("silu").graphs.form.tolist()
        ['unsplit']
        """
        return _where(self._scan.graphs, "digest", set(self.nodes["digest"]))

    @property
    def models(self) -> pd.DataFrame:
        """Those rows of `Scan.models` that hold the op, supported or not.

        >>> import opcov
        >>> opcov.scan("fixtures/gm", include=["odd/*"]).op("set_stream").models.model.tolist()
        ['odd/stream-overlap']
        """
        return _where(self._scan.models, "model", set(self.graphs["model"]))

    @property
    def sources(self) -> pd.DataFrame:
        """The lines of the models' code that its nodes of the gravest status come from, the commonest first.

        The columns are `file` as recorded, the 1-based `line`, `function`, `code` (what stands there) and `nodes`, how
        many come from it; texts are `string`, numbers `Int64`, missing where not known.

        >>> import opcov
        >>> sources = opcov.scan("fixtures/gm", include=["odd/stream-overlap"]).op("set_stream").sources
        >>> sources.code.tolist()
        ['torch.ops.fixture.mark_set_stream(side)', 'torch.ops.fixture.mark_set_stream(current)']
        """
        import pandas as pd

        rows = [
            (source.file, min(source.line, LARGEST_NUMBER) or None, source.function, source.code, source.nodes)
            for source in self._row.sources
        ]
        dtypes = {"file": "string", "line": "Int64", "function": "string", "code": "string", "nodes": "Int64"}
        columns = zip(*rows, strict=True) if rows else [()] * len(dtypes)
        # Each column gets its type at once: numbers of which some are missing would be floats in between.
        typed = {
            name: pd.Series(cells, dtype=dtype) for (name, dtype), cells in zip(dtypes.items(), columns, strict=True)
        }
        return pd.DataFrame(typed)


def _where(frame: pd.DataFrame, column: str, values: Collection[object]) -> pd.DataFrame:
    return frame[frame[column].isin(list(values))].reset_index(drop=True)
