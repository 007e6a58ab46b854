"""What runs in each rank of SGLang's benchmark: the work itself, with graphs saved and phases marked."""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from importlib import import_module
from typing import Any

import msgspec
import torch

from opcov.capturing.session import current
from opcov.capturing.sglang.compiling import taken_over
from opcov.capturing.sglang.mending import mend
from opcov.capturing.sglang.stand_ins import StandIns, stand_in
from opcov.capturing.sglang.wishes import of_this_process

MODULES = ("sglang.benchmark.one_batch", "sglang.bench_one_batch")
"""Where the benchmark lies: in the newest versions, and before."""
WORK = ("latency_test", "correctness_test")
"""The functions of the benchmark that a rank runs; its `main` gives them to the processes that it starts."""
PHASES = {"extend": "prefill", "decode": "decode"}
"""What the benchmark calls its phases, as functions or as methods of what runs the model."""

_KEPT = ExitStack()
_ORIGINALS: dict[str, Callable[..., Any]] = {}


class _Prepared:
    """Whether this process is ready."""

    once = False


def prepare() -> None:
    """Readies this process for SGLang, before anything of it is imported; once is enough."""
    if not _Prepared.once:
        _Prepared.once = True
        wishes = of_this_process()
        if wishes.without_gpu:
            stand_in()
        _KEPT.enter_context(taken_over(wishes))


def benchmark() -> Any:
    """The module of the benchmark.

    Raises:
        ImportError: there is none, or something that it needs is missing.
    """
    newest, before = MODULES
    found = None
    with suppress(ModuleNotFoundError):
        found = importlib.util.find_spec(newest)
    return import_module(before if found is None else newest)


def replace_work(bench: Any) -> None:
    """Puts the functions of this module in place of the benchmark's: other processes find them by their import."""
    for name in WORK:
        if hasattr(bench, name):
            _ORIGINALS[name] = getattr(bench, name)
            setattr(bench, name, globals()[name])


def latency_test(*arguments: Any, **options: Any) -> Any:
    """SGLang's own, in a process that captures."""
    return _work("latency_test", arguments, options)


def correctness_test(*arguments: Any, **options: Any) -> Any:
    """SGLang's own, in a process that captures."""
    return _work("correctness_test", arguments, options)


def _work(name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    prepare()
    session = current()
    rank = rank_of(arguments, options)
    session.setting = msgspec.structs.replace(session.setting, rank=rank)
    wishes = of_this_process()
    bench = benchmark()
    _mark_phases(bench)
    if wishes.without_gpu:
        mend(session)
    if wishes.without_tokenizer:
        _go_without_tokenizer(bench)
    _note_stand_ins()
    try:
        return _ORIGINALS.get(name, getattr(bench, name))(*arguments, **options)
    except Exception as error:
        message = (str(error).strip().splitlines() or ["it does not say why"])[0]
        session.note_failure(f"{type(error).__name__}: {message}")
        raise
    finally:
        _note_stand_ins()
        session.flush()


def rank_of(arguments: tuple[Any, ...], options: dict[str, Any]) -> int:
    """The rank of a call: `tp_rank`, which is the last argument in every version."""
    rank = options.get("tp_rank", arguments[-1] if arguments else 0)
    return rank if isinstance(rank, int) else 0


def _note_stand_ins() -> None:
    for finder in sys.meta_path:
        if isinstance(finder, StandIns):
            for name in sorted(finder.imported):
                current().note_replaced(f"{name}: not installed, stood in for: its names can be imported, not called")


def _mark_phases(bench: Any) -> None:
    """Ranges for a profiler around prefill and decode, where CUDA is there."""
    if not torch.cuda.is_available():
        return
    holders = [
        bench,
        *(held for held in vars(bench).values() if isinstance(held, type) and held.__module__ == bench.__name__),
    ]
    for holder in holders:
        for name, phase in PHASES.items():
            function = vars(holder).get(name)
            if callable(function) and not hasattr(function, "_opcov_phase"):
                setattr(holder, name, _marked(function, phase))


def _marked(function: Callable[..., Any], phase: str) -> Callable[..., Any]:
    nvtx: Any = torch.cuda.nvtx

    @functools.wraps(function)
    def marked(*arguments: Any, **options: Any) -> Any:
        with nvtx.range(phase):
            return function(*arguments, **options)

    marked._opcov_phase = phase  # type: ignore[attr-defined]
    return marked


def _go_without_tokenizer(bench: Any) -> None:
    """The inputs of the benchmark are random numbers: it loads a tokenizer and does not ask it."""
    bench.get_tokenizer = _no_tokenizer
    current().note_replaced("the tokenizer: there is none, and random tokens are the input")


def _no_tokenizer(*_arguments: Any, **_options: Any) -> None:
    return None
