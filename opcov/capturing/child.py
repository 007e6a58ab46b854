"""Runs a program whose graphs are captured, in a process of its own: `python -m opcov.capturing.child PROGRAM ...`."""

from __future__ import annotations

import atexit
import io
import os
import runpy
import sys
import traceback
from contextlib import ExitStack
from importlib.machinery import SourceFileLoader
from types import ModuleType, TracebackType

from opcov.capturing.diverting import for_good
from opcov.capturing.session import current

_KEPT = ExitStack()
"""What lasts until the process ends."""


def main(arguments: list[str]) -> None:
    """Runs a script, or with `-m` a module, as Python would.

    Args:
        arguments: the script or `-m` and the module, then its own arguments.
    """
    for_good()
    if current().setting.fake:
        from opcov.capturing.fake import on_fake_tensors

        _KEPT.enter_context(on_fake_tensors())
        atexit.register(_KEPT.close)  # while there is a torch to be told
    sys.excepthook = _show
    if arguments[0] == "-m":
        _run_module(arguments[1], arguments[1:])
    else:
        _run_script(arguments[0], arguments)


def _run_module(name: str, arguments: list[str]) -> None:
    """As `python -m`: the folder where modules are looked for first is the working directory already."""
    sys.argv = arguments
    _new_main()
    # What `python -m` itself calls, so that the module's own name, package and path are all as they are there.
    runpy._run_module_as_main(name)  # type: ignore[attr-defined]


def _run_script(script: str, arguments: list[str]) -> None:
    """As `python script`."""
    sys.argv = arguments
    path = os.path.abspath(script)  # noqa: PTH100 - links are kept, as Python does
    if not sys.flags.safe_path if hasattr(sys.flags, "safe_path") else True:
        sys.path[0] = os.path.dirname(os.path.realpath(script))  # noqa: PTH120
    with io.open_code(path) as stream:
        source = stream.read()
    if source.startswith(b"PK"):  # an archive with a program in it
        runpy.run_path(path, run_name="__main__")
        return
    module = _new_main()
    module.__file__ = path
    module.__loader__ = SourceFileLoader("__main__", path)
    module.__dict__["__cached__"] = None
    exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - to run it is what is asked


def _new_main() -> ModuleType:
    """The module that a program finds as `__main__`, without a trace of this one."""
    module = ModuleType("__main__")
    module.__dict__["__builtins__"] = sys.modules["builtins"]
    if sys.version_info < (3, 14):
        module.__annotations__ = {}
    sys.modules["__main__"] = module
    return module


def _show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Shows an exception that ends the program, without what started the program."""
    while trace is not None and trace.tb_frame.f_code.co_filename in (__file__, "<frozen runpy>", runpy.__file__):
        trace = trace.tb_next
    traceback.print_exception(kind, error, trace)


if __name__ == "__main__":
    main(sys.argv[1:])
