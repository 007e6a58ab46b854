"""The command `opcov capture sglang`: runs SGLang's benchmark of a model, and saves the graphs that it compiles."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from opcov.capturing.huggingface.finding import FILE, Configuration, name_from
from opcov.capturing.launching import Run, launch
from opcov.capturing.sglang.planning import DRIVER, THREADS, Plan, chosen, planned
from opcov.capturing.sglang.wishes import Wishes
from opcov.commands.capture.options import add_shared, parted, setting_from, tell
from opcov.commands.streams import say
from opcov.problems import UsageError

TIMEOUT = 3600.0
"""Seconds; SGLang's ranks may wait for each other without an end."""


def run(arguments: Sequence[str]) -> int:
    """Captures and tells.

    Args:
        arguments: those behind the name of the command; behind `--` those of SGLang.

    Returns:
        The exit code.

    Raises:
        UsageError: nothing can be captured.
        SystemExit: argparse has printed the help or an error.
    """
    own, given = parted(arguments)
    options = _parser().parse_args(own)
    configuration = chosen(options.model, given)
    name = name_from(options.name or (configuration.name if configuration is not None else options.model))
    if options.fake:
        raise UsageError("SGLang runs with data, on memory that it manages itself: leave out --fake")
    if importlib.util.find_spec("sglang") is None:
        raise UsageError(
            f"SGLang is not installed for {sys.executable}: install it there, or run opcov with the Python that has it"
        )
    device = options.device or _device()
    wishes = Wishes(tuple(options.no_native), options.everything)
    with _as_folder(options.model, configuration) as model:
        plan = planned(model, configuration, options.tp_size, device, wishes, given, os.cpu_count() or 1)
        for warning in plan.warnings:
            say(f"{name}: a capture on a CPU differs from one on a GPU: {warning}")
        outcome = launch(_run(options, arguments, plan, device, name, model))
    return tell(outcome, options.out / name)


def _run(options: argparse.Namespace, arguments: Sequence[str], plan: Plan, device: str, name: str, model: str) -> Run:
    told = {
        "run": options.run,
        "device": device,
        "no_native": ",".join(options.no_native),
        "everything": "true" if options.everything else "",
        "differs_from_gpu": "; ".join(plan.warnings),
        "sglang": shlex.join(options.model if word == model else word for word in plan.arguments),
    }
    return Run(
        [sys.executable, "-m", "opcov.capturing.child", "-m", DRIVER, *plan.arguments],
        setting_from(options, options.out / name, device=device),
        ["opcov", "capture", "sglang", *arguments],
        about=options.about,
        options={option: value for option, value in told.items() if value},
        environment={**plan.environment, **{name: os.environ[name] for name in THREADS if name in os.environ}},
        ranks=options.tp_size,
        timeout=options.timeout or TIMEOUT,
    )


@contextmanager
def _as_folder(model: str, configuration: Configuration | None) -> Iterator[str]:
    """The model as SGLang finds it: a configuration that comes with opcov gets a folder while it runs."""
    if configuration is None or Path(model).is_dir():
        yield model
        return
    with tempfile.TemporaryDirectory(prefix="opcov-") as folder:
        (Path(folder) / FILE).write_text(json.dumps(configuration.content), encoding="utf-8")
        yield folder


def _device() -> str:
    """What SGLang can run on here."""
    return "cuda" if Path("/dev/nvidiactl").exists() or Path("/dev/kfd").exists() else "cpu"


def _ranks(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= 1024:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of ranks")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="opcov capture sglang",
        usage="opcov capture sglang MODEL --out DIR [options] [-- ARGUMENT ...]",
        description="Runs SGLang's benchmark of one batch with random weights, one process a tensor-parallel rank, and "
        "saves every graph of the model's decode step that SGLang compiles. Arguments behind -- are SGLang's own: "
        "-- --attention-backend triton --batch-size 1. Without --timeout the run is ended after an hour.",
        allow_abbrev=False,
        epilog="Exit codes: 0 captured; 1 the run failed, or a rank did, or saved less than it should; 2 nothing could "
        "be captured.",
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="a bundled name (opcov capture hf --list), another name on the Hugging Face Hub, or a folder with a "
        "config.json",
    )
    group = parser.add_argument_group("sglang")
    group.add_argument(
        "--name", metavar="ORG/MODEL", default="", help="the model's folder below DIR (default: what MODEL says)"
    )
    group.add_argument("--tp-size", metavar="N", type=_ranks, default=1, help="tensor-parallel ranks (default 1)")
    group.add_argument(
        "--device",
        choices=("cuda", "cpu"),
        help="where it runs (default: cuda where there is one). On cpu, packages that need a GPU are stood in for, and "
        "ranks talk through gloo: dense and mixture-of-experts models in bfloat16 share most ops with a GPU",
    )
    group.add_argument(
        "--no-native",
        metavar="OP",
        action="append",
        default=[],
        help="a layer class of SGLang, such as TopK, that keeps its own forward where SGLang would compile a native "
        "one; may be given again",
    )
    group.add_argument(
        "--everything", action="store_true", help="also graphs of functions that SGLang compiles apart from the model"
    )
    add_shared(parser, "the corpus: the model's folder is made in it", can_fake=False)
    return parser
