"""Reads the tables of an HTML text back as a browser would show them."""

from __future__ import annotations

from html.parser import HTMLParser


class _Tables(HTMLParser):
    """Gathers the cells of all tables, and the first link of each."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str | None] = []
        self.texts: list[list[list[str]]] = []
        self.links: list[list[list[str]]] = []
        self.outside_code = ""
        self._inside: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.ids.append(dict(attrs).get("id"))
            self.texts.append([])
            self.links.append([])
        elif tag == "tr":
            self.texts[-1].append([])
            self.links[-1].append([])
        elif tag in ("td", "th"):
            self.texts[-1][-1].append("")
            self.links[-1][-1].append("")
            self._inside.add("cell")
        elif tag == "code" or (tag == "a" and "cell" in self._inside and not self.links[-1][-1][-1]):
            self._inside.add(tag)

    def handle_endtag(self, tag: str) -> None:
        self._inside.discard("cell" if tag in ("td", "th") else tag)

    def handle_data(self, data: str) -> None:
        if "cell" in self._inside:
            self.texts[-1][-1][-1] += data
            if "a" in self._inside:
                self.links[-1][-1][-1] += data
        if "code" not in self._inside:
            self.outside_code += data


def tables_in(html: str) -> list[list[list[str]]]:
    """The texts of the cells of each table, row by row."""
    return _read(html).texts


def table_with_id(html: str, name: str) -> list[dict[str, str]]:
    """The rows of one table by their headings; of a cell with links the text of the first one."""
    found = _read(html)
    place = found.ids.index(name)
    headings = found.texts[place][0]
    return [
        {
            heading: link or text.strip()
            for heading, link, text in zip(headings, found.links[place][row], found.texts[place][row], strict=True)
        }
        for row in range(1, len(found.texts[place]))
    ]


def outside_code(html: str) -> str:
    """The text that does not stand in code."""
    return _read(html).outside_code


def _read(html: str) -> _Tables:
    found = _Tables()
    found.feed(html)
    return found
