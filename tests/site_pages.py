"""Reads the pages of the site back as trees, as far as tests ask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Union

VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())
CLOSED_BY = {
    "td": ("td", "th"), "th": ("td", "th"), "tr": ("td", "th", "tr"), "tbody": ("td", "th", "tr", "thead", "tbody"),
    "thead": (), "li": ("li",), "dt": ("dt", "dd"), "dd": ("dt", "dd"),
}  # fmt: skip
"""Open elements that the start of another one ends: their end tags may be left out."""


@dataclass
class Element:
    """An element with its attributes and what is in it."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Union[Element, str]] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All text in it, as the markup has it."""
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    @property
    def words(self) -> str:
        """All text in it, with white space as a browser shows it."""
        return " ".join(self.text.split())

    @property
    def classes(self) -> list[str]:
        return self.attributes.get("class", "").split()

    def all(self, tag: str = "", **attributes: str) -> Iterator[Element]:
        """The elements in it with a tag and with attributes, in the order of the text."""
        for child in self.children:
            if isinstance(child, Element):
                if tag in ("", child.tag) and attributes.items() <= child.attributes.items():
                    yield child
                yield from child.all(tag, **attributes)

    def one(self, tag: str = "", **attributes: str) -> Element:
        """The only such element."""
        (found,) = self.all(tag, **attributes)
        return found

    def rows(self) -> list[list[Element]]:
        """The cells of the body of a table."""
        return [[cell for cell in row.children if isinstance(cell, Element)] for row in self.one("tbody").all("tr")]

    def column(self, heading: str) -> list[str]:
        """The cells of a table below a heading, as text; of a number the one without grouped digits."""
        (row,) = self.one("thead").all("tr")
        headings = [cell.words for cell in row.children if isinstance(cell, Element)]
        place = headings.index(heading)
        return [cells[place].attributes.get("data-sort", cells[place].words) for cells in self.rows()]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("")
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        while self.open[-1].tag in CLOSED_BY.get(tag, ()):
            self.open.pop()
        element = Element(tag, {name: value or "" for name, value in attrs})
        assert len(attrs) == len(element.attributes), f"an attribute stands twice in {tag}"
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].children.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        while self.open[-1].tag != tag and self.open[-1].tag in CLOSED_BY:
            self.open.pop()
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def read_page(text: str) -> Element:
    """The tree of a page; fails where its tags do not match."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == [reader.root], f"<{reader.open[-1].tag}> is not closed"
    return reader.root
