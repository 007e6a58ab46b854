"""Runs SGLang's benchmark as `python -m sglang.bench_one_batch` would, with opcov in each of its ranks.

It is a program: `python -m opcov.capturing.child -m opcov.capturing.sglang.driver --model-path ...`.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from opcov.capturing.sglang.supervising import supervised
from opcov.capturing.sglang.wishes import of_this_process
from opcov.capturing.sglang.working import benchmark, prepare, replace_work


def main(arguments: Sequence[str]) -> None:
    """Runs the benchmark.

    Args:
        arguments: the benchmark's own.

    Raises:
        SystemExit: a rank failed, or an argument is wrong.
    """
    bench = benchmark()
    replace_work(bench)
    parser = argparse.ArgumentParser(prog=bench.__name__)
    bench.ServerArgs.add_cli_args(parser)
    bench.BenchArgs.add_cli_args(parser)
    parsed = parser.parse_args(arguments)
    server_args = bench.ServerArgs.from_cli_args(parsed)
    bench_args = bench.BenchArgs.from_cli_args(parsed)
    logging.basicConfig(level=getattr(logging, server_args.log_level.upper()), format="%(message)s")
    try:
        with supervised(of_this_process().patience):
            bench.main(server_args, bench_args)
    finally:
        if server_args.tp_size != 1:
            bench.kill_process_tree(os.getpid(), include_parent=False)


if __name__ in ("__main__", "__mp_main__"):
    # Children that multiprocessing spawns import this module before they get their work, which is SGLang's.
    prepare()
if __name__ == "__main__":
    main(sys.argv[1:])
