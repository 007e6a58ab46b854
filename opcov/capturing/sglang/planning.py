"""Turns what a user asks for into arguments and environment of SGLang's benchmark, with what a capture needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opcov.capturing.huggingface.finding import Configuration, bundled, found
from opcov.capturing.sglang.wishes import Wishes, encoded
from opcov.problems import UsageError

DRIVER = "opcov.capturing.sglang.driver"
OURS = {
    "--model-path": "the argument MODEL",
    "--model": "the argument MODEL",
    "--tp-size": "opcov's own --tp-size",
    "--tensor-parallel-size": "opcov's own --tp-size",
    "--tp": "opcov's own --tp-size",
    "--device": "opcov's own --device",
    "--nnodes": "one machine",
    "--pp-size": "--tp-size: only tensor-parallel ranks are captured",
    "--pipeline-parallel-size": "--tp-size: only tensor-parallel ranks are captured",
    "--dp-size": "--tp-size: only tensor-parallel ranks are captured",
    "--data-parallel-size": "--tp-size: only tensor-parallel ranks are captured",
}
"""Arguments of SGLang that may not come behind `--`, each with what says the same."""
TOKENIZERS = (
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "tiktoken.model",
    "vocab.json",
    "tekken.json",
)
"""Files of which a model folder has at least one, if it has a tokenizer."""
THREADS = ("OMP_NUM_THREADS", "SGLANG_CPU_OMP_THREADS_BIND")
"""Variables that place a plan's ranks on cores; where a user has set one, that holds."""
CPU_TOKENS = 8192
"""Size of the key-value cache on a CPU, in tokens; SGLang would fill the memory of the machine with it, once a rank."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How to run it.

    Attributes:
        arguments: of the benchmark.
        environment: more variables for it.
        warnings: where the capture will differ from one on a GPU, in plain words.
    """

    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    warnings: tuple[str, ...] = ()


def chosen(model: str, given: Sequence[str]) -> Configuration | None:
    """The configuration that is known here for a model: of a folder, or one that comes with opcov.

    Args:
        model: a folder with a config.json, a bundled name, or a name on the Hugging Face Hub.
        given: the user's own arguments for SGLang; where they ask for real weights, a name is one on the Hub.

    Returns:
        It; None where SGLang has to ask the Hub.

    Raises:
        UsageError: a folder has none that can be read.
    """
    if Path(model).is_dir():
        return found(model if Path(model).is_absolute() else f"./{model}")
    names = {name.casefold() for name in bundled()}
    return found(model) if model.casefold() in names and _load_format(given) == "dummy" else None


def planned(
    model: str,
    configuration: Configuration | None,
    tp_size: int,
    device: str,
    wishes: Wishes,
    given: Sequence[str],
    cores: int = 1,
) -> Plan:
    """Makes a plan.

    Args:
        model: a folder with a config.json, or a name on the Hugging Face Hub.
        configuration: what is known of it here.
        tp_size: number of tensor-parallel ranks.
        device: `cuda` or `cpu`.
        wishes: what else is asked for.
        given: the user's own arguments for SGLang; those win over opcov's.
        cores: of this machine, which ranks on a CPU share.

    Raises:
        UsageError: `given` says what opcov itself has to know.
    """
    names = {word.partition("=")[0] for word in given if word.startswith("--")}
    for name in sorted(names & OURS.keys()):
        raise UsageError(f"{name} behind -- is {OURS[name]}: leave it out there")
    defaults: dict[str, str | None] = {
        "--load-format": "dummy",
        "--enable-torch-compile": None,
        "--torch-compile-max-bs": _largest_batch(given),
        # What a benchmark measured is of no interest here, and would be written into the folder where it was called.
        "--result-filename": "",
    }
    environment: dict[str, str] = {}
    if device == "cpu":
        defaults |= {"--attention-backend": "torch_native", "--max-total-tokens": str(CPU_TOKENS)}
        environment["SGLANG_USE_CPU_ENGINE"] = "1"
        # Without it SGLang wants a memory node a rank.
        environment["SGLANG_CPU_OMP_THREADS_BIND"] = "|".join(str(rank % cores) for rank in range(tp_size))
        environment["OMP_NUM_THREADS"] = str(max(1, cores // tp_size))
    arguments = ["--model-path", model, "--tp-size", str(tp_size), "--device", device]
    for name, value in defaults.items():
        if name not in names:
            arguments += [name] if value is None else [name, value]
    wishes = Wishes(
        wishes.own_forward,
        wishes.everything,
        without_gpu=device == "cpu",
        without_tokenizer=configuration is not None and not _has_tokenizer(Path(model)),
        patience=wishes.patience,
    )
    warnings = tuple(differences(configuration.content)) if device == "cpu" and configuration is not None else ()
    return Plan((*arguments, *given), {**environment, **encoded(wishes)}, warnings)


def differences(configuration: Mapping[str, Any]) -> list[str]:
    """Where a capture on a CPU takes another way than one on a GPU, by what the configuration of a model says.

    Dense and mixture-of-experts models in bfloat16 run the same layers on both.
    """
    text = configuration.get("text_config")
    parts = [configuration, *([text] if isinstance(text, dict) else [])]
    found = []
    quantization = next((part["quantization_config"] for part in parts if "quantization_config" in part), None)
    if isinstance(quantization, dict):
        method = str(quantization.get("quant_method", "an unnamed method"))
        found.append(
            f"its weights are quantized by {method}: on a GPU they are multiplied by kernels that a CPU does not have"
        )
    if any(part.get("kv_lora_rank") for part in parts):
        found.append(
            "its attention is latent (kv_lora_rank): on a GPU that is a backend of its own, on a CPU SGLang needs AMX"
        )
    if any(part.get("model_type") == "gpt_oss" for part in parts):
        found.append("its experts and attention sinks are Triton kernels on a GPU, of which a CPU has none")
    if any("linear_attention" in str(part.get("layer_types", "")) or "linear_num_key_heads" in part for part in parts):
        found.append("its linear attention is Triton kernels on a GPU, of which a CPU has none")
    return found


def _load_format(given: Sequence[str]) -> str:
    """Where weights come from."""
    found_format = "dummy"
    for before, word in zip(["", *given], given, strict=False):
        if before == "--load-format":
            found_format = word
        elif word.startswith("--load-format="):
            found_format = word.partition("=")[2]
    return found_format


def _has_tokenizer(folder: Path) -> bool:
    return any((folder / name).is_file() for name in TOKENIZERS)


def _largest_batch(given: Sequence[str]) -> str:
    """The largest batch that the user asks for: up to it SGLang compiles."""
    sizes = [1]
    inside = False
    for word in given:
        if word.startswith("--"):
            name, _, value = word.partition("=")
            inside = name in ("--batch-size", "--batch")
            words = [value] if inside and value else []
        else:
            words = [word] if inside else []
        sizes += [int(one) for one in words if one.isdecimal()]
    return str(max(sizes))
