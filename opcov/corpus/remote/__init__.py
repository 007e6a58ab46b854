"""Corpora that lie elsewhere, in a bucket, on a site or in an archive: a local copy of what a scan reads of them.

Importing this loads nothing; fsspec is imported when something has to be asked for.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from opcov.corpus.remote.address import address_of, is_remote

if TYPE_CHECKING:
    from opcov.corpus.model import Corpus
    from opcov.graphfile import Format

__all__ = ["Fetched", "fetched", "is_remote", "with_lost"]


@dataclass(frozen=True, slots=True)
class Fetched:
    """A remote corpus as it lies here now.

    Attributes:
        root: the local folder to discover, called like the last part of the URL without the end of an archive; for the
            URL of one file that file, in a folder called like the one above it.
        lost: why files could not be fetched, by their path below the root, in natural order.
        files: how many files there are.
        bytes_read: bytes that were fetched for it this time: those of what is new, 0 where nothing has changed.
    """

    root: Path
    lost: Mapping[str, str]
    files: int
    bytes_read: int


def fetched(path: str | os.PathLike[str], folder: Path, formats: Sequence[Format]) -> Fetched:
    """Makes or renews the local copy of a remote corpus; only what is new or has changed is fetched.

    Several processes may do so at once. Graphs, run logs and what belongs to graphs are fetched, weights are not.

    Args:
        path: a URL of a protocol that fsspec knows, or an archive.
        folder: where copies lie; kept between scans, it saves fetching again what has not changed.
        formats: the forms that graphs may be in.

    Raises:
        UsageError: nothing can be had: the protocol is unknown, its package is missing, access is denied, there is
            nothing, or the archive is damaged. No message holds a password or the query of a URL.
    """
    from opcov.corpus.remote.fetching import bring

    outcome = bring(address_of(path), Path(folder), formats)
    return Fetched(outcome.root, outcome.lost, outcome.files, outcome.bytes_read)


def with_lost(corpus: Corpus, lost: Mapping[str, str]) -> Corpus:
    """The corpus with what could not be fetched: a graph file with its problem for each graph, a problem for all else.

    Args:
        corpus: what was discovered below `Fetched.root`.
        lost: `Fetched.lost`.
    """
    from opcov.corpus.remote import losses

    return losses.with_lost(corpus, lost)
