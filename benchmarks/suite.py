"""Measures opcov against baselines of the same run, and writes what it found as JSON.

    python benchmarks/suite.py [CORPUS] [--only warm,cold] [--runs 5] [--nodes 30000] [--json FILE]

The baselines: (a) benchmarks/floor.py, a bare interpreter that reads and hashes all files and parses each distinct body
once; (b) the import of torch and lightning-thunder; (c) benchmarks/plain.py, one question to Thunder a node without a
memo. Seconds differ between machines and hours; the ratios are what counts.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from corpora import write as write_corpus
from measuring import Measured, in_turn, run

HERE = Path(__file__).resolve().parent
IMPORTS = ["-c", "from opcov.registries.thunder_import import import_thunder; import_thunder()"]
GROWTH = (100, 200, 400, 800, 1600)
NODES_OF_A_GRAPH = 100
GRAIN = 2.1
"""Seconds after which the cache takes a file's status for its content."""


class Bench:
    """What all sections share: the corpus, a scratch folder, and what was found."""

    def __init__(self, corpus: Path, scratch: Path, runs: int, nodes: int) -> None:
        self.corpus = corpus
        self.scratch = scratch
        self.runs = runs
        self.nodes = nodes
        self.found: dict[str, Any] = {}
        self._made: dict[int, Path] = {}

    def opcov(self, *arguments: object, corpus: Path | None = None, cache: bool = False) -> list[str]:
        """The arguments of Python for a scan."""
        kept = ["--cache-dir", str(self.scratch / "cache")] if cache else ["--no-cache"]
        place = str(self.corpus if corpus is None else corpus)
        return ["-m", "opcov", place, "--no-config", "--quiet", *kept, *map(str, arguments)]

    def made(self, graphs: int) -> Path:
        """A corpus of a number of graphs, made once."""
        if graphs not in self._made:
            self._made[graphs] = self.scratch / f"made{graphs}"
            write_corpus(self._made[graphs], graphs, NODES_OF_A_GRAPH)
        return self._made[graphs]

    def told(self, arguments: Sequence[str], **environment: str) -> dict[str, str]:
        """What `--verbose` tells of a scan, by phase."""
        command = [sys.executable, *arguments, "--verbose"]
        text = subprocess.run(
            command, env={**os.environ, **environment}, check=True, capture_output=True, text=True
        ).stderr
        return dict(re.findall(r"^opcov: (\w+): (.*)$", text, re.MULTILINE))

    def note(self, section: str, **values: Any) -> None:
        """Keeps figures."""
        self.found.setdefault(section, {}).update(values)


def show(name: str, measured: Measured, baseline: Measured | None = None) -> dict[str, Any]:
    """Prints a row; returns it."""
    ratio = f"  {measured.median / baseline.median:5.2f} x" if baseline else ""
    print(f"  {name:34} {measured.median:7.3f} s  {measured.peak:6.0f} MiB{ratio}", flush=True)
    return {"seconds": measured.seconds, "median": measured.median, "peak MiB": measured.peak}


def warm(bench: Bench) -> None:
    """A scan of what is remembered, against (a)."""
    scan = bench.opcov("--out", bench.scratch / "warm.py", cache=True)
    run(scan)
    found = in_turn(
        {"a": [str(HERE / "floor.py"), str(bench.corpus)], "scan": scan, "help": ["-m", "opcov", "--help"]}, bench.runs
    )
    rows = {
        "floor": show("(a) read, hash, parse", found["a"]),
        "warm": show("warm scan to all_ops.py", found["scan"], found["a"]),
        "help": show("opcov --help", found["help"], found["a"]),
    }
    bench.note("warm", **rows, ratio=found["scan"].median / found["a"].median, told=bench.told(scan))


def cold(bench: Bench) -> None:
    """A scan that remembers nothing, against (b)."""
    found = in_turn({"b": IMPORTS, "scan": bench.opcov("--out", bench.scratch / "cold.py")}, bench.runs)
    beyond = found["scan"].median - found["b"].median
    rows = {
        "imports": show("(b) import torch and thunder", found["b"]),
        "cold": show("cold scan", found["scan"], found["b"]),
    }
    print(f"  beyond the imports: {beyond:.2f} s")
    told = bench.told(bench.opcov("--out", bench.scratch / "cold.py"))
    for phase, text in told.items():
        print(f"    {phase}: {text}")
    bench.note("cold", **rows, beyond=beyond, phases=told)


def judge(bench: Bench) -> None:
    """Nodes a second beyond the imports, against (c)."""
    plain = json.loads(
        subprocess.run(
            [sys.executable, str(HERE / "plain.py"), str(bench.corpus)], check=True, capture_output=True, text=True
        ).stdout
    )
    found = in_turn({"b": IMPORTS, "scan": bench.opcov()}, bench.runs)
    beyond = found["scan"].median - found["b"].median
    inside = judge_inside(bench.corpus)
    print(f"  {'(c) one question a node':34} {plain['seconds']:7.2f} s  {plain['nodes/s']:6} nodes/s")
    spent = {"reading and judging in one process": inside["seconds"], "cold scan beyond the imports": beyond}
    for name, seconds in spent.items():
        if seconds > 0:  # the imports of a scan may take less than they do by themselves
            speed = f"{plain['nodes'] / seconds:6.0f} nodes/s  {plain['seconds'] / seconds:5.1f} x (c)"
            print(f"  {name:34} {seconds:7.2f} s  {speed}")
    bench.note("judge", plain=plain, beyond=beyond, inside=inside)


def judge_inside(corpus: Path) -> dict[str, Any]:
    """The time of `scan` in a process that has imported all before."""
    command = [sys.executable, str(HERE / "inside.py"), str(corpus)]
    answer: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return answer


def change(bench: Bench) -> None:
    """One changed file in a corpus that is remembered, and another version of Thunder."""
    corpus = bench.scratch / "changing"
    shutil.copytree(bench.corpus, corpus)
    time.sleep(GRAIN)
    scan = bench.opcov("--out", bench.scratch / "changed.py", corpus=corpus, cache=True)
    run(scan)
    file = next(path for path in sorted(corpus.rglob("rank*.py")) if b"thunder_0" in path.read_bytes())
    alone = bench.scratch / "alone"
    alone.mkdir()
    changes = iter(range(1_000_000))

    def edit(name: str) -> None:
        text = file.read_text(encoding="utf-8")
        text = re.sub(r"\n# changed \d+\n\Z", "\n", text).rstrip("\n") + f"\n\n# changed {next(changes)}\n"
        if name == "changed":
            file.write_text(text, encoding="utf-8")
        (alone / file.name).write_text(text, encoding="utf-8")

    alone_cold = bench.opcov("--out", bench.scratch / "alone.py", corpus=alone)
    found = in_turn({"changed": scan, "same": scan, "alone": alone_cold}, bench.runs, before=edit)
    rows = {
        "same": show("warm scan", found["same"]),
        "alone": show("the changed file alone, cold", found["alone"]),
        "changed": show("warm scan with one changed file", found["changed"]),
    }
    expected = found["same"].median + found["alone"].median
    print(f"  warm plus its own share would be {expected:.3f} s: {found['changed'].median / expected:.2f} x")
    judged = bench.told(scan, THUNDER_BENCHMARK="another")["judge"]  # a variable that the fingerprint counts
    print(f"  another Thunder: {judged}")
    bench.note("change", **rows, ratio=found["changed"].median / expected, version=judged)


def jobs(bench: Bench) -> None:
    """Two processes against one, and Dask's against the pool's."""
    corpus = bench.made(bench.nodes // NODES_OF_A_GRAPH)
    out = bench.scratch / "jobs.py"
    kinds = {"1 job": [], "2 jobs": ["--jobs", "2"], "Dask, 2 workers": ["--engine", "dask", "--jobs", "2"]}
    commands = {name: bench.opcov("--out", out, *options, corpus=corpus) for name, options in kinds.items()}
    found = in_turn({"b": IMPORTS, **commands}, bench.runs)
    rows = {name: show(name, found[name], found["1 job"]) for name in kinds}
    one, two, dask, imports = (found[name].median for name in ("1 job", "2 jobs", "Dask, 2 workers", "b"))
    print(f"  2 jobs are {one / two:.2f} x as fast as 1, Dask takes {dask / two:.2f} x the time of the pool")
    bench.note("jobs", nodes=bench.nodes, imports=imports, **rows, speedup=one / two, dask=dask / two)


def growth(bench: Bench) -> None:
    """Time and memory of 100 to 1,600 graphs."""
    sizes = list(GROWTH)
    found = in_turn(
        {str(size): bench.opcov("--out", bench.scratch / "growth.py", corpus=bench.made(size)) for size in sizes},
        max(1, bench.runs // 2),
    )
    rows = {str(size): show(f"{size} graphs", found[str(size)]) for size in sizes}
    merging = {size: merge_memory(bench.made(size)) for size in sizes}
    for name, unit, values in (
        ("time", "s", [found[str(size)].median for size in sizes]),
        ("memory", "MiB", [found[str(size)].peak for size in sizes]),
        ("memory of the merge", "MiB", list(merging.values())),
    ):
        slope, start = statistics.linear_regression(sizes, values)
        fit = statistics.correlation(sizes, values) ** 2 if len(set(values)) > 1 else 1.0
        print(f"  {name}: {start:.2f} {unit} + {1000 * slope:.2f} {unit} per 1,000 graphs, r2 = {fit:.4f}")
        rows[f"{name} fit"] = {"start": start, "per 1,000 graphs": 1000 * slope, "r2": fit}
    bench.note("growth", nodes_of_a_graph=NODES_OF_A_GRAPH, merge=merging, **rows)


def merge_memory(corpus: Path) -> float:
    """What the merge holds of a corpus whose bodies come out of the cache, in MiB, as tracemalloc counts."""
    code = (HERE / "merging.py").as_posix()
    output = subprocess.run([sys.executable, code, str(corpus)], check=True, capture_output=True, text=True).stdout
    return float(output)


def html(bench: Bench) -> None:
    """The site, against a scan that tells its text."""
    run(bench.opcov("--format", "text", cache=True))
    site = bench.scratch / "site"
    found = in_turn(
        {
            "scan": bench.opcov("--csv", bench.scratch / "tables", cache=True),
            "site": bench.opcov("--html", site, cache=True),
        },
        bench.runs,
    )
    rows = {
        "tables": show("warm scan to CSV", found["scan"]),
        "site": show("warm scan to the site", found["site"], found["scan"]),
    }
    pages = [path for path in site.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in pages) / 1e6
    print(f"  {len(pages)} files, {size:.1f} MB")
    bench.note("html", **rows, files=len(pages), megabytes=size)


SECTIONS: dict[str, Callable[[Bench], None]] = {
    "warm": warm, "cold": cold, "judge": judge, "change": change, "jobs": jobs, "growth": growth, "html": html,
}  # fmt: skip


def main() -> None:
    """Measures what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0], allow_abbrev=False)
    parser.add_argument("corpus", metavar="CORPUS", type=Path, nargs="?", default=Path("fixtures/gm"))
    parser.add_argument("--only", metavar="NAMES", default=",".join(SECTIONS), help=f"some of {', '.join(SECTIONS)}")
    parser.add_argument("--runs", metavar="N", type=int, default=5, help="counted runs of each (default: 5)")
    parser.add_argument("--nodes", metavar="N", type=int, default=30_000, help="of the corpus for several jobs")
    parser.add_argument("--json", metavar="FILE", type=Path, default=HERE / "results" / "latest.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(options.corpus, Path(folder), options.runs, options.nodes)
        for name in options.only.split(","):
            print(f"{name}: {(SECTIONS[name].__doc__ or '').strip()}", flush=True)
            SECTIONS[name](bench)
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps({"corpus": options.corpus.name, **machine, **bench.found}, indent=1) + "\n")
    print(f"medians of {options.runs}; all figures: {options.json}")


if __name__ == "__main__":
    main()
