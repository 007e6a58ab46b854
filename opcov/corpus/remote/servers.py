"""Asks servers through fsspec: what lies below a URL, whether it has changed, and its bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from fsspec import get_filesystem_class
from fsspec.callbacks import Callback
from fsspec.core import url_to_fs
from fsspec.registry import available_protocols

from opcov.corpus.remote.address import protocol_of, scrubbed, shown
from opcov.corpus.remote.transfer import NoAnswer, Refused, Watch, in_parallel, patiently, persistently
from opcov.graphfile import printable, reason_of
from opcov.problems import UsageError

LISTING_SECONDS = 600.0
"""Seconds that listing a corpus may take. A bucket lists about a thousand files a second."""
FOLDER_LIMIT = 10_000
"""Folders of a site that are listed. A corpus has a few for each model; a site that makes up links has no end."""

_EXTRA = "pip install 'opcov[remote]'"
_SERVED = ("s3", "s3a", "gs", "gcs", "hf", "http", "https")
_COMMON = "s3, gs, hf, https"
_ADVICE = {
    "s3": "set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, for a public bucket FSSPEC_S3_ANON=true",
    "gs": "run `gcloud auth application-default login`, for a public bucket set FSSPEC_GS_TOKEN=anon",
    "hf": "set HF_TOKEN or run `hf auth login`",
}
_NO_CREDENTIALS = frozenset(
    "NoCredentialsError PartialCredentialsError CredentialRetrievalError TokenRetrievalError SSOTokenLoadError "
    "UnauthorizedSSOTokenError DefaultCredentialsError RefreshError GatedRepoError LocalTokenNotFoundError".split()
)
_NOT_THERE = frozenset("RepositoryNotFoundError RevisionNotFoundError EntryNotFoundError".split())
_SAYS_NOTHING = frozenset(
    {"name", "Key", "type", "size", "Size", "url", "mimetype", "partial", "time", "atime", "StorageClass"}
)
"""What a server says of a file that stays when its content changes, or changes when its content stays."""


@dataclass(frozen=True, slots=True)
class Item:
    """A file on a server.

    Attributes:
        path: as the server calls it.
        size: in bytes; None where the listing does not tell.
        state: differs when the content does; None where the server does not tell.
        asked: whether size and state are as the server has them, False for those that a listing does not tell.
    """

    path: str
    size: int | None
    state: str | None
    asked: bool = True


class Server:
    """The file system of one URL."""

    def __init__(self, address: str) -> None:
        """Finds out who serves the URL; nothing is asked yet.

        Args:
            address: the URL.

        Raises:
            UsageError: nobody does, or a package is missing.
        """
        self.address = address
        protocol = protocol_of(address)
        assert protocol is not None
        self._protocol = protocol
        if protocol not in available_protocols() or "::" in address:
            raise UsageError(
                f"{printable(shown(address))}: {protocol}:// is no protocol that can be read; there are: {_COMMON} and "
                "more of fsspec's, or give a local folder"
            )
        try:
            get_filesystem_class(protocol)
        except ImportError as error:
            missing = _EXTRA if protocol in _SERVED else f"{scrubbed(str(error), address)}; then try again"
            raise UsageError(
                f"{printable(shown(address))}: {protocol}:// needs a package that is not installed: {missing}"
            ) from None
        try:
            # A file system of its own: one that is shared has a memory of listings, and settings of its first use.
            self._fs, self.path = url_to_fs(address, skip_instance_cache=True)
        except Exception as error:  # noqa: BLE001 - other packages' code may raise anything
            raise self.failure(error) from None

    @property
    def _is_site(self) -> bool:
        return self._protocol in ("http", "https")

    def _info(self, path: str) -> Mapping[str, Any]:
        try:
            info: Mapping[str, Any] = self._fs.info(path)
        except FileNotFoundError as error:
            # fsspec says "not found" of a site that refuses or drops the connection, too.
            if isinstance(error.__cause__, Exception) and not _is_missing(error.__cause__):
                raise error.__cause__ from None
            raise
        return info

    def item(self) -> Item | None:
        """The file at the URL; None where there is a folder.

        Raises:
            UsageError: there is nothing, or it may not be seen.
        """
        try:
            info = patiently(lambda: self._info(self.path))
        except Exception as error:  # noqa: BLE001 - see above
            raise self.failure(error) from None
        if info.get("type") == "directory" or (self._is_site and info.get("mimetype") == "text/html"):
            return None
        return _item_of(self.path, info)

    def beside(self, name: str) -> Item | None:
        """A file beside the one at the URL; None where there is none, or nobody knows."""
        above, _, query = self.path.partition("?")
        path = f"{above.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")
        try:
            return _item_of(path, patiently(lambda: self._info(path)))
        except Exception:  # noqa: BLE001 - the graph is read without it, which its own problem says
            return None

    def items(self) -> tuple[dict[str, Item], dict[str, str]]:
        """All files below the URL by their location, and why folders could not be listed, by theirs.

        Raises:
            UsageError: it cannot be listed.
        """
        try:
            if self._is_site:
                return self._items_of_site()
            found = patiently(lambda: self._fs.find(self.path, detail=True, withdirs=False), timeout=LISTING_SECONDS)
        except Exception as error:  # noqa: BLE001 - see above
            raise self.failure(error) from None
        start = self.path.rstrip("/") + "/"
        return {
            path[len(start) :]: _item_of(path, info)
            for path, info in found.items()
            if path.startswith(start) and info.get("type") == "file"
        }, {}

    def _items_of_site(self) -> tuple[dict[str, Item], dict[str, str]]:
        """The files that the pages of a site link to, folder by folder, never above or beside the URL."""
        top = self.path.partition("?")[0].partition("#")[0].rstrip("/") + "/"
        found: dict[str, Item] = {}
        lost: dict[str, str] = {}
        level, seen = [top], {top}
        while level:
            deeper: list[str] = []
            with closing(in_parallel(level, self._links)) as pages:
                for folder, links in pages:
                    if isinstance(links, Exception):
                        if folder == top:
                            raise links
                        lost[unquote(folder[len(top) :]).rstrip("/")] = (
                            f"it is a folder that cannot be listed: {self.reason(links)}"
                        )
                        continue
                    for link in links:
                        if not link.startswith(folder) or link == folder or "?" in link or "#" in link:
                            continue
                        if not link.endswith("/"):
                            found[unquote(link[len(top) :])] = Item(link, None, None, asked=False)
                        elif link not in seen and not unquote(link[len(folder) :]).startswith((".", "__pycache__")):
                            seen.add(link)
                            deeper.append(link)
            if len(seen) > FOLDER_LIMIT:
                raise UsageError(f"{printable(shown(self.address))} links to more than {FOLDER_LIMIT} folders")
            level = deeper
        return found, lost

    def _links(self, folder: str, watch: Watch) -> list[str]:
        return persistently(lambda: [entry["name"] for entry in self._fs.ls(folder, detail=True)], watch)

    def fetch(self, item: Item, known: str | None, target: Path, watch: Watch, head: int | None = None) -> Item:
        """Copies a file to a local one, unless it is in a state that is known.

        Args:
            item: the file.
            known: the state that need not be fetched.
            target: the local file, which need not exist.
            watch: of the transfer.
            head: bytes from the start that are enough; None for all.

        Returns:
            The file with the size and state that the server tells now; nothing is copied where that state is known.

        Raises:
            Exception: whatever the server's package raises; `reason` puts it into words.
        """

        def attempt() -> Item:
            current = item if item.asked else _item_of(item.path, self._info(item.path))
            if known is not None and current.state == known:
                return current
            if head is not None and current.size is not None and current.size > head:
                content = self._fs.cat_file(item.path, start=0, end=head)
                target.write_bytes(content[:head])
                watch.add(len(content))
                came, due = len(content), head
            else:
                if current.size is not None:
                    watch.expect(current.size)
                self._fs.get_file(item.path, str(target), callback=_Telling(watch))
                came, due = target.stat().st_size, current.size or 0
                watch.expect(came)
            if came < due:
                raise ConnectionError(f"{came} of {due} bytes came")
            return current

        return persistently(attempt, watch)

    def reason(self, error: Exception) -> str:
        """What went wrong with one file, in words and without secrets."""
        if isinstance(error, (Refused, NoAnswer)):
            return str(error)
        if _is_denied(error):
            return "access is denied"
        if _is_missing(error):
            return "it is not there any more"
        if isinstance(error, OSError) and error.strerror and not str(error.strerror).startswith("["):
            return scrubbed(reason_of(error), self.address)
        said = scrubbed(str(error), self.address)
        return f"{type(error).__name__}: {said}" if said else type(error).__name__

    def failure(self, error: Exception) -> UsageError:
        """The error that ends the scan when the URL itself cannot be read."""
        place = printable(shown(self.address))
        if isinstance(error, UsageError):
            return error
        if _is_denied(error):
            advice = _ADVICE.get({"s3a": "s3", "gcs": "gs"}.get(self._protocol, self._protocol), "see who may read it")
            return UsageError(f"{place}: access is denied; {advice}")
        if _is_missing(error):
            hidden = ", or it is private (set HF_TOKEN)" if self._protocol == "hf" else ""
            return UsageError(f"{place}: there is no such file, folder or bucket{hidden}; check the address")
        if isinstance(error, ImportError):
            return UsageError(f"{place}: {self._protocol}:// needs a package that is not installed: {_EXTRA}")
        return UsageError(f"{place} cannot be read: {self.reason(error)}; check the address and the network")


class _Telling(Callback):  # type: ignore[misc]
    """Tells the watch of a transfer what comes; the watch ends it by raising."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch

    def relative_update(self, inc: int = 1) -> None:
        self._watch.add(inc)


def _item_of(path: str, info: Mapping[str, Any]) -> Item:
    """A file as the server describes it; its state is whatever it tells beyond name and size, whoever serves it."""
    size = info.get("size")
    told = {key: str(value) for key, value in info.items() if key not in _SAYS_NOTHING and value is not None}
    state = None
    if told:
        text = json.dumps([size, sorted(told.items())], default=str)
        state = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    return Item(path, size if isinstance(size, int) else None, state)


def _is_denied(error: BaseException) -> bool:
    return any(
        isinstance(each, PermissionError)
        or type(each).__name__ in _NO_CREDENTIALS
        or _status_of(each) in (401, 403, 407)
        for each in _chain(error)
        if type(each).__name__ not in _NOT_THERE
    )


def _is_missing(error: BaseException) -> bool:
    return any(
        isinstance(each, FileNotFoundError) or type(each).__name__ in _NOT_THERE or _status_of(each) == 404
        for each in _chain(error)
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and what it was made from: each library wraps those of the one below it."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__


def _status_of(error: BaseException) -> int | None:
    """The HTTP status that an error of aiohttp, requests, httpx, botocore or Google's packages carries."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        found = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        found = getattr(response, "status_code", None) or getattr(error, "status", None) or getattr(error, "code", None)
    try:
        return int(found)
    except (TypeError, ValueError):
        return None
