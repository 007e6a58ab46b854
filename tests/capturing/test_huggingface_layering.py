"""Some layers of a model are kept, one of each kind at least, and what a configuration says of layers follows."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pytest
import torch

from opcov.capturing.huggingface.layering import chosen, kinds, prefix, reduced, with_layers


def test_the_first_of_each_kind_is_chosen_before_others() -> None:
    assert chosen("lllflllf", 2) == [0, 3]
    assert chosen("lllflllf", 4) == [0, 1, 2, 3]
    assert chosen("dddmmm", 3) == [0, 1, 3]


def test_no_fewer_layers_are_chosen_than_there_are_kinds() -> None:
    assert chosen("abc", 1) == [0, 1, 2]


def test_a_prefix_reaches_the_last_kind() -> None:
    assert prefix("lllflllf", 2) == [0, 1, 2, 3]
    assert prefix("aaaa", 2) == [0, 1]


FOUR: dict[str, Any] = {"num_hidden_layers": 4}


@pytest.mark.parametrize(
    ("name", "value", "kept", "expected"),
    [
        ("layer_types", ["l", "l", "l", "f"], [0, 3], ["l", "f"]),
        ("no_rope_layers", [1, 1, 1, 0], [0, 3], [1, 0]),
        ("no_rope_layers", [1, 1, 1, 0, 1, 1], [0, 3], [1, 0]),
        ("moe_layers", [1, 3], [0, 1, 3], [1, 2]),
        ("mlp_only_layers", [], [0, 1], []),
        ("first_k_dense_replace", 3, [0, 3], 1),
        ("per_layer_config", {3: "x", 2: "y"}, [0, 3], {1: "x"}),
        ("per_layer_config", {"3": "x"}, [0, 3], {"1": "x"}),
        ("intermediate_size", [1, 2, 3, 4], [0, 3], [1, 4]),
        ("eos_token_id", [7, 8], [0, 3], [7, 8]),
    ],
)
def test_what_is_said_of_layers_is_said_of_those_that_are_left(
    name: str, value: Any, kept: list[int], expected: Any
) -> None:
    changed = with_layers({**FOUR, name: value}, kept)
    assert changed == {"num_hidden_layers": len(kept), name: expected}


def test_layers_with_experts_by_their_number_are_named_once_some_are_left_out() -> None:
    content = {**FOUR, "decoder_sparse_step": 2, "mlp_only_layers": [3]}
    # Only layer 1 has experts: 0 and 2 by the step, 3 by its name.
    assert with_layers(content, [1, 3]) == {"num_hidden_layers": 2, "decoder_sparse_step": 1, "mlp_only_layers": [1]}


def by_types(content: Mapping[str, Any]) -> Sequence[Hashable]:
    return list(content["layer_types"])


def test_a_configuration_is_reduced_to_one_layer_of_each_kind() -> None:
    content = {**FOUR, "layer_types": ["l", "l", "l", "f"]}
    result = reduced(content, by_types(content), 2, by_types)
    assert result == ({"num_hidden_layers": 2, "layer_types": ["l", "f"]}, [0, 3])


def test_where_layers_go_by_their_number_the_first_ones_are_kept() -> None:
    """No field tells which layer has experts: every third one has, whatever is left out."""

    def every_third(content: Mapping[str, Any]) -> Sequence[Hashable]:
        return [(place + 1) % 3 == 0 for place in range(content["num_hidden_layers"])]

    content = {"num_hidden_layers": 6}
    assert reduced(content, every_third(content), 2, every_third) == ({"num_hidden_layers": 3}, [0, 1, 2])


def test_a_configuration_that_cannot_be_reduced_is_none() -> None:
    def always_six(_content: Mapping[str, Any]) -> Sequence[Hashable]:
        return "aaaaab"

    assert reduced({"num_hidden_layers": 6, "layer_types": None}, "abaaaa", 2, always_six) is None


class Layer(torch.nn.Module):
    def __init__(self, place: int, *, window: int | None = None, width: int = 2) -> None:
        super().__init__()
        self.layer_idx = place
        self.window = window
        self.scale = 0.5**place
        self.project = torch.nn.Linear(2, width)


def kinds_of(*layers: Layer) -> list[Hashable]:
    return kinds(torch.nn.Sequential(torch.nn.ModuleList(layers)), len(layers), None)


def test_layers_that_differ_in_their_number_alone_are_of_one_kind() -> None:
    assert len(set(kinds_of(Layer(0), Layer(1)))) == 1


def test_layers_with_another_switch_or_size_are_of_another_kind() -> None:
    assert len(set(kinds_of(Layer(0), Layer(1, window=4), Layer(2, width=3)))) == 3


def test_layers_of_another_declared_type_are_of_another_kind() -> None:
    model = torch.nn.Sequential(torch.nn.ModuleList([Layer(0), Layer(1)]))
    assert len(set(kinds(model, 2, ["sliding_attention", "full_attention"]))) == 2


def test_a_model_without_a_list_of_so_many_layers_has_no_kinds() -> None:
    assert kinds(torch.nn.Linear(1, 1), 2, None) == []
