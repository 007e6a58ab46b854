"""Times a cold scan against the bare import of torch and lightning-thunder, as whole processes, in turn.

    python benchmarks/cold.py [CORPUS] [RUNS]

Prints the median of each in seconds, their difference and ratio, and the peak memory of each process. Run in turn, both
see the same machine: quote the difference and the ratio, not the seconds.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

IMPORTS = "from opcov.registries.thunder_import import import_thunder; import_thunder()"


def measure(arguments: list[str]) -> tuple[float, float]:
    """Runs a Python process; returns its wall time in seconds and its peak resident memory in MiB.

    Raises:
        SystemExit: the process failed, so its time says nothing.
    """
    silent = os.open(os.devnull, os.O_WRONLY)
    start = time.perf_counter()
    process = os.posix_spawn(
        sys.executable,
        [sys.executable, *arguments],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, silent, 1)],
    )
    _, status, usage = os.wait4(process, 0)
    seconds = time.perf_counter() - start
    os.close(silent)
    if status:
        raise SystemExit(f"{arguments} failed")
    return seconds, usage.ru_maxrss / 1024


def main() -> None:
    """Prints the comparison."""
    corpus = sys.argv[1] if len(sys.argv) > 1 else "fixtures/gm"
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "all_ops.py")
        commands = {
            "imports": ["-c", IMPORTS],
            "cold scan": ["-m", "opcov", corpus, "--no-cache", "--out", out, "--csv", folder, "--quiet"],
        }
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for run in range(runs + 1):
            for name, arguments in commands.items():
                result = measure(arguments)
                if run:  # the first of each warms the page cache
                    found[name].append(result)
    medians = {name: statistics.median(seconds for seconds, _ in results) for name, results in found.items()}
    for name, results in found.items():
        print(f"{name:10}  {medians[name]:6.2f} s  {max(memory for _, memory in results):7.0f} MiB")
    difference, ratio = medians["cold scan"] - medians["imports"], medians["cold scan"] / medians["imports"]
    print(f"beyond the imports: {difference:.2f} s, {ratio:.2f} x, median of {runs}, corpus {corpus}")


if __name__ == "__main__":
    main()
