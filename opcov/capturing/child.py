"""Runs a program whose graphs are captured, in a process of its own: `python -m opcov.capturing.child PROGRAM ...`."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from opcov.capturing.diverting import for_good
from opcov.capturing.session import current


def main(arguments: list[str]) -> None:
    """Runs a script, or with `-m` a module, as Python would.

    Args:
        arguments: the script or `-m` and the module, then its own arguments.
    """
    for_good()
    if current().setting.fake:
        from opcov.capturing.fake import on_fake_tensors

        on_fake_tensors().__enter__()
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        sys.path.insert(0, "")
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        sys.path.insert(0, str(Path(arguments[0]).resolve().parent))
        runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
