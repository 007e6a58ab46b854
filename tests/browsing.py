"""A page in a real browser that remembers all that must not happen in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Dialog, Locator, Page, Request


@dataclass
class Watched:
    """A page, and what happened in it that must not happen."""

    page: Page
    site: Path
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def open(self, path: str, fragment: str = "", wait_until: Literal["load", "domcontentloaded"] = "load") -> Page:
        """Goes to a page of the site."""
        self.page.goto((self.site / path).as_uri() + fragment, wait_until=wait_until)
        return self.page

    def listen(self) -> None:
        """Starts to write down errors, requests that leave the site, and dialogs."""
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", self._on_request)
        self.page.on("dialog", self._on_dialog)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith((self.site.as_uri(), "data:", "about:")):
            self.requests.append(request.url)

    def _on_dialog(self, dialog: Dialog) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()


def watch(browser: Browser, site: Path, **options: Any) -> Iterator[Watched]:
    """A page in a fresh profile; at the end nothing bad may have happened."""
    # With less motion pages jump to places instead of gliding there, and no test waits for that.
    usual = {"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce"}
    context = browser.new_context(**{**usual, **options})
    found = Watched(context.new_page(), site)
    found.listen()
    yield found
    context.close()
    assert found.errors == [], found.errors
    assert found.requests == [], found.requests
    assert found.dialogs == [], found.dialogs


def expect(one: Page | Locator) -> Any:
    """Playwright's assertions, which wait until they hold."""
    from playwright import sync_api

    return sync_api.expect(one)


def heading(page: Page, table: str, text: str) -> Locator:
    """The heading of a column of a table, by the table's id and the heading's text."""
    found = page.locator(f"#{table} thead th")
    return found.nth(found.all_text_contents().index(text))


def address(page: Page) -> str:
    """Where a page says it is: `page.url` follows a change of the fragment only some time later."""
    found: str = page.evaluate("location.href")
    return found


COLUMN = """([table, heading]) => {
    const found = document.getElementById(table);
    const place = [...found.tHead.rows[0].cells].findIndex(cell => cell.textContent === heading);
    return [...found.tBodies[0].rows].filter(row => row.getClientRects().length).map(row => {
        const cell = row.cells[place];
        return (cell.querySelector('a[href]') || cell).textContent.trim();
    });
}"""


def column(page: Page, table: str, heading: str) -> list[str]:
    """The cells below a heading in the rows that are shown, as a reader sees them; of a cell with links the first."""
    found: list[str] = page.evaluate(COLUMN, [table, heading])
    return found


def numbers(page: Page, table: str, heading: str) -> list[int]:
    """A column of whole numbers."""
    return [int("".join(filter(str.isdecimal, text))) for text in column(page, table, heading)]


def is_free(page: Page, selector: str) -> None:
    """Waits until an element is in the window and nothing lies over it."""
    page.wait_for_function(
        """selector => {
            const found = document.querySelector(selector);
            const { left, top, width, height } = found.getBoundingClientRect();
            const hit = document.elementFromPoint(left + Math.min(width / 2, 100), top + Math.min(height / 2, 12));
            return hit !== null && (found.contains(hit) || hit.contains(found) && hit.closest('tr, li') !== null);
        }""",
        arg=selector,
        timeout=5_000,
    )
