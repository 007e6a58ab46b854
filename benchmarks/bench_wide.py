"""Large corpora: several processes against one, Dask against them, and how time and memory grow."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from conftest import NODES_OF_A_GRAPH
from processes import IMPORTS, answer, scan

if TYPE_CHECKING:
    from conftest import Timed, Timing

SIZES = (100, 200, 400, 800, 1600)


@pytest.fixture
def large(pytestconfig: pytest.Config, made: Callable[[int], Path]) -> Path:
    """A corpus of as many nodes as are asked for."""
    nodes: int = pytestconfig.getoption("--nodes")
    return made(nodes // NODES_OF_A_GRAPH)


def bench_two_jobs(timing: Timing, large: Path, tmp_path: Path) -> None:
    """Two processes against one, with the imports, which no number of processes makes shorter."""
    one, two = (scan(large, "--out", tmp_path / "all_ops.py", "--jobs", jobs) for jobs in (1, 2))
    found = timing("2 jobs", two, {"(b)": IMPORTS, "1 job": one})
    alone, both = found["1 job"].median, found["2 jobs"].median
    timing.say(f"    {alone / both:.2f} x as fast")
    timing.note(speedup=alone / both)


def bench_dask(timing: Timing, large: Path, tmp_path: Path) -> None:
    """A cluster of this machine against the pool."""
    out = tmp_path / "all_ops.py"
    dask = scan(large, "--out", out, "--engine", "dask", "--jobs", 2)
    timing("Dask, 2 workers", dask, {"2 jobs": scan(large, "--out", out, "--jobs", 2)})


class Growth:
    """What scans of growing corpora take."""

    def __init__(self) -> None:
        self.scans: dict[int, Timed] = {}
        self.merges: dict[int, float] = {}

    def fits(self) -> Iterator[str]:
        """A straight line through each of the figures."""
        for name, unit, values in (
            ("time", "s", {size: timed.median for size, timed in self.scans.items()}),
            ("memory", "MiB", {size: timed.memory for size, timed in self.scans.items()}),
            ("memory of the merge", "MiB", self.merges),
        ):
            if len(set(values.values())) > 1:
                slope, start = statistics.linear_regression(list(values), list(values.values()))
                fit = statistics.correlation(list(values), list(values.values())) ** 2
                yield f"    {name}: {start:.2f} {unit} + {1000 * slope:.2f} {unit} per 1,000 graphs, r2 = {fit:.4f}"


@pytest.fixture(scope="module")
def growth(say: Callable[[str], None]) -> Iterator[Growth]:
    """Gathers the figures, and tells at the end how they grow."""
    found = Growth()
    yield found
    for line in found.fits():
        say(line)


@pytest.mark.parametrize("graphs", SIZES)
def bench_growth(timing: Timing, growth: Growth, made: Callable[[int], Path], tmp_path: Path, graphs: int) -> None:
    """A cold scan of some graphs, and what the merge of them holds."""
    name = f"{graphs} graphs of {NODES_OF_A_GRAPH} nodes"
    growth.scans[graphs] = timing(name, scan(made(graphs), "--out", tmp_path / "all_ops.py"), rounds=3)[name]
    growth.merges[graphs] = answer("merging.py", made(graphs))
    timing.note(merge=growth.merges[graphs])
