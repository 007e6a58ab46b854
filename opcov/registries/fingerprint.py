"""Tells what verdicts depend on without importing torch or Thunder, so that remembered ones need neither.

A fingerprint stands for the packages that were asked, as they lie on disk: equal fingerprints, equal verdicts. Where
that cannot be said, there is none, and nothing is remembered: a stale verdict would be worse than a slow scan.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

_WALKED = (("opcov", "opcov"), ("thunder", "lightning-thunder"))
"""Packages that people edit where they are installed, with their distributions: every file is looked at."""
_RECORDED = (("torch", "torch"), ("sympy", "sympy"), ("numpy", "numpy"))
"""Packages of thousands of files, of which an installed one is taken to be what its installer wrote."""
_VARIABLES = ("PYTORCH", "THUNDER", "TORCH")
"""Beginnings of names of environment variables that change what torch and Thunder do."""

_GRAIN = 2_000_000_000
"""Nanoseconds: no clock of a file system is coarser (FAT has two seconds)."""
_BEGAN = time.time_ns() - _GRAIN
"""Files that are newer than this may have been loaded as they were before."""
_PLACES = tuple(sys.path)
"""Where packages are imported from; some packages add folders of their own when they are loaded."""


def fingerprint(*, requires_grad: bool) -> str | None:
    """What the verdicts of the installed Thunder depend on.

    Args:
        requires_grad: whether parameters are taken to require grad.

    Returns:
        A digest; None where it cannot be told: a package is not there, a file of a checkout has changed since this
        process began, or somebody else has loaded Thunder into this process and may have registered ops with it.
    """
    process = _process()
    parts = [_package(*names, walks=True) for names in _WALKED] + [_package(*names, walks=False) for names in _RECORDED]
    if process is None or None in parts:
        return None
    machine = (sys.version, sys.platform, _machine(), Path("/dev/nvidiactl").exists())
    return _digest(parts, process, machine, _beside(), requires_grad)


def _machine() -> str:
    """The kind of processor; `platform` takes a millisecond to load."""
    return os.uname().machine if hasattr(os, "uname") else os.environ.get("PROCESSOR_ARCHITECTURE", "")


def own_fingerprint() -> str | None:
    """The code of opcov itself: what reading a file depends on. None where a file of it changed just now."""
    return _package("opcov", "opcov", walks=True)


# --- packages on disk -------------------------------------------------------------------------------------------------


def _package(package: str, distribution: str, *, walks: bool) -> str | None:
    """One package; `walks` says whether the files of an installed one are held against its record."""
    folder = _folder(package)
    if folder is None:
        return None
    try:
        version, content = _record(folder.parent, distribution)
        if content and not walks:
            return _digest("installed", package, version, hashlib.blake2b(content, digest_size=16).hexdigest())
        record = content.decode("utf-8")
        lines = [line for line in record.splitlines() if line.startswith(f"{package}/") and "/__pycache__/" not in line]
        if not lines:
            stamps = _stamps(folder)
            return None if stamps is None else _digest("checkout", package, version, stamps)
        edited = _edited(folder, lines, record)
        if edited is None:
            return None
    except (OSError, ValueError):
        return None
    return _digest("installed", package, version, sorted(lines), edited)


def _record(place: Path, distribution: str) -> tuple[str, bytes]:
    """The version of a package and what its installer wrote; nothing of both where it is not installed there.

    To ask importlib.metadata takes longer than a scan of what is remembered.
    """
    prefix = f"{distribution.replace('-', '_')}-"
    with os.scandir(place) as entries:
        names = [entry.name for entry in entries if entry.name.endswith(".dist-info")]
    found = [name for name in names if name.lower().replace("-", "_").startswith(prefix.replace("-", "_"))]
    if len(found) != 1:
        return "", b""
    with suppress(FileNotFoundError):
        return found[0][len(prefix) : -len(".dist-info")], (place / found[0] / "RECORD").read_bytes()
    return "", b""


def _beside() -> list[str]:
    """All that is installed, by the names of its records: Thunder registers more where it finds other packages."""
    found: set[str] = set()
    for place in _PLACES:
        with suppress(OSError), os.scandir(place or ".") as entries:
            found.update(entry.name for entry in entries if entry.name.endswith((".dist-info", ".egg-info")))
    return sorted(found)


def _folder(package: str) -> Path | None:
    """Where a package would be imported from; a top-level package is found without being imported."""
    try:
        spec = find_spec(package)
    except (ImportError, ValueError, AttributeError):
        return None
    return None if spec is None or not spec.has_location or spec.origin is None else Path(spec.origin).parent


def _stamps(folder: Path) -> list[tuple[str, int, int]] | None:
    """Name, size and time of each file of code in a checkout; None where one is newer than this process."""
    found = [(name, status.st_size, status.st_mtime_ns) for name, status in _code(folder)]
    return None if any(changed > _BEGAN for _, _, changed in found) else sorted(found)


def _edited(folder: Path, lines: list[str], record: str) -> list[tuple[str, str]] | None:
    """The files of an installed package that are not as its installer wrote them, with the digests of their contents.

    An installer writes its record last. Times alone would make a fingerprint that no other machine has. None where a
    file is newer than this process.
    """
    code = [(f"{folder.name}/{name}", status) for name, status in _code(folder)]
    if any(status.st_mtime_ns > _BEGAN for _, status in code):
        return None
    sizes = {name: size for name, _, size in (line.rsplit(",", 2) for line in lines)}
    own_line = _RECORD.search(record)
    written = (folder.parent / own_line[1]).stat().st_mtime_ns if own_line else 0
    return sorted(
        (name, hashlib.blake2b((folder.parent / name).read_bytes(), digest_size=16).hexdigest())
        for name, status in code
        if sizes.get(name) != str(status.st_size) or status.st_mtime_ns > written
    )


_RECORD = re.compile(r"^([^,\n]+\.dist-info/RECORD),", re.MULTILINE)


def _code(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """The Python files below a folder, by their paths from it."""
    waiting = [(str(folder), "")]
    while waiting:
        place, above = waiting.pop()
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.name.endswith(".py"):
                    yield f"{above}{entry.name}", entry.stat()
                elif entry.is_dir() and entry.name != "__pycache__" and not entry.name.startswith("."):
                    waiting.append((entry.path, f"{above}{entry.name}/"))


def _digest(*parts: object) -> str:
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()


# --- this process -----------------------------------------------------------------------------------------------------


class _Left:
    """How opcov left this process when it loaded Thunder, and what the process was like before."""

    state: int | None = None
    before: str | None = None


def prepare() -> str | None:
    """What to hand to `settle` once opcov has loaded Thunder: what this process is like before."""
    return _process()


def settle(before: str | None) -> None:
    """Says that opcov has loaded Thunder, or judged with it, and that all that changed by that is its own doing."""
    if before is not None:
        _Left.state, _Left.before = _state(), before


def _process() -> str | None:
    """What this process adds to what is installed: ops that somebody registered. None where nobody can tell."""
    torch = sys.modules.get("torch")
    if "thunder" in sys.modules:
        # Loading Thunder sets variables of its own, so those from before count too.
        return _Left.before if _Left.state is not None and _Left.state == _state() else None
    try:
        return _digest(_variables(), _torch_state(torch) if torch else "not loaded")
    except (AttributeError, TypeError):
        return None


def _variables() -> list[tuple[str, str]]:
    return sorted((name, value) for name, value in os.environ.items() if name.startswith(_VARIABLES))


def _torch_state(torch: ModuleType) -> tuple[object, ...]:
    names = sorted(torch._C._dispatch_get_all_op_names())
    return names, str(torch.get_default_dtype()), str(torch.get_default_device())


def _state() -> int | None:
    """What is registered in this process, as a number that means nothing outside of it."""
    try:
        utils = sys.modules["thunder.dynamo.utils"]
        proxies = sys.modules["thunder.core.proxies"]
        mapped = frozenset((id(key), id(value)) for key, value in utils._torch_to_thunder_function_map.items())
        fallbacks = frozenset(map(id, utils.auto_register_ops))
        own = _digest(_variables(), _torch_state(sys.modules["torch"]))
        return hash((own, mapped, fallbacks, frozenset(vars(proxies.TensorProxy))))
    except (AttributeError, KeyError, TypeError):
        return None
