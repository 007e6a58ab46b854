"""What all benchmarks share: the corpus, a scratch folder, and a way to time a process in turn with its baselines."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from corpora import write as write_corpus
from processes import Cost, run

NODES_OF_A_GRAPH = 100

_LINES = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds what `make bench` hands on."""
    parser.addoption("--corpus", type=Path, default=Path("fixtures/gm"), help="what is scanned")
    parser.addoption("--rounds", type=int, default=5, help="counted runs of each command (default: 5)")
    parser.addoption("--nodes", type=int, default=30_000, help="of the corpus for several jobs (default: 30000)")


def pytest_configure(config: pytest.Config) -> None:
    """Makes room for what is to be told at the end."""
    config.stash[_LINES] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Tells the ratios, which hold on other machines too."""
    terminalreporter.section("medians and ratios")
    for line in config.stash[_LINES]:
        terminalreporter.line(line)


@dataclass(frozen=True, slots=True)
class Timed:
    """Several runs of one command.

    Attributes:
        median: of the wall times, in seconds.
        memory: peak resident memory of the largest process of all runs, in MiB.
    """

    median: float
    memory: float

    @classmethod
    def of(cls, costs: Sequence[Cost]) -> Timed:
        """What several runs cost."""
        return cls(statistics.median(cost.seconds for cost in costs), max(cost.memory for cost in costs))


class Timing:
    """Times processes in turn: A B C A B C ..., so that all see the same machine. The first of each is not counted."""

    def __init__(self, benchmark: Any, rounds: int, say: Callable[[str], None]) -> None:
        self._benchmark = benchmark
        self._rounds = rounds
        self.say = say

    def __call__(
        self,
        name: str,
        arguments: Sequence[str],
        baselines: Mapping[str, Sequence[str]] | None = None,
        *,
        before: Callable[[str], None] | None = None,
        rounds: int | None = None,
    ) -> dict[str, Timed]:
        """Times a command and its baselines, and tells the ratios.

        Args:
            name: of the command.
            arguments: of its Python process.
            baselines: arguments of others by their names.
            before: is told a name before each run of it, outside of the time.
            rounds: counted runs of each, where not as many as all others get.

        Returns:
            Of each, by name.
        """
        costs: dict[str, list[Cost]] = {one: [] for one in (*(baselines or {}), name)}

        def others() -> None:
            for one, command in (baselines or {}).items():
                if before is not None:
                    before(one)
                costs[one].append(run(command))
            if before is not None:
                before(name)

        self._benchmark.pedantic(
            lambda: costs[name].append(run(arguments)),
            setup=others,
            rounds=rounds or self._rounds,
            warmup_rounds=1,
        )
        found = {one: Timed.of(these[1:]) for one, these in costs.items()}
        self._tell(name, found)
        return found

    def note(self, **values: object) -> None:
        """Keeps more figures in the JSON."""
        self._benchmark.extra_info.update(values)

    def _tell(self, name: str, found: Mapping[str, Timed]) -> None:
        mine = found[name]
        self.say(f"{name:44} {mine.median:8.3f} s {mine.memory:6.0f} MiB")
        for one, timed in found.items():
            if one != name:
                ratio = f"{mine.median / timed.median:.2f} x {one}"
                self.say(f"    {ratio:40} {timed.median:8.3f} s {timed.memory:6.0f} MiB")
        self.note(
            memory=mine.memory,
            baselines={one: {"median": timed.median, "memory": timed.memory} for one, timed in found.items()},
            ratios={one: mine.median / timed.median for one, timed in found.items() if one != name},
        )


@pytest.fixture
def timing(benchmark: Any, pytestconfig: pytest.Config, say: Callable[[str], None]) -> Timing:
    """Times processes."""
    return Timing(benchmark, pytestconfig.getoption("--rounds"), say)


@pytest.fixture(scope="session")
def say(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Tells a line at the end."""
    return pytestconfig.stash[_LINES].append


@pytest.fixture(scope="session")
def corpus(pytestconfig: pytest.Config) -> Path:
    """The corpus that is scanned."""
    found: Path = pytestconfig.getoption("--corpus")
    return found.resolve()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A folder for the cache of a scan."""
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int], Path]]:
    """Makes a corpus of a number of graphs, once."""
    known: dict[int, Path] = {}

    def make(graphs: int) -> Path:
        if graphs not in known:
            known[graphs] = tmp_path_factory.mktemp(f"made{graphs}")
            write_corpus(known[graphs], graphs, NODES_OF_A_GRAPH)
        return known[graphs]

    yield make
