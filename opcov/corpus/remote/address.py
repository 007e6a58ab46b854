"""Reads what a remote corpus is called: its protocol, its own name, and how to show it without the secrets in it."""

from __future__ import annotations

import os
import re
from pathlib import PurePath, PurePosixPath

ARCHIVES = (".tar.gz", ".tar.bz2", ".tar.xz", ".tgz", ".tar", ".zip")
"""Ends of the names of archives."""

# These are compiled when they are used: every scan asks whether its corpus is remote, and most are not.
_URL = r"([A-Za-z][A-Za-z0-9+.\-]+)://"
_COLLAPSED = r"([A-Za-z][A-Za-z0-9+.\-]+):/(?!/)"
_USER = r"(?<=://)[^\s/'\"]*@"
_QUERY = r"(://[^\s?'\"<>]*)\?[^\s'\"<>)]*"
_NAMED = (
    r"(?i)\b([\w-]*(?:token|secret|signature|password|credential|api[_-]?key|access[_-]?key|authorization)[\w-]*"
    r"['\"]?\s?[=:]\s?['\"]?(?:bearer\s+|basic\s+)?)[^\s&,;'\")]+"
)
_KNOWN_TOKENS = r"\b(?:hf_|gh[opsu]_|AKIA|ASIA|ya29\.)[\w\-.]{8,}"
_LONGEST = 240


def is_remote(path: str | os.PathLike[str]) -> bool:
    """Whether a corpus has to be fetched before it can be read: a URL, or a local file that is an archive by its name.

    A URL with a protocol that nobody knows is one too: `fetched` says what is wrong with it.
    """
    address = address_of(path)
    return protocol_of(address) is not None or (archive_suffix(address) is not None and os.path.isfile(address))  # noqa: PTH113


def address_of(path: str | os.PathLike[str]) -> str:
    """The path as text. `Path("s3://bucket")` has lost a slash, which comes back here."""
    text = os.fspath(path)
    if isinstance(path, PurePath) and ":/" in text and re.match(_COLLAPSED, text) and not os.path.exists(text):  # noqa: PTH110
        return text.replace(":/", "://", 1)
    return text


def protocol_of(address: str) -> str | None:
    """The protocol of a URL, in small letters; None for a local path."""
    found = re.match(_URL, address) if "://" in address else None
    return found[1].lower() if found else None


def archive_suffix(address: str) -> str | None:
    """The end of the name that makes it an archive; None for one that is none."""
    name = last_part(address).lower()
    return next((suffix for suffix in ARCHIVES if name.endswith(suffix)), None)


def last_part(address: str) -> str:
    """The last part of the path of a URL or local path: of a URL without a path the host or bucket."""
    protocol = protocol_of(address)
    if protocol is None:
        return os.path.basename(os.path.abspath(address))  # noqa: PTH100, PTH119
    if protocol in ("http", "https"):
        from urllib.parse import unquote, urlsplit

        parts = urlsplit(address)
        return unquote(PurePosixPath(parts.path).name) or parts.hostname or ""
    return PurePosixPath(address.partition("://")[2].rstrip("/")).name.rpartition("@")[2]


def own_name(address: str) -> str:
    """The name of the folder that mirrors a corpus: the last part of its path without the end of an archive."""
    name = last_part(address)
    name = name[: len(name) - len(archive_suffix(address) or "")]
    return name if name.strip(". ") and fits_a_folder(name) else "corpus"


def fits_a_folder(name: str) -> bool:
    """Whether a file can have this name in every folder of this system."""
    if name in ("", ".", "..") or "/" in name or "\0" in name or len(os.fsencode(name)) > 255:
        return False
    return os.name != "nt" or not set(name) & set('<>:"|?*\\')


def shown(address: str) -> str:
    """A URL or path as messages may show it: without a user, a password or a query."""
    if protocol_of(address) is None:
        return address
    return re.sub(_USER, "", re.split(r"[?#]", address, maxsplit=1)[0], count=1)


def scrubbed(text: str, address: str) -> str:
    """What a library says, on one line and without anything in it that could be a secret of this URL or any other."""
    from urllib.parse import unquote, urlsplit

    text = " ".join(text.split())
    plain = shown(address)
    if plain != address:
        text = text.replace(address, plain)
        parts = urlsplit(address)
        for secret in (parts.query, parts.netloc.rpartition("@")[0], parts.password):
            if secret:
                text = text.replace(secret, "").replace(unquote(secret), "")
    text = re.sub(_QUERY, r"\1", re.sub(_USER, "", text))
    text = re.sub(_KNOWN_TOKENS, "...", re.sub(_NAMED, r"\1...", text))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
