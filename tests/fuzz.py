"""Reads, judges and places mutated graph files in worker processes, and tells what goes wrong.

    python tests/fuzz.py [--count 200000] [--judge 1] [--seed 0] [--jobs 2] [--failures FOLDER]

A mutation fails when anything is raised, when it takes more than two seconds of processor time, or when it changes the
state of torch or of the process. Each kind of failure is saved once, as the file that makes it.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import os
import random
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mutations import Mutator

from opcov.loaders import by_name
from opcov.loaders.loader import SavedFile
from opcov.placement import place
from opcov.problems import Problem

PROJECT = Path(__file__).resolve().parent.parent
CPU_SECONDS = 2.0
"""How long one file may take. Processor time, so that a busy machine makes no failures."""
WALL_SECONDS = 30.0
"""How long a worker may be silent: something sleeps or waits."""

_FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Failure:
    """A mutation that went wrong.

    Attributes:
        number: of the mutation.
        kind: equal for failures that look alike.
        detail: all that is known.
    """

    number: int
    kind: str
    detail: str


def fixture_files() -> list[bytes]:
    """The graph files that are mutated."""
    return [path.read_bytes() for path in sorted((PROJECT / "fixtures" / "gm").rglob("*.py"))]


# --- one mutation -----------------------------------------------------------------------------------------------------


def process_state() -> dict[str, object]:
    """What reading a file must not change in the process; of torch only if it has been imported."""
    state: dict[str, object] = {
        "recursion limit": sys.getrecursionlimit(),
        "garbage collector": gc.isenabled(),
        "warning filters": len(warnings.filters),
        "random": hash(random.getstate()),
        "folder": os.getcwd(),  # noqa: PTH109
        "environment": hash(frozenset(os.environ.items())),
    }
    torch = sys.modules.get("torch")
    if torch is not None:
        state |= {
            "grad mode": torch.is_grad_enabled(),
            "inference mode": torch.is_inference_mode_enabled(),
            "forward grad": torch._C._is_fwd_grad_enabled(),
            "autocast": [torch.is_autocast_enabled(device) for device in ("cpu", "cuda")],
            "autocast dtype": [torch.get_autocast_dtype(device) for device in ("cpu", "cuda")],
            "autocast cache": torch.is_autocast_cache_enabled(),
            "default dtype": torch.get_default_dtype(),
            "default device": str(torch.get_default_device()),
            "deterministic": torch.are_deterministic_algorithms_enabled(),
            "deterministic, warn only": torch.is_deterministic_algorithms_warn_only_enabled(),
            "functorch level": torch._C._functorch.maybe_current_level(),
            "functorch in place": torch._C._functorch.get_inplace_requires_grad_allowed(),
            "functorch autograd function": torch._C._functorch.get_single_level_autograd_function_allowed(),
            "saved tensors hooks": torch._C._autograd._saved_tensors_hooks_get_disabled_error_message(),
            "dispatch modes": torch._C._len_torch_dispatch_stack(),
            "function modes": torch._C._len_torch_function_stack(),
            "function overrides": torch._C._is_torch_function_enabled(),
            "threads": torch.get_num_threads(),
            "matmul precision": torch.get_float32_matmul_precision(),
            "anomaly mode": torch.is_anomaly_enabled(),
        }
        if state["functorch level"] is None:  # on a level of functorch the state of the generator cannot be read
            state["random numbers"] = hash(torch.random.get_rng_state().numpy().tobytes())
    return state


def try_file(content: bytes, registry: Any) -> str | None:
    """Reads a file and, where there is a judge, judges, places and rebuilds its graphs; tells what went wrong.

    Returns:
        None if all is well, else one line that tells the kind of failure, and below it whatever else is known.
    """
    before = process_state()
    try:
        graphs, problems = by_name("readable").load(SavedFile("rank0_0.py", content))
        found = [*problems, *(problem for graph in graphs for problem in graph.problems)]
        for graph in graphs if registry is not None else ():
            verdicts, known = registry.judge(graph)
            place(graph, verdicts, known, registry.splitter)
            graph.to_fx()
    except Exception as error:  # noqa: BLE001 - which is what this looks for
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if str(PROJECT / "opcov") in frame.filename] or frames
        where = f"{Path(own[-1].filename).name}:{own[-1].name}"
        what = f": {error.msg}" if isinstance(error, SyntaxError) else ""
        return f"{type(error).__name__} in {where}{what}\n{traceback.format_exc(limit=-12)}"
    if not all(isinstance(problem, Problem) for problem in found):
        return "something that is no Problem"
    if not graphs and not problems:
        return "neither graph nor problem"
    after = process_state()
    changed = {name for name in before.keys() & after.keys() if before[name] != after[name]}
    return f"changes {', '.join(sorted(changed))}" if changed else None


# --- many mutations ---------------------------------------------------------------------------------------------------


def _work(files: list[bytes], seed: int, numbers: range, judged: int, current: Any, results: Any) -> None:
    """A worker: tries mutations; says which one it is at, so that its end tells which one ended it."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    warnings.simplefilter("ignore")  # Python's, about code that is rebuilt of nonsense
    mutator = Mutator(files, seed)
    registry: Any = None
    if judged:
        from opcov.registries.thunder import ThunderRegistry

        registry = ThunderRegistry()
    for number in numbers:
        current.value = number
        content = mutator.mutated(number)
        asked = registry if judged and number % judged == 0 else None
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)  # ends the process, whatever it is doing
        failure = try_file(content, asked)
        signal.setitimer(signal.ITIMER_PROF, 0)
        if failure is not None:
            kind, _, detail = failure.partition("\n")
            results.put(Failure(number, kind, detail))
    current.value = numbers.stop
    results.put(None)


class _Worker:
    """A process that tries its share of the mutations, started again behind each one that ends it."""

    def __init__(self, files: list[bytes], seed: int, numbers: range, judged: int, results: Any) -> None:
        self._files, self._seed, self._judged, self._results = files, seed, judged, results
        self._left = numbers
        self._start()

    def _start(self) -> None:
        self.current = _FORK.Value("q", self._left.start)
        arguments = (self._files, self._seed, self._left, self._judged, self.current, self._results)
        self._process = _FORK.Process(target=_work, args=arguments, daemon=True)
        self._process.start()
        self._seen, self._since = -1, time.monotonic() + WALL_SECONDS  # the imports take their time

    def look(self) -> Failure | None:
        """Starts the process again if a mutation has ended it, or has to be ended."""
        at = self.current.value
        if at != self._seen:
            self._seen, self._since = at, max(self._since, time.monotonic())
        silent = time.monotonic() - self._since > WALL_SECONDS
        if self._process.exitcode in (None, 0) and not silent:
            return None
        self._process.kill()
        self._process.join()
        code = self._process.exitcode
        why = f"more than {CPU_SECONDS:g} s" if code == -signal.SIGPROF else f"ended by signal or exit {code}"
        self._left = range(at + self._left.step, self._left.stop, self._left.step)
        if self._left:
            self._start()
        else:
            self._results.put(None)
        return Failure(at, f"silent for {WALL_SECONDS:g} s" if silent else why, "")


def fuzz(count: int, *, seed: int = 0, judged: int = 1, jobs: int = 2) -> Iterator[Failure]:
    """Tries mutations of the fixtures.

    Args:
        count: how many.
        seed: the same seed gives the same mutations.
        judged: every how manieth is judged too; 0 judges none.
        jobs: worker processes.

    Yields:
        What went wrong, as it does.
    """
    files = fixture_files()
    results: Any = _FORK.Queue()
    workers = [_Worker(files, seed, range(first, count, jobs), judged, results) for first in range(min(jobs, count))]
    working = len(workers)
    while working:
        while not results.empty():
            found = results.get()
            working -= found is None
            if found is not None:
                yield found
        for worker in workers:
            failure = worker.look()
            if failure is not None:
                yield failure
        time.sleep(0.05)


def main() -> int:
    """The command: 0 if nothing went wrong, else 1."""
    parser = argparse.ArgumentParser(description="Reads and judges mutated graph files.")
    parser.add_argument("--count", type=int, default=200_000, help="how many mutations")
    parser.add_argument("--judge", type=int, default=1, help="every how manieth is judged too; 0: none")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--failures", type=Path, default=PROJECT / "fuzz-failures", help="where failing files go")
    options = parser.parse_args()
    mutator = Mutator(fixture_files(), options.seed)
    kinds: dict[str, int] = {}
    start = time.monotonic()
    for failure in fuzz(options.count, seed=options.seed, judged=options.judge, jobs=options.jobs):
        kinds[failure.kind] = kinds.get(failure.kind, 0) + 1
        if kinds[failure.kind] == 1:
            options.failures.mkdir(parents=True, exist_ok=True)
            path = options.failures / f"mutation_{options.seed}_{failure.number}.py"
            path.write_bytes(mutator.mutated(failure.number))
            print(f"{path}: {failure.kind}\n{failure.detail}", flush=True)
    seconds = time.monotonic() - start
    for kind, number in sorted(kinds.items()):
        print(f"{number} x {kind}")
    share = f"1 in {options.judge} judged" if options.judge else "none judged"
    print(f"{options.count} mutations ({share}) in {seconds:.0f} s, {options.count / seconds:.0f} a second:", end=" ")
    print(f"{sum(kinds.values())} failures of {len(kinds)} kinds" if kinds else "no failure")
    return 1 if kinds else 0


if __name__ == "__main__":
    sys.exit(main())
