"""A shrunk configuration is small, and keeps the relations between sizes that a model's code relies on."""

from __future__ import annotations

from typing import Any

import pytest

from opcov.capturing.huggingface.shrinking import shrunk


def small(**content: Any) -> dict[str, Any]:
    common = {"hidden_size": 4096, "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 100_000}
    return shrunk({**common, "max_position_embeddings": 8192, **content})


def test_heads_still_share_keys_and_values() -> None:
    result = small()
    assert 1 < result["num_key_value_heads"] < result["num_attention_heads"]
    assert result["num_attention_heads"] % result["num_key_value_heads"] == 0


@pytest.mark.parametrize(("heads", "shared"), [(32, 32), (8, 1), (2, 1), (1, 1), (14, 2), (40, 10)])
def test_heads_share_as_they_did(heads: int, shared: int) -> None:
    result = small(num_attention_heads=heads, num_key_value_heads=shared)
    tiny, tiny_shared = result["num_attention_heads"], result["num_key_value_heads"]
    assert tiny % tiny_shared == 0
    assert (tiny == tiny_shared, tiny_shared == 1) == (heads == shared, shared == 1)


@pytest.mark.parametrize("head_dim", [64, 128, 256])
def test_a_projection_to_the_heads_stays_wider_as_wide_or_narrower(head_dim: int) -> None:
    result = small(head_dim=head_dim)
    before = 32 * head_dim - 4096
    after = result["num_attention_heads"] * result["head_dim"] - result["hidden_size"]
    assert (before > 0, before < 0) == (after > 0, after < 0)


def test_without_a_size_of_heads_they_divide_the_model() -> None:
    result = small()
    assert result["hidden_size"] % result["num_attention_heads"] == 0


@pytest.mark.parametrize("size", [1024, 4096, 14336])
def test_an_inner_size_stays_smaller_equal_or_larger_than_the_model(size: int) -> None:
    result = small(intermediate_size=size)
    inner, hidden = result["intermediate_size"], result["hidden_size"]
    assert (inner > hidden, inner < hidden) == (size > 4096, size < 4096)


def test_two_inner_sizes_stay_two() -> None:
    result = small(intermediate_size=8192, intermediate_size_mlp=16384)
    assert result["intermediate_size"] < result["intermediate_size_mlp"]


@pytest.mark.parametrize("wanted", [1, 2, 4, 8, 10])
def test_a_token_takes_no_more_experts_than_there_are(wanted: int) -> None:
    result = small(num_experts=512, num_experts_per_tok=wanted)
    assert result["num_experts_per_tok"] < result["num_experts"]
    assert (result["num_experts_per_tok"] == 1) == (wanted == 1)


def test_groups_of_experts_stay_groups_with_two_to_choose_in_each() -> None:
    result = small(n_routed_experts=256, n_group=8, topk_group=4, num_experts_per_tok=8, topk_method="noaux_tc")
    assert 1 <= result["topk_group"] < result["n_group"]
    assert result["n_routed_experts"] // result["n_group"] >= 2
    assert result["num_experts_per_tok"] <= result["topk_group"] * result["n_routed_experts"] // result["n_group"]
    assert result["topk_method"] == "noaux_tc"


def test_what_latent_attention_turns_is_even_and_sums_up() -> None:
    result = small(
        qk_rope_head_dim=64, qk_nope_head_dim=128, v_head_dim=128, qk_head_dim=192, head_dim=64, q_lora_rank=None
    )
    assert result["qk_rope_head_dim"] % 2 == 0
    assert result["qk_head_dim"] == result["qk_rope_head_dim"] + result["qk_nope_head_dim"]
    assert result["head_dim"] == result["qk_rope_head_dim"]
    assert result["q_lora_rank"] is None


@pytest.mark.parametrize(("keys", "values"), [(16, 32), (16, 48), (16, 16)])
def test_heads_of_linear_attention_divide_each_other_as_before(keys: int, values: int) -> None:
    result = small(num_attention_heads=24, linear_num_key_heads=keys, linear_num_value_heads=values)
    assert result["linear_num_value_heads"] % result["linear_num_key_heads"] == 0
    assert (result["linear_num_value_heads"] == result["linear_num_key_heads"]) == (keys == values)


@pytest.mark.parametrize("share", [0.25, 0.4, 0.5, 0.75, 1.0])
def test_the_turned_share_of_a_head_is_even(share: float) -> None:
    result = small(head_dim=128, rope_parameters={"rope_type": "default", "partial_rotary_factor": share})
    assert int(result["head_dim"] * share) % 2 == 0


def test_factors_of_a_scaling_are_as_many_as_pairs_are_turned() -> None:
    factors = [1.0 + place for place in range(48)]
    rope = {"rope_type": "longrope", "partial_rotary_factor": 0.75, "long_factor": factors}
    result = small(head_dim=128, rope_parameters=rope)
    turned = int(result["head_dim"] * 0.75)
    assert result["rope_parameters"]["long_factor"] == factors[: turned // 2]


def test_sections_of_a_rotation_fill_it_and_none_is_empty() -> None:
    rope = {"rope_type": "default", "partial_rotary_factor": 0.25, "mrope_section": [11, 11, 10]}
    result = small(head_dim=256, rope_parameters=rope)
    sections = result["rope_parameters"]["mrope_section"]
    assert sum(sections) == int(result["head_dim"] * 0.25) // 2
    assert all(sections)


def test_rotations_of_each_type_of_layer_are_shrunk_alike() -> None:
    one = {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 1024}
    result = small(rope_parameters={"full_attention": one, "sliding_attention": {"rope_type": "default"}})
    assert result["rope_parameters"]["full_attention"]["original_max_position_embeddings"] == 64
    assert result["rope_parameters"]["full_attention"]["factor"] == 8.0


def test_positions_stay_as_many_times_more_as_a_scaling_made_them() -> None:
    rope = {"rope_type": "yarn", "factor": 40, "original_max_position_embeddings": 4096}
    result = small(max_position_embeddings=163_840, rope_parameters=rope)
    assert result["max_position_embeddings"] == 40 * result["rope_parameters"]["original_max_position_embeddings"]


def test_there_are_positions_for_a_long_prompt() -> None:
    content = {"hidden_size": 512, "num_attention_heads": 8, "max_position_embeddings": 4096}
    assert shrunk(content, positions=300)["max_position_embeddings"] >= 300


def test_a_window_is_shorter_than_the_shortest_prompt() -> None:
    result = small(sliding_window=4096, attention_chunk_size=8192, use_sliding_window=False)
    assert (result["sliding_window"], result["attention_chunk_size"]) == (4, 4)
    assert result["use_sliding_window"] is False


def test_special_tokens_are_in_the_vocabulary() -> None:
    result = small(pad_token_id=99_999, bos_token_id=5, eos_token_id=[99_990, 99_991], image_token_id=99_000)
    tokens = (result["pad_token_id"], result["bos_token_id"], *result["eos_token_id"], result["image_token_id"])
    assert all(token < result["vocab_size"] for token in tokens)
    assert result["bos_token_id"] == 5


def test_the_number_and_kinds_of_layers_are_left_alone() -> None:
    layers = {"num_hidden_layers": 48, "layer_types": ["full_attention"] * 48, "first_k_dense_replace": 3}
    result = small(**layers)
    assert {name: result[name] for name in layers} == layers


def test_sizes_that_are_told_for_each_layer_shrink_each() -> None:
    result = small(intermediate_size=[8192, 16384])
    assert result["intermediate_size"] == sorted(set(result["intermediate_size"]))
    assert max(result["intermediate_size"]) < 1000


def test_heads_of_a_state_space_fill_it() -> None:
    state = {"mamba_expand": 2, "mamba_n_heads": 128, "mamba_d_head": 64, "mamba_d_ssm": 8192, "mamba_n_groups": 1}
    result = small(**state)
    assert result["mamba_n_heads"] * result["mamba_d_head"] == result["mamba_d_ssm"] == 2 * result["hidden_size"]


def test_nothing_grows() -> None:
    tiny = {"hidden_size": 8, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 4, "vocab_size": 10}
    result = shrunk({**tiny, "max_position_embeddings": 16, "intermediate_size": 16, "num_experts": 2})
    assert all(result[name] <= value for name, value in tiny.items())
