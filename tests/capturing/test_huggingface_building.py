"""Bundled configurations are of the published size, and a tiny model of each has all kinds of its layers."""

from __future__ import annotations

import json
from collections.abc import Hashable
from typing import Any

import pytest

pytest.importorskip("transformers")

from opcov.capturing.huggingface.building import build, described, sketching
from opcov.capturing.huggingface.finding import bundled, found
from opcov.capturing.huggingface.layering import kinds
from opcov.problems import UsageError

PUBLISHED = {
    "deepseek-ai/DeepSeek-V3": 671,
    "deepseek-ai/DeepSeek-V3.1": 671,
    "meta-llama/Llama-3.1-8B-Instruct": 8.03,
    "meta-llama/Llama-3.2-1B-Instruct": 1.23,
    "meta-llama/Llama-4-Maverick-17B-128E-Instruct": 400,
    "meta-llama/Llama-4-Scout-17B-16E-Instruct": 109,
    "meta-llama/Meta-Llama-3-8B-Instruct": 8.03,
    "microsoft/phi-4": 14.7,
    "microsoft/Phi-4-mini-reasoning": 3.8,
    "mistralai/Magistral-Small-2509": 23.6,
    "mistralai/Ministral-8B-Instruct-2410": 8.02,
    "mistralai/Mistral-Large-Instruct-2411": 123,
    "mistralai/Mixtral-8x7B-Instruct-v0.1": 46.7,
    "openai/gpt-oss-120b": 117,
    "openai/gpt-oss-20b": 20.9,
    "Qwen/Qwen2.5-0.5B-Instruct": 0.49,
    "Qwen/Qwen2.5-32B-Instruct": 32.5,
    "Qwen/Qwen3-0.6B": 0.6,
    "Qwen/Qwen3-30B-A3B-Instruct-2507": 30.5,
    "Qwen/Qwen3-8B": 8.2,
    "Qwen/Qwen3-Next-80B-A3B-Instruct": 80,
    "Qwen/Qwen3.5-35B-A3B": 35,
    "Qwen/Qwen3.5-9B": 9,
}
"""Billions of parameters as the models' makers tell them, in their cards, papers and names."""

TINY: dict[str, Any] = {"model_type": "llama", "hidden_size": 32, "num_attention_heads": 2, "num_hidden_layers": 2}


def sketched(config: Any) -> Any:
    with sketching():
        return build(config)


def layer_kinds(config: Any) -> list[Hashable]:
    return kinds(sketched(config), config.num_hidden_layers, getattr(config, "layer_types", None))


def size(model: Any) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_each_bundled_configuration_has_a_published_size() -> None:
    assert set(bundled()) == set(PUBLISHED)


@pytest.mark.parametrize("name", bundled())
def test_a_bundled_configuration_is_as_large_as_its_maker_says(name: str) -> None:
    model = sketched(described(found(name).content).config)
    assert size(model) / 1e9 == pytest.approx(PUBLISHED[name], rel=0.02)


@pytest.mark.parametrize("name", bundled())
def test_a_bundled_configuration_is_in_bfloat16(name: str) -> None:
    assert str(described(found(name).content).config.dtype) == "torch.bfloat16"


@pytest.mark.parametrize("name", bundled())
def test_a_tiny_model_is_small_and_has_each_kind_of_layer_of_the_large_one(name: str) -> None:
    large = described(found(name).content).config
    tiny = described(found(name).content, tiny=True).config
    assert size(sketched(tiny)) < 1_000_000
    assert len(set(layer_kinds(tiny))) == len(set(layer_kinds(large)))
    assert max(2, len(set(layer_kinds(large)))) == tiny.num_hidden_layers


def test_a_tiny_qwen3_next_has_linear_and_full_attention() -> None:
    config = described(found("Qwen/Qwen3-Next-80B-A3B-Instruct").content, tiny=True).config
    assert config.layer_types == ["linear_attention", "full_attention"]


def test_a_tiny_deepseek_has_a_dense_layer_and_one_with_experts() -> None:
    layers = sketched(described(found("deepseek-ai/DeepSeek-V3").content, tiny=True).config).model.layers
    assert [type(layer.mlp).__name__ for layer in layers] == ["DeepseekV3MLP", "DeepseekV3MoE"]


def test_a_tiny_maverick_has_layers_with_and_without_rotation_and_experts() -> None:
    config = described(found("meta-llama/Llama-4-Maverick-17B-128E-Instruct").content, tiny=True).config
    assert (config.no_rope_layers, config.moe_layers) == ([1, 1, 0], [1, 2])


def test_layers_can_be_left_out_at_true_size() -> None:
    plan = described(found("deepseek-ai/DeepSeek-V3").content, layers=3)
    assert (plan.config.num_hidden_layers, plan.config.first_k_dense_replace, plan.config.hidden_size) == (3, 2, 7168)
    assert "3 of 61 layers, one of each kind at least: 0, 1, 3" in plan.replaced


def test_more_layers_than_there_are_is_all_of_them() -> None:
    assert described(TINY, layers=9).config.num_hidden_layers == 2


def test_a_model_of_every_dtype_can_be_asked_for() -> None:
    assert str(sketched(described(TINY, dtype="float32").config).dtype) == "torch.float32"
    assert str(sketched(described(TINY).config).dtype) == "torch.bfloat16", "none is told"


def test_how_weights_were_stored_is_left_out_and_said() -> None:
    plan = described(found("openai/gpt-oss-20b").content)
    assert "quantization_config (mxfp4): weights are not quantized" in plan.replaced
    assert not hasattr(plan.config, "quantization_config")


def test_a_vision_model_is_captured_as_its_model_of_language() -> None:
    plan = described({"model_type": "qwen3_5"}, tiny=True)
    assert plan.config.model_type == "qwen3_5_text"
    assert "qwen3_5: only its model of language, qwen3_5_text" in plan.replaced


@pytest.mark.parametrize(
    ("model_type", "class_name"),
    [
        ("t5", "T5ForConditionalGeneration"),
        ("bart", "BartForConditionalGeneration"),  # its decoder alone would be a causal model
        ("whisper", "WhisperForCausalLM"),
        ("bert", "BertLMHeadModel"),
        ("vit", "ViTModel"),
        ("clip", "CLIPModel"),
    ],
)
def test_any_architecture_is_built_tiny_with_the_head_that_generates_if_there_is_one(
    model_type: str, class_name: str
) -> None:
    model = sketched(described({"model_type": model_type}, tiny=True).config)
    assert type(model).__name__ == class_name
    assert size(model) < 2_000_000


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({"model_type": "unheard_of"}, "model_type 'unheard_of' is none that it knows"),
        (
            {"model_type": "unheard_of", "auto_map": {"AutoModelForCausalLM": "modeling.Model"}},
            "needs code of its own \\(auto_map\\), which opcov never runs",
        ),
        ({"model_type": "blip_text_model"}, "no model of a blip_text_model configuration by itself"),
        ({"model_type": "llama", "hidden_size": "wide"}, "transformers refuses this configuration"),
        ({**TINY, "hidden_act": "swiglu_oai"}, "cannot build a llama model of this: KeyError: 'swiglu_oai'"),
    ],
)
def test_what_cannot_be_built_is_refused_in_one_sentence(content: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why) as refusal:
        sketched(described(content).config)
    assert "\n" not in str(refusal.value)


def test_remote_code_of_a_model_that_transformers_knows_is_left_out_and_said() -> None:
    plan = described({**TINY, "auto_map": {"AutoModelForCausalLM": "modeling.Model"}})
    assert "auto_map: transformers' own llama instead of remote code" in plan.replaced
    assert sketched(plan.config).model is not None


def test_a_configuration_that_was_built_builds_the_same_again() -> None:
    tiny = described(found("meta-llama/Llama-4-Maverick-17B-128E-Instruct").content, tiny=True).config
    again = described(json.loads(tiny.to_json_string(use_diff=False))).config
    assert layer_kinds(again) == layer_kinds(tiny)
