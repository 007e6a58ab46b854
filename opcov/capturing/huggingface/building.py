"""Builds a transformers model from the content of a config.json; what it cannot build ends in one sentence."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForSeq2SeqLM

from opcov.capturing.huggingface.layering import NUMBER, kinds, reduced
from opcov.capturing.huggingface.shrinking import shrunk
from opcov.problems import UsageError

FEWEST_LAYERS = 2
"""Of a tiny model: a second one shows what repeats."""

_LONGEST = 300
"""Letters that are told of an exception."""

_COMMON = (
    "hidden_size",
    "num_attention_heads",
    "num_key_value_heads",
    NUMBER,
    "max_position_embeddings",
    "head_dim",
    "vocab_size",
)
"""Names that transformers gives to what a configuration may call otherwise."""


_CAUSAL = (transformers.MODEL_FOR_CAUSAL_LM_MAPPING, AutoModelForCausalLM)
_SEQUENCE_TO_SEQUENCE = (transformers.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING, AutoModelForSeq2SeqLM)
_ANY = (transformers.MODEL_MAPPING, AutoModel)
"""Which configurations have a model of a kind, and what builds it."""


@dataclass(frozen=True, slots=True)
class Described:
    """What is to be built, and what it was made of.

    Attributes:
        config: of transformers; of a model of language alone, where there is one in it.
        replaced: what was left out or changed on the way, in plain words.
    """

    config: Any
    replaced: tuple[str, ...]


def described(
    content: Mapping[str, Any], *, tiny: bool = False, layers: int | None = None, positions: int = 0, dtype: str = ""
) -> Described:
    """Makes a configuration of the content of a config.json.

    Args:
        content: of the file.
        tiny: whether every dimension is shrunk.
        layers: how many to keep, with one of each kind; None for all, or for as few as a tiny model needs.
        positions: that the run needs.
        dtype: of the weights; "" for what the configuration says, bfloat16 where it does not.

    Raises:
        UsageError: it needs code that transformers does not have, or describes nothing that can be built.
    """
    notes: list[str] = []
    config = _part_to_run(_config(_without_strangers(content, notes)), notes)
    try:
        if tiny or layers is not None:
            config = _with_fewer_layers(config, layers, notes)
        if tiny:
            config = _tiny(config, positions, notes)
        chosen = dtype or str(getattr(config, "dtype", None) or "bfloat16").removeprefix("torch.")
        config.dtype = getattr(torch, chosen)
    except UsageError:
        raise
    except Exception as error:
        raise UsageError(f"transformers cannot build this configuration: {_said(error)}") from error
    return Described(config, tuple(notes))


def build(config: Any, *, attention: str = "", experts: str = "") -> Any:
    """Builds a model with random weights, for inference, on the device that torch creates tensors on.

    Args:
        config: of transformers.
        attention: which of transformers' attentions; "" for what it prefers.
        experts: which of transformers' ways to run experts; "" for what it prefers.

    Raises:
        UsageError: the model refuses its configuration.
    """
    chosen = {"attn_implementation": attention, "experts_implementation": experts}
    try:
        model: Any = _head(config).from_config(
            config, dtype=config.dtype, **{name: value for name, value in chosen.items() if value}
        )
    except Exception as error:
        raise UsageError(f"transformers cannot build a {config.model_type} model of this: {_said(error)}") from error
    return model.eval()


@contextlib.contextmanager
def sketching() -> Iterator[None]:
    """While it lasts, models are built without memory for their weights, and without a word about it."""
    before = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity(transformers.logging.CRITICAL)
    try:
        with torch.device("meta"):
            yield
    finally:
        transformers.logging.set_verbosity(before)


def _without_strangers(content: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    """The content without what cannot be followed: remote code, and how weights were stored.

    Raises:
        UsageError: without its remote code there is no model.
    """
    kept = dict(content)
    model_type = str(kept.get("model_type"))
    is_known = model_type in transformers.CONFIG_MAPPING
    remote = kept.pop("auto_map", None)
    if not is_known:
        why = "needs code of its own (auto_map), which opcov never runs" if remote else "is none that it knows"
        raise UsageError(f"transformers {transformers.__version__} cannot build it: model_type {model_type!r} {why}")
    if remote:
        notes.append(f"auto_map: transformers' own {model_type} instead of remote code")
    for part in (kept, *(one for one in kept.values() if isinstance(one, dict))):
        stored = part.pop("quantization_config", None)
        if isinstance(stored, dict):
            method = stored.get("quant_method") or "unnamed"
            notes.append(f"quantization_config ({method}): weights are not quantized")
    return kept


def _config(content: Mapping[str, Any]) -> Any:
    given = dict(content)
    model_type = given.pop("model_type")
    try:
        return AutoConfig.for_model(model_type, **given)
    except Exception as error:
        raise UsageError(f"transformers refuses this configuration: {_said(error)}") from error


def _part_to_run(config: Any, notes: list[str]) -> Any:
    """The configuration of the part that speaks; all of it where none does."""
    part = config.get_text_config(decoder=True)
    # Of an encoder and decoder that share a configuration it makes one of the decoder, of which nothing can be built.
    if type(part) is not type(config) and _head(part) is AutoModelForCausalLM:
        notes.append(f"{config.model_type}: only its model of language, {part.model_type}")
        return part
    if _head(config) is None:
        raise UsageError(f"transformers has no model of a {config.model_type} configuration by itself")
    return config


def _head(config: Any) -> Any:
    """The Auto class that builds a model of a configuration: one that generates, where there is one; None for none."""
    generating = (_SEQUENCE_TO_SEQUENCE, _CAUSAL) if config.is_encoder_decoder else (_CAUSAL, _SEQUENCE_TO_SEQUENCE)
    return next((head for mapping, head in (*generating, _ANY) if type(config) in mapping), None)


def _with_fewer_layers(config: Any, wanted: int | None, notes: list[str]) -> Any:
    """The same model with fewer layers; where nobody asks for a number, one that keeps all of them will do."""
    content = _common(config)
    found = _kinds(config)
    at_least = min(wanted or FEWEST_LAYERS, len(found))
    cut = None
    if found and content.get(NUMBER) == len(found):
        cut = reduced(content, found, at_least, lambda changed: _kinds_or_none(config, changed))
    if cut is None:
        if wanted is None:
            notes.append("all layers are kept, since their kinds would not be the same with fewer")
            return config
        raise UsageError(f"no {config.model_type} of fewer layers has one of each of its kinds: leave out --layers")
    changed, kept = cut
    if len(kept) < len(found):
        numbers = ", ".join(str(place) for place in kept)
        notes.append(f"{len(kept)} of {len(found)} layers, one of each kind at least: {numbers}")
    return _made(config, changed)


def _tiny(config: Any, positions: int, notes: list[str]) -> Any:
    content = shrunk(_common(config), positions=positions)
    parts = {name: value for name, value in content.items() if isinstance(value, dict) and value.get("model_type")}
    small = _made(config, content | {name: shrunk(part, positions=positions) for name, part in parts.items()})
    before, after = _kinds(config), _kinds(small)
    if len(set(before)) != len(set(after)):
        raise UsageError(f"a shrunk {config.model_type} has {len(set(after))} kinds of layers, not {len(set(before))}")
    notes.append("every dimension is shrunk")
    return small


def _kinds(config: Any) -> list[Hashable]:
    with sketching():
        model = build(config)
    return kinds(model, getattr(config, NUMBER, 0), getattr(config, "layer_types", None))


def _kinds_or_none(config: Any, content: Mapping[str, Any]) -> list[Hashable]:
    try:
        return _kinds(_made(config, content))
    except Exception:  # noqa: BLE001 - each class has checks of its own; a configuration that it refuses is none
        return []


def _common(config: Any) -> dict[str, Any]:
    """All fields, under the names that transformers' models have in common."""
    # Two names may stand for one field: the first of them is the one that most rules go by.
    other = {config.attribute_map[name]: name for name in reversed(_COMMON) if name in config.attribute_map}
    return {other.get(name, name): value for name, value in config.to_dict().items()}


def _made(config: Any, content: Mapping[str, Any]) -> Any:
    """A configuration of the same class."""
    own: dict[str, str] = config.attribute_map
    make: Callable[[dict[str, Any]], Any] = type(config).from_dict
    before = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity(transformers.logging.CRITICAL)
    try:
        return make({own.get(name, name) if name in _COMMON else name: value for name, value in content.items()})
    finally:
        transformers.logging.set_verbosity(before)


def _said(error: BaseException) -> str:
    """What an exception says, in one line."""
    words = " ".join(str(error).split())
    told = words if len(words) <= _LONGEST else f"{words[:_LONGEST]}..."
    return f"{type(error).__name__}: {told}" if told else type(error).__name__
