"""Shrinks every dimension of a configuration, so that a model of its kind fits anywhere, and stays lawful.

The rules go by the names of fields, as transformers' configurations use them, and by what is equal to what: what
divides another size, is smaller than it, or is the same, stays so. Whether a model takes the result is found out by
building it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

HEADS = 4
HEAD_DIM = 16
EXPERTS = 4
RANK = 16
VOCABULARY = 128
WINDOW = 4
"""Shorter than the prompt, so that a window is more than a mask of ones."""
POSITIONS = 64

_MOST_POSITIONS = 1 << 20
_IDS = re.compile(r"_(token|image|video|audio)_?(id|ids|index)$|_token_(id|index)")
_NESTED = ("rope_parameters", "rope_scaling")


@dataclass(frozen=True, slots=True)
class _Sizes:
    """What the rules need to know of a configuration, before and after.

    Attributes:
        heads: of attention, as they were.
        hidden: size, as it was.
        head_dim: as it was.
        tiny_heads: how many are left.
        tiny_hidden: what is left of it.
        tiny_head_dim: what is left of it.
        groups: of experts, as they were; 1 where there are none.
        chosen: of these groups, for a token.
        positions: that the run needs.
        stretch: how many times more positions there are than before a scaling of them.
    """

    heads: int
    hidden: int
    head_dim: int
    tiny_heads: int
    tiny_hidden: int
    tiny_head_dim: int
    groups: int
    chosen: int
    positions: int
    stretch: float


def shrunk(content: Mapping[str, Any], *, positions: int = POSITIONS) -> dict[str, Any]:
    """Shrinks sizes; how many layers there are, and of which kind, stays.

    Args:
        content: all fields of a configuration, defaults included, under the names that transformers' models have in
            common (`num_attention_heads`, not `n_head`).
        positions: that the run needs.

    Returns:
        The same fields.
    """
    sizes = _sizes(content, positions)
    small = {name: _field(name, value, sizes) for name, value in content.items()}
    for name in _NESTED:
        if isinstance(content.get(name), dict):
            small[name] = _rope(content[name], sizes, content)
    return _related(small, content)


def _sizes(content: Mapping[str, Any], positions: int) -> _Sizes:
    heads = _whole(content.get("num_attention_heads")) or HEADS
    hidden = _whole(content.get("hidden_size")) or heads * HEAD_DIM
    explicit = _whole(content.get("head_dim"))
    head_dim = explicit or max(1, hidden // heads)
    tiny_heads = min(heads, HEADS)
    tiny_head_dim = HEAD_DIM
    while tiny_head_dim < head_dim and not all(
        _rotary(tiny_head_dim, share) % 2 == 0 and _rotary(tiny_head_dim, share) // 2 >= sections
        for share, sections in _rotations(content)
    ):
        tiny_head_dim *= 2
    tiny_hidden = tiny_heads * tiny_head_dim
    if explicit and "qk_rope_head_dim" not in content:
        # A projection that is not square stays so, in the same direction.
        tiny_hidden = tiny_hidden // 2 if heads * head_dim > hidden else tiny_hidden
        tiny_hidden = tiny_hidden * 2 if heads * head_dim < hidden else tiny_hidden
    groups = _whole(content.get("n_group")) or 1
    most = _whole(content.get("max_position_embeddings")) or POSITIONS
    return _Sizes(
        heads,
        hidden,
        head_dim,
        tiny_heads,
        tiny_hidden,
        tiny_head_dim,
        groups,
        _whole(content.get("topk_group")) or 1,
        max(positions, POSITIONS),
        max(1.0, most / (_positions_before(content) or most)),
    )


# --- fields, by their names -------------------------------------------------------------------------------------------


def _field(name: str, value: Any, sizes: _Sizes) -> Any:
    """What becomes of one field."""
    if _IDS.search(name):
        return _token(name, value)
    if isinstance(value, list) and value and all(_whole(one) is not None for one in value):
        return [_field(name, one, sizes) for one in value]  # one a layer
    number = _whole(value)
    if number is None:
        return value
    for pattern, rule in _RULES:
        if pattern.search(name):
            return min(number, rule(number, sizes))
    same = number == sizes.hidden and number > HEADS * HEAD_DIM and re.search(r"size|dim|width|embd", name)
    return sizes.tiny_hidden if same else value


def _inner(number: int, sizes: _Sizes) -> int:
    """A size between two projections: wider than the model, as wide, or narrower, as it was."""
    if number == sizes.hidden:
        return sizes.tiny_hidden
    times = max(2, min(4, round(number / sizes.hidden)))
    return times * sizes.tiny_hidden if number > sizes.hidden else max(HEAD_DIM, sizes.tiny_hidden // 2)


def _head(number: int, sizes: _Sizes) -> int:
    """The size of another kind of head, in the same proportion."""
    return max(8, 2 * round(sizes.tiny_head_dim * number / sizes.head_dim / 2))


def _many_heads(number: int, sizes: _Sizes) -> int:
    """Another number of heads: a power of two, so that what divided another still does."""
    share = sizes.tiny_heads * number / sizes.heads
    return 1 << max(0, math.floor(math.log2(share))) if share >= 1 else min(number, 2)


def _key_value_heads(number: int, sizes: _Sizes) -> int:
    if number >= sizes.heads:
        return sizes.tiny_heads
    return min(number, 2, max(1, sizes.tiny_heads // 2))


def _experts(_number: int, sizes: _Sizes) -> int:
    """Two to each group at least, since models add up the two best of a group."""
    return EXPERTS * min(sizes.groups, 2)


def _positions(_number: int, sizes: _Sizes) -> int:
    """As many more as they were than before a scaling."""
    return max(sizes.positions, min(_MOST_POSITIONS, round(sizes.positions * sizes.stretch)))


_Rule = Callable[[int, _Sizes], int]
_RULES: tuple[tuple[re.Pattern[str], _Rule], ...] = tuple(
    (re.compile(pattern), rule)
    for pattern, rule in (
        (r"^hidden_size$", lambda _number, sizes: sizes.tiny_hidden),
        (r"^num_attention_heads$", lambda _number, sizes: sizes.tiny_heads),
        (r"key_value_heads$", _key_value_heads),
        (r"^qk_rope_head_dim$", lambda _number, _sizes: 8),
        (r"^(qk_nope_head_dim|v_head_dim)$", lambda _number, _sizes: HEAD_DIM),
        (r"head_dim$|head_size$|d_head$", _head),
        (r"n(um)?_.*heads$|^n_heads$|_attention_heads$", _many_heads),
        (r"intermediate_size|ffn_(dim|hidden)|^(n_inner|d_ff|mlp_dim)$|_ff_dim", _inner),
        (r"lora_rank$|_rank$", lambda _number, _sizes: RANK),
        (r"shared_experts?$", lambda _number, _sizes: 2),
        (r"experts_per_tok|moe_(top_?)?k$|experts_top_?k|top_?k_experts|router_top_?k", lambda _number, _sizes: 2),
        (r"^topk_group$", lambda _number, sizes: 1 if sizes.chosen < sizes.groups else 2),
        (r"^n_group$", lambda _number, _sizes: 2),
        (r"n(um)?_.*experts$|^num_experts$", _experts),
        (r"vocab_size", lambda _number, _sizes: VOCABULARY),
        (r"sliding_window$|window_size$|attention_window$|attention_chunk_size$", lambda _number, _sizes: WINDOW),
        (r"^(original|initial)_.*(position|context)", lambda _number, sizes: sizes.positions),
        (r"max_position|^n_positions$|max_seq(uence)?_len|^n_ctx$", _positions),
        (r"d_state$|state_size$", lambda _number, _sizes: HEAD_DIM),
        (r"n_groups$", lambda _number, _sizes: 1),
    )
)


def _token(name: str, value: Any) -> Any:
    """The number of a special token; one that the small vocabulary has."""
    places = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    if isinstance(value, list):
        return [_token(name, one) for one in value[:1]]
    number = _whole(value)
    return value if number is None or number < VOCABULARY else places.get(name, 3)


# --- rotary embeddings ------------------------------------------------------------------------------------------------


def _rotations(content: Mapping[str, Any]) -> list[tuple[float, int]]:
    """For each rotary embedding, which share of a head it turns, and in how many sections at least."""
    found = [(_share(one, content), max(1, len(one.get("mrope_section") or ()))) for one in _scalings(content)]
    return found or [(_share({}, content), 1)]


def _scalings(content: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What a configuration says of its rotary embedding, or of those of each type of layer."""
    found: list[Mapping[str, Any]] = []
    for value in (content.get(name) for name in _NESTED):
        if isinstance(value, dict):
            found += [one for one in value.values() if isinstance(one, dict)] or [value]
    return found


def _share(scaling: Mapping[str, Any], content: Mapping[str, Any]) -> float:
    told = scaling.get("partial_rotary_factor") or content.get("partial_rotary_factor") or 1.0
    return float(told) if isinstance(told, (int, float)) and 0 < told <= 1 else 1.0


def _rotary(head_dim: int, share: float) -> int:
    return int(head_dim * share)


def _rope(value: Mapping[str, Any], sizes: _Sizes, content: Mapping[str, Any]) -> dict[str, Any]:
    share = _share(value, content)
    if "qk_rope_head_dim" in content:
        old, new = _whole(content["qk_rope_head_dim"]) or 8, 8
    else:
        old, new = _rotary(sizes.head_dim, share), _rotary(sizes.tiny_head_dim, share)
    small: dict[str, Any] = {}
    for name, one in value.items():
        if isinstance(one, dict):
            small[name] = _rope(one, sizes, content)
        elif name == "mrope_section" and isinstance(one, list):
            small[name] = _sections(one, new // 2)
        elif isinstance(one, list) and len(one) == old // 2:
            small[name] = one[: new // 2]
        else:
            small[name] = sizes.positions if "position" in name and _whole(one) is not None else one
    return small


def _sections(sections: list[Any], total: int) -> list[int]:
    """As many sections with another sum, the first ones larger."""
    each, more = divmod(total, max(1, len(sections)))
    return [each + (place < more) for place in range(len(sections))]


def _positions_before(content: Mapping[str, Any]) -> int | None:
    """How many positions there were before a scaling of them."""
    told = (_whole(one.get("original_max_position_embeddings")) for one in (content, *_scalings(content)))
    return next((number for number in told if number), None)


# --- what follows from other fields -----------------------------------------------------------------------------------


def _related(small: dict[str, Any], content: Mapping[str, Any]) -> dict[str, Any]:
    """Sets the fields that have to equal something made of others."""
    parts = ("qk_rope_head_dim", "qk_nope_head_dim")
    if all(_whole(content.get(name)) for name in parts):
        whole = sum(content[name] for name in parts)
        same = [name for name, value in content.items() if value == whole and name.endswith("head_dim")]
        small |= dict.fromkeys(same, sum(small[name] for name in parts))
    if _whole(small.get("qk_rope_head_dim")) and content.get("head_dim") == content.get("qk_rope_head_dim"):
        small["head_dim"] = small["qk_rope_head_dim"]
    for heads, size in (
        ("mamba_n_heads", "mamba_d_head"),
        ("mamba_num_heads", "mamba_head_dim"),
        ("num_heads", "head_dim"),
    ):
        expand = _number(small.get("mamba_expand")) or _number(small.get("expand"))
        if expand and _whole(small.get(heads)) and _whole(small.get(size)):
            small[heads] = max(1, int(expand * small["hidden_size"]) // small[size])
    if all(_whole(small.get(name)) for name in ("mamba_d_ssm", "mamba_n_heads", "mamba_d_head")):
        small["mamba_d_ssm"] = small["mamba_n_heads"] * small["mamba_d_head"]
    return small


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
