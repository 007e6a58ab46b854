"""The template environment of the site: everything is escaped and nothing invisible reaches a page unseen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

import opcov
from opcov.coverage import Coverage
from opcov.explanations import summary
from opcov.judged import Counts, percentage
from opcov.problems import Slug, UsageError
from opcov.reports.html.names import anchor, graph_page, model_page, op_page
from opcov.verdict import Status
from opcov.wording import counted, source_place


@cache
def environment() -> Environment:
    """The one environment that all pages are made with.

    Every value that a template prints goes through `visible` and is then escaped; markup that a macro made is left.
    """
    made = Environment(
        loader=PackageLoader("opcov.reports.html"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalized,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
    made.filters.update(
        lower_first=lambda text: text[:1].lower() + text[1:],
        anchor=anchor,
        bar=bar,
        breakable=breakable,
        counted=counted,
        graph_page=graph_page,
        grouped_digits=grouped_digits,
        meaning=meaning,
        model_page=model_page,
        numbers=numbers,
        op_page=op_page,
        place=source_place,
        underlined=underlined,
        visible=visible,
    )
    made.globals.update(opcov_version=opcov.__version__, percentage=percentage)
    return made


def render_page(
    template: str, coverage: Coverage, *, root: str, crumbs: Sequence[tuple[str, str]], **values: Any
) -> str:
    """One page of the site.

    Args:
        template: name of a template that extends `base.html`.
        coverage: whose versions the header names.
        root: the way from the page to the site's root: "" on `index.html`, "../" on a page in a folder.
        crumbs: the way to the page from the start page on: text, and path from the site's root; the last is the page.
        values: what else the template needs.
    """
    versions = dict(sorted(coverage.versions.items()))
    return environment().get_template(template).render(root=root, crumbs=tuple(crumbs), versions=versions, **values)


def static_files() -> dict[str, str]:
    """The style sheets and scripts of the site, by their paths in it."""
    folder = files("opcov.reports.html") / "static"
    return {
        f"static/{file.name}": file.read_text(encoding="utf-8")
        for file in sorted(folder.iterdir(), key=lambda file: file.name)
        if file.name.endswith((".css", ".js"))
    }


def visible(text: str) -> str:
    """The text with control characters, bidi overrides and the like spelled out as Python escapes."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode("ascii") for char in text
    )


def breakable(text: str) -> Markup:
    """A dotted name or a path, or a member of an enum, that may wrap behind its dots, slashes and underscores."""
    marked = escape(visible(text.value if isinstance(text, Enum) else text))
    for separator in "._/":
        marked = marked.replace(separator, Markup(f"{separator}<wbr>"))
    return marked


def grouped_digits(number: int) -> Markup:
    """A number with its thousands set apart by a narrow space that does not wrap."""
    return Markup(f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}"))


def meaning(word: Enum) -> str:
    """The first sentence of what is explained of a status, a reason, a route and the like; "" where nothing is."""
    # By kind and text: members of different enums are equal where their texts are.
    return _summary(str(word.value), "Problem" if isinstance(word, Slug) else type(word).__name__)


@cache
def _summary(name: str, kind: str) -> str:
    try:
        return summary(name, kind)
    except UsageError:
        return ""


def numbers(values: Iterable[int]) -> str:
    """Ascending numbers with runs folded.

    >>> numbers([0, 1, 2, 3, 5])
    '0\N{EN DASH}3, 5'
    """
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][1] + 1:
            runs[-1][1] = value
        else:
            runs.append([value, value])
    return ", ".join(str(first) if first == last else f"{first}\N{EN DASH}{last}" for first, last in runs)


def bar(counts: Counts) -> list[tuple[str, str, str]]:
    """The parts of a bar of nodes by status: name of the status, start and width in percent.

    A status that occurs is at least one percent wide, so that a single crash can be seen.
    """
    found = [(status.value, getattr(counts, status.value)) for status in Status]
    widths = {name: max(1.0, 100 * number / counts.nodes) for name, number in found if number}
    scale = 100 / sum(widths.values()) if widths else 1
    parts, start = [], 0.0
    for name, width in widths.items():
        parts.append((name, f"{start:.2f}", f"{width * scale:.2f}"))
        start += width * scale
    return parts


def underlined(label: str, key: str) -> Markup:
    """The heading of a column with the letter underlined that sorts by it; "" for none."""
    before, letter, after = label.partition(key) if key else (label, "", "")
    return Markup("{}<u>{}</u>{}").format(before, letter, after) if letter else escape(label)


def _finalized(value: Any) -> Any:
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return visible(value)
