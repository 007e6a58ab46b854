"""The command `opcov capture hf`: makes a corpus of a transformers model's configuration, without weights."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import metadata

import msgspec

from opcov.capturing.huggingface.finding import Configuration, bundled, found, name_from
from opcov.capturing.launching import Run, launch
from opcov.commands.capture.options import add_shared, setting_from, tell
from opcov.commands.streams import EXIT_FINE, printing
from opcov.problems import UsageError

_PLAYING = "opcov.capturing.huggingface.playing"
_OLDEST = 5
_TINY_PROMPT = 6
_PROMPT = 128
_MOST = 1 << 20


def run(arguments: Sequence[str]) -> int:
    """Captures and tells.

    Args:
        arguments: those behind the name of the command.

    Returns:
        The exit code.

    Raises:
        UsageError: nothing can be captured.
        SystemExit: argparse has printed the help or an error.
    """
    if "--list" in arguments:
        with printing("the list"):
            print("\n".join(bundled()))
        return EXIT_FINE
    options = _parser().parse_args(arguments)
    if options.fake and options.run == "thunderfx":
        raise UsageError("--fake has no data for what ThunderFX compiles: leave out --run thunderfx")
    configuration = found(options.configuration)
    _check_transformers()
    folder = options.out / _name(configuration, options)
    prompt = options.prompt or (_TINY_PROMPT if options.tiny else _PROMPT)
    play = {
        "source": configuration.source,
        "prompt": prompt,
        "decode": options.decode,
        "tiny": options.tiny,
        "layers": options.layers,
        "dtype": options.dtype,
        "attention": options.attention,
        "experts": options.experts,
        "device": options.device,
    }
    device = f"fake {options.device}" if options.fake else options.device
    outcome = launch(
        Run(
            [
                sys.executable,
                "-m",
                "opcov.capturing.child",
                "-m",
                _PLAYING,
                msgspec.json.encode(play).decode(),
            ],
            setting_from(options, folder, device=device),
            ["opcov", "capture", "hf", *arguments],
            about=options.about,
            environment={"HF_HUB_OFFLINE": "1"},  # whatever transformers would like to look up
            options={"run": options.run, "fake": _word(options.fake), **_told(play)},
            timeout=options.timeout,
        )
    )
    return tell(outcome, folder)


def _told(play: dict[str, object]) -> dict[str, str]:
    """The options for the record; where the configuration lies is this machine's own business."""
    return {name: _word(value) for name, value in play.items() if name != "source" and value not in (None, "")}


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _name(configuration: Configuration, options: argparse.Namespace) -> str:
    """The model's folder; a shrunk or cut model never takes the name of the whole."""
    if options.name:
        return name_from(options.name)
    layers = f"-{options.layers}-layers" if options.layers else ""
    return name_from(f"{configuration.name}{layers}{'-tiny' if options.tiny else ''}")


def _check_transformers() -> None:
    try:
        version = metadata.version("transformers")
    except metadata.PackageNotFoundError:
        raise UsageError("transformers is not installed: pip install 'opcov[capture]'") from None
    if not version.partition(".")[0].isdecimal() or int(version.partition(".")[0]) < _OLDEST:
        raise UsageError(f"transformers {version} is too old for `opcov capture hf`: pip install 'opcov[capture]'")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="opcov capture hf",
        usage="opcov capture hf CONFIGURATION --out DIR [--tiny | --fake] [options]\n       opcov capture hf --list",
        description="Runs prefill and decode of a transformers model with random weights, all of it compiled, and "
        "saves its graphs; of a model that generates nothing one forward. Nothing is downloaded: the configuration "
        "comes with opcov, or lies on this machine.",
        allow_abbrev=False,
        epilog="Exit codes: 0 captured; 1 the run failed or saved less than it should; 2 nothing could be captured.",
    )
    parser.add_argument(
        "configuration", metavar="CONFIGURATION", help="a bundled name, a config.json, or a folder with one"
    )
    group = parser.add_argument_group("model")
    group.add_argument("--list", action="store_true", help="tell the names of the bundled configurations")
    group.add_argument(
        "--tiny", action="store_true", help="shrink every dimension; of the layers, one of each kind stays"
    )
    group.add_argument(
        "--layers", metavar="N", type=_count, help="keep only so many layers, one of each kind in any case"
    )
    group.add_argument(
        "--prompt", metavar="N", type=_count, help=f"tokens of the prompt ({_TINY_PROMPT} with --tiny, else {_PROMPT})"
    )
    group.add_argument("--decode", metavar="N", type=_count_or_none, default=1, help="decode steps behind it (1)")
    group.add_argument(
        "--dtype",
        choices=("bfloat16", "float16", "float32"),
        default="",
        help="of the weights (default: what the configuration says, else bfloat16)",
    )
    group.add_argument(
        "--attention", choices=("eager", "sdpa"), default="", help="default: what transformers prefers for the model"
    )
    group.add_argument(
        "--experts",
        choices=("eager", "batched_mm", "grouped_mm"),
        default="",
        help="default: what transformers prefers for the model",
    )
    group.add_argument("--device", type=_device, default="cpu", help="cpu (default) or cuda")
    group.add_argument("--name", metavar="ORG/MODEL", default="", help="the model's folder below --out")
    add_shared(parser, "the corpus: the model gets a folder in it, named after it")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= _MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {_MOST}")
    return int(text)


def _count_or_none(text: str) -> int:
    return 0 if text == "0" else _count(text)


def _device(text: str) -> str:
    kind, _, number = text.partition(":")
    if kind not in ("cpu", "cuda") or (":" in text and not number.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is no device: cpu or cuda")
    return text
