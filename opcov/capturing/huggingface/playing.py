"""What the captured process runs of one model, the whole of it compiled: prefill and decode, or one forward."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import torch

from opcov.capturing.backend import Backend
from opcov.capturing.huggingface import finding
from opcov.capturing.huggingface.building import Described, build, described, sketching
from opcov.capturing.huggingface.layering import NUMBER
from opcov.capturing.records import put
from opcov.capturing.session import Session, current
from opcov.problems import OpcovError, UsageError

MODULE = "opcov.capturing.huggingface.playing"
_CACHES = ("past_key_values", "cache_params")
"""Under which names models return their caches, and take them."""


class Play(msgspec.Struct, frozen=True):
    """What to run; plain values, since another process runs it.

    Attributes:
        source: of the configuration, as `finding.found` takes it.
        prompt: number of tokens of the prefill, or of the one forward.
        decode: number of steps behind it, a token each.
        tiny: whether every dimension is shrunk.
        layers: how many to keep, with one of each kind; None for all.
        dtype: of the weights; "" for what the configuration says.
        attention: which of transformers' attentions; "" for what it prefers.
        experts: which of transformers' ways to run experts; "" for what it prefers.
        device: that the model is on.
    """

    source: str
    prompt: int
    decode: int = 1
    tiny: bool = False
    layers: int | None = None
    dtype: str = ""
    attention: str = ""
    experts: str = ""
    device: str = "cpu"


def main(arguments: list[str]) -> None:
    """Runs what the first argument says, as JSON.

    Raises:
        SystemExit: the model cannot be built or run; that is said in one sentence, here and in `capture.json`.
    """
    what = msgspec.json.decode(arguments[0], type=Play)
    session = current()
    try:
        play(built(what, session), what)
    except OpcovError as error:
        session.note_failure(str(error))
        sys.exit(f"opcov: {error}")


def play(model: Any, what: Play) -> None:
    """A prefill and decode steps with the model's cache; one forward of a model that generates nothing.

    Raises:
        UsageError: it takes what cannot be made up.
    """
    compiled: Any = torch.compile(model, backend=Backend())
    # Not under torch.device(...) as well: Dynamo would trace through that at every op, which doubles the time.
    with torch.no_grad():
        if model.can_generate():
            _generate(compiled, model, what)
        else:
            inputs = _inputs(model, what)
            _say(f"Forward. {', '.join(f'{name}: {list(value.shape)}' for name, value in inputs.items())}")
            current().note_replaced("one forward: the model generates nothing")
            compiled(**inputs)


def _generate(compiled: Callable[..., Any], model: Any, what: Play) -> None:
    prompt = _tokens(model, what)
    one = prompt[:, :1]
    _say(f"Prefill. #tokens: {prompt.numel()}")
    step: dict[str, Any]
    if model.config.is_encoder_decoder:
        # Not told to use a cache, which their decoders do by themselves: some would tell their encoders too.
        output = compiled(input_ids=prompt, decoder_input_ids=one)
        step = {"decoder_input_ids": one, "encoder_outputs": model.get_encoder()(input_ids=prompt)}
    else:
        output = compiled(input_ids=prompt, use_cache=True)
        step = {"input_ids": one, "use_cache": True}
    for _ in range(what.decode):
        cache = {name: output[name] for name in _CACHES if output.get(name) is not None}
        if not cache:
            _say("Decode is left out: the model returns no cache")
            current().note_replaced("decode steps: none, since the model returns no cache")
            break
        _say("Decode. #tokens: 1")
        output = compiled(**step, **cache)


def _inputs(model: Any, what: Play) -> dict[str, torch.Tensor]:
    """What a model takes that generates nothing.

    Raises:
        UsageError: its main input is nothing that can be made up.
    """
    taken = inspect.signature(model.forward).parameters
    found = {name: make(model, what) for name, make in _MADE_UP.items() if name in taken}
    if model.main_input_name not in found:
        raise UsageError(
            f"a {model.config.model_type} model takes {model.main_input_name}, which opcov cannot make up: "
            "run it in a program of your own, under `opcov capture script`"
        )
    return found


def _tokens(model: Any, what: Play) -> torch.Tensor:
    """Token ids, [1, prompt]; as many as there are positions at most."""
    config = model.config.get_text_config()
    number = min(what.prompt, getattr(config, "max_position_embeddings", None) or what.prompt)
    ids: torch.Tensor = torch.arange(number, device=what.device) % config.vocab_size
    return ids.view(1, -1)


def _pixels(model: Any, what: Play) -> torch.Tensor:
    """An image, [1, channels, height, width], or a video, [1, frames, channels, height, width], as configured."""
    config = getattr(model.config, "vision_config", model.config)
    size = getattr(config, "image_size", None) or _IMAGE_SIZE
    height, width = size if isinstance(size, (list, tuple)) else (size, size)
    frames = [config.num_frames] if getattr(config, "num_frames", None) else []
    shape = (1, *frames, getattr(config, "num_channels", 3), height, width)
    return torch.zeros(shape, dtype=model.dtype, device=what.device)


def _sound(model: Any, what: Play) -> torch.Tensor:
    """A second of sound, [1, samples]."""
    return torch.zeros(1, _SAMPLES, dtype=model.dtype, device=what.device)


_IMAGE_SIZE = 224
_SAMPLES = 16_000
_MADE_UP: Mapping[str, Callable[[Any, Play], torch.Tensor]] = {
    "input_ids": _tokens,
    "pixel_values": _pixels,
    "input_values": _sound,
}
"""Inputs that can be made of a configuration alone."""


def built(what: Play, session: Session) -> Any:
    """Builds the model, and records what of it is as published and what is not.

    Raises:
        UsageError: it cannot be built, or has no room.
    """
    content = finding.found(what.source).content
    plan = described(content, tiny=what.tiny, layers=what.layers, positions=what.prompt + what.decode, dtype=what.dtype)
    for note in plan.replaced:
        session.note_replaced(note)
    _check_device(what, session)
    _check_memory(plan, what, session)
    torch.manual_seed(0)
    _say(f"Load model begin. type={plan.config.model_type}, layers={getattr(plan.config, NUMBER, 'not told')}")
    with torch.device(what.device):
        model = build(plan.config, attention=what.attention, experts=what.experts)
    count = sum(parameter.numel() for parameter in model.parameters())
    _say(f"Load model end. type={type(model).__name__}, dtype={model.dtype}, parameters={count:,}")
    session.note_replaced("weights: random")
    session.note_replaced(f"attention: transformers' {model.config._attn_implementation}")
    if model._can_set_experts_implementation():
        session.note_replaced(f"experts: transformers' {model.config._experts_implementation}")
    put(Path(session.setting.folder) / finding.FILE, _text(model.config))
    return model


def _text(config: Any) -> bytes:
    """What was built, as a config.json that can be captured again; experts and attention are options, not fields."""
    text: str = config.to_json_string(use_diff=False)
    return text.encode()


def _say(line: str) -> None:
    """Says how far the run is, on its stdout, which is the run log."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _check_device(what: Play, session: Session) -> None:
    """Whether there is such a device.

    Raises:
        UsageError: there is none.
    """
    if session.setting.fake:
        from opcov.capturing.fake import check_device

        check_device(what.device)
    elif torch.device(what.device).type == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"this machine has no {what.device}: use --device cpu")


def _check_memory(plan: Described, what: Play, session: Session) -> None:
    """Whether the weights fit into memory.

    Raises:
        UsageError: they do not.
    """
    if session.setting.fake:
        return
    with sketching():
        model = build(plan.config)
    needed = sum(one.numel() * one.element_size() for one in (*model.parameters(), *model.buffers()))
    if torch.device(what.device).type == "cuda":
        there = torch.cuda.mem_get_info(what.device)[0]
    else:
        there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    if needed > there:
        raise UsageError(
            f"its weights take {needed / 1e9:,.1f} GB, and there is room for {there / 1e9:,.1f} GB: "
            "use --fake, which needs none, or --tiny, or fewer --layers"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
