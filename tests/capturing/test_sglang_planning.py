"""What SGLang's benchmark is told: the user's own arguments, and what a capture needs besides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from opcov.capturing.huggingface.finding import Configuration
from opcov.capturing.sglang.planning import Plan, chosen, differences, planned
from opcov.capturing.sglang.wishes import VARIABLE, Wishes
from opcov.problems import UsageError

PLAIN = Configuration("model", "config.json", {"model_type": "qwen3"})


def plan(*given: str, device: str = "cuda", ranks: int = 4, model: str = "org/model", cores: int = 2) -> Plan:
    return planned(model, PLAIN, ranks, device, Wishes(), given, cores)


def value(found: Plan, name: str) -> str:
    return found.arguments[found.arguments.index(name) + 1]


def wishes(found: Plan) -> Wishes:
    return msgspec.json.decode(found.environment[VARIABLE], type=Wishes)


def test_weights_are_random_and_the_model_is_compiled() -> None:
    found = plan()
    assert value(found, "--load-format") == "dummy"
    assert value(found, "--tp-size") == "4"
    assert "--enable-torch-compile" in found.arguments


def test_no_result_is_written_where_the_command_was_called() -> None:
    assert value(plan(), "--result-filename") == ""


@pytest.mark.parametrize("given", [("--load-format", "auto"), ("--load-format=auto",)])
def test_the_users_own_arguments_win(given: tuple[str, ...]) -> None:
    found = plan(*given)
    assert "dummy" not in found.arguments
    assert found.arguments[-len(given) :] == given


@pytest.mark.parametrize(
    ("given", "largest"),
    [
        ((), "1"),
        (("--batch-size", "4"), "4"),
        (("--batch-size", "1", "8", "2", "--input-len", "512"), "8"),
        (("--batch-size=16",), "16"),
    ],
)
def test_the_largest_batch_that_is_run_is_compiled(given: tuple[str, ...], largest: str) -> None:
    assert value(plan(*given), "--torch-compile-max-bs") == largest


@pytest.mark.parametrize("name", ["--tp-size", "--tp", "--model-path", "--device", "--dp-size", "--nnodes"])
def test_what_opcov_has_to_know_is_not_taken_behind_the_dashes(name: str) -> None:
    with pytest.raises(UsageError, match=f"^{name} "):
        plan(name, "2")


def test_a_gpu_keeps_its_own_attention_and_packages() -> None:
    found = plan()
    assert "--attention-backend" not in found.arguments
    assert "SGLANG_USE_CPU_ENGINE" not in found.environment
    assert not wishes(found).without_gpu


def test_a_cpu_gets_attention_memory_and_packages_that_it_can_have() -> None:
    found = plan(device="cpu")
    assert value(found, "--attention-backend") == "torch_native"
    assert int(value(found, "--max-total-tokens")) < 100_000
    assert found.environment["SGLANG_USE_CPU_ENGINE"] == "1"
    assert wishes(found).without_gpu


@pytest.mark.parametrize(("ranks", "cores", "bound"), [(1, 8, "0"), (4, 2, "0|1|0|1"), (2, 8, "0|1")])
def test_ranks_on_a_cpu_share_its_cores(ranks: int, cores: int, bound: str) -> None:
    assert plan(device="cpu", ranks=ranks, cores=cores).environment["SGLANG_CPU_OMP_THREADS_BIND"] == bound


def test_a_folder_without_a_tokenizer_goes_without(tmp_path: Path) -> None:
    assert wishes(plan(model=str(tmp_path))).without_tokenizer
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    assert not wishes(plan(model=str(tmp_path))).without_tokenizer


def test_a_folder_is_a_model(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen3"}), encoding="utf-8")
    configuration = chosen(str(tmp_path), ())
    assert configuration is not None
    assert configuration.content == {"model_type": "qwen3"}


def test_a_folder_without_a_configuration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"config\.json"):
        chosen(str(tmp_path), ())


def test_a_bundled_name_needs_no_hub() -> None:
    configuration = chosen("qwen/qwen3-0.6b", ())
    assert configuration is not None
    assert configuration.name == "Qwen/Qwen3-0.6B"


def test_real_weights_come_from_the_hub_whatever_is_bundled() -> None:
    assert chosen("Qwen/Qwen3-0.6B", ("--load-format", "auto")) is None


def test_another_name_is_one_on_the_hub() -> None:
    assert chosen("nobody/has-this", ()) is None


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ({"quantization_config": {"quant_method": "fp8"}}, "fp8"),
        ({"text_config": {"quantization_config": {"quant_method": "mxfp4"}}}, "mxfp4"),
        ({"kv_lora_rank": 512}, "latent"),
        ({"model_type": "gpt_oss"}, "sinks"),
        ({"layer_types": ["linear_attention", "full_attention"]}, "linear"),
    ],
)
def test_where_a_cpu_goes_another_way_is_told(content: dict[str, Any], word: str) -> None:
    (told,) = differences(content)
    assert word in told


@pytest.mark.parametrize(
    "content",
    [{"model_type": "qwen3"}, {"model_type": "mixtral", "num_local_experts": 8}, {"quantization_config": None}],
)
def test_dense_and_routed_models_go_the_same_way(content: dict[str, Any]) -> None:
    assert differences(content) == []


def test_a_gpu_is_told_nothing_of_it() -> None:
    configuration = Configuration("model", "", {"kv_lora_rank": 512})
    assert planned("org/model", configuration, 1, "cuda", Wishes(), ()).warnings == ()
    assert planned("org/model", configuration, 1, "cpu", Wishes(), ()).warnings
