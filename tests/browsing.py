"""A page in a real browser that remembers all that must not happen in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Request


@dataclass
class Watched:
    """A page, and what happened in it that must not happen."""

    page: Page
    site: Path
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def open(self, path: str, fragment: str = "") -> Page:
        """Goes to a page of the site."""
        self.page.goto((self.site / path).as_uri() + fragment)
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
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
    found = Watched(context.new_page(), site)
    found.listen()
    yield found
    context.close()
    assert found.errors == []
    assert found.requests == []
    assert found.dialogs == []
