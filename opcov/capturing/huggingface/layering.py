"""Keeps a few of a model's layers, at least one of each kind, by rewriting what its configuration says of layers."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

NUMBER = "num_hidden_layers"
_FIRST_ARE_DENSE = ("first_k_dense_replace", "num_dense_layers", "first_k_dense", "moe_layer_start_index")
"""Fields that count the layers, from the first, that have no experts."""
_STEP = "decoder_sparse_step"
_DENSE = "mlp_only_layers"
"""Every so manieth layer has experts, but for those that are named."""
_PLACES = ("idx", "index", "layer_id", "layer_number")
"""Parts of the names of attributes in which a layer keeps its number."""


def kinds(model: torch.nn.Module, number: int, types: Sequence[str] | None) -> list[Hashable]:
    """What each layer is made of: its modules, the sizes of their parameters, their switches, and its declared type.

    Args:
        model: as it was built, on any device.
        number: of its layers.
        types: that the configuration declares, one a layer.

    Returns:
        One value a layer, in order; equal ones are of one kind. None at all where the layers are not to be found.
    """
    import torch

    for module in model.modules():
        if isinstance(module, torch.nn.ModuleList) and len(module) == number:
            declared = list(types) if types is not None and len(types) == number else [""] * number
            return [(word, *_made_of(layer)) for word, layer in zip(declared, module, strict=True)]
    return []


def _made_of(layer: torch.nn.Module) -> tuple[Hashable, ...]:
    modules: list[Hashable] = []
    for path, module in layer.named_modules():
        # Numbers that are no switch, such as a scale by depth, would make a kind of each layer.
        switches = tuple(
            (name, value)
            for name, value in sorted(vars(module).items())
            if (value is None or isinstance(value, (bool, str, int)))
            and name != "training"
            and not any(part in name for part in _PLACES)
        )
        sizes = tuple((name, tuple(one.shape)) for name, one in module.named_parameters(recurse=False))
        modules.append((path, type(module).__name__, switches, sizes))
    return tuple(modules)


def chosen(found: Sequence[Hashable], at_least: int) -> list[int]:
    """The first layer of each kind, and as many of the first others as are wanted, in order."""
    first = [place for place, kind in enumerate(found) if kind not in found[:place]]
    others = [place for place in range(len(found)) if place not in first]
    return sorted([*first, *others[: max(0, at_least - len(first))]])


def prefix(found: Sequence[Hashable], at_least: int) -> list[int]:
    """So many layers from the first that each kind is among them; rules that go by the number of a layer stay true."""
    last = max((place for place, kind in enumerate(found) if kind not in found[:place]), default=0)
    return list(range(min(len(found), max(last + 1, at_least))))


def with_layers(content: Mapping[str, Any], kept: Sequence[int]) -> dict[str, Any]:
    """A configuration of some of the layers of another.

    Args:
        content: all its fields, defaults included; `num_hidden_layers` under that name.
        kept: the numbers of the layers, in order.
    """
    number = content[NUMBER]
    changed: dict[str, Any] = {}
    for name, value in content.items():
        if isinstance(value, list) and ("layer" in name or len(value) == number):
            changed[name] = _of_layers(value, kept, number)
        elif isinstance(value, dict) and "layer" in name and all(str(key).isdecimal() for key in value):
            changed[name] = _by_layer(value, kept)
        elif name in _FIRST_ARE_DENSE and isinstance(value, int):
            changed[name] = sum(place < value for place in kept)
        else:
            changed[name] = value
    step, dense = content.get(_STEP), content.get(_DENSE)
    if isinstance(step, int) and step > 1 and isinstance(dense, list) and list(kept) != list(range(len(kept))):
        without = [place in dense or (place + 1) % step != 0 for place in kept]
        changed |= {_STEP: 1, _DENSE: [place for place, is_dense in enumerate(without) if is_dense]}
    return changed | {NUMBER: len(kept)}


def _of_layers(value: list[Any], kept: Sequence[int], number: int) -> list[Any]:
    """A list with an entry a layer, or one of the numbers of layers."""
    is_numbers = all(isinstance(one, int) and not isinstance(one, bool) and one < number for one in value)
    if is_numbers and all(one < other for one, other in pairwise(value)):
        return [place for place, layer in enumerate(kept) if layer in value]
    return [value[layer] for layer in kept] if len(value) >= number else value


def _by_layer(value: Mapping[Any, Any], kept: Sequence[int]) -> dict[Any, Any]:
    """What is said of single layers, under their numbers."""
    places = {layer: place for place, layer in enumerate(kept)}
    return {type(key)(places[int(key)]): one for key, one in value.items() if int(key) in places}


def reduced(
    content: Mapping[str, Any],
    found: Sequence[Hashable],
    at_least: int,
    kinds_of: Callable[[Mapping[str, Any]], Sequence[Hashable]],
) -> tuple[dict[str, Any], list[int]] | None:
    """The fewest layers that are wanted, with one of each kind.

    Args:
        content: as for `with_layers`.
        found: the kind of each layer.
        at_least: that many layers, where the model has them.
        kinds_of: builds what a configuration describes, and tells the kinds of its layers.

    Returns:
        The configuration and the numbers of the layers that it keeps; None where none with these kinds can be written.
    """
    for kept in (chosen(found, at_least), prefix(found, at_least)):
        changed = with_layers(content, kept)
        if list(kinds_of(changed)) == [found[place] for place in kept]:
            return changed, kept
    return None
