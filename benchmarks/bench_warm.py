"""Scans of what is remembered, against (a): a bare interpreter that reads and hashes all files and parses each body."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from processes import baselines, run, scan, told

if TYPE_CHECKING:
    from conftest import Timing


def bench_help(timing: Timing, corpus: Path) -> None:
    """What the command line takes before it does anything."""
    timing("opcov --help", ["-m", "opcov", "--help"], {"(a)": baselines(corpus)["(a)"]})


def bench_warm_scan(timing: Timing, corpus: Path, cache: Path, tmp_path: Path) -> None:
    """The scan of every pull request."""
    again = scan(corpus, "--out", tmp_path / "all_ops.py", cache=cache)
    run(again)
    timing("warm scan to all_ops.py", again, {"(a)": baselines(corpus)["(a)"]})
    timing.note(told=told(again))


def bench_site(timing: Timing, corpus: Path, cache: Path, tmp_path: Path) -> None:
    """The site, against the tables: what it adds is making and writing pages."""
    run(scan(corpus, cache=cache))
    site = tmp_path / "site"
    tables = scan(corpus, "--csv", tmp_path / "tables", cache=cache)
    timing("warm scan to the site", scan(corpus, "--html", site, cache=cache), {"warm scan to CSV": tables})
    sizes = [path.stat().st_size for path in site.rglob("*") if path.is_file()]
    timing.say(f"    {len(sizes)} files, {sum(sizes) / 1e6:.1f} MB")
    timing.note(files=len(sizes), megabytes=sum(sizes) / 1e6)
