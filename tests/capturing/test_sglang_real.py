"""A real SGLang on a CPU, as `make test-sglang` installs it; what it shares with the large corpus is printed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import opcov

PYTHON = os.environ.get("OPCOV_SGLANG", "")
"""The interpreter that has SGLang."""

pytestmark = pytest.mark.skipif(not PYTHON, reason="make test-sglang installs SGLang and runs this")

TOKENS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}
DENSE: dict[str, Any] = {
    **TOKENS,
    "hidden_act": "silu",
    "hidden_size": 256,
    "intermediate_size": 512,
    "max_position_embeddings": 2048,
    "num_attention_heads": 8,
    "num_hidden_layers": 2,
    "num_key_value_heads": 4,
    "rms_norm_eps": 1e-5,
    "rope_theta": 1e6,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    # The benchmark's inputs are random numbers below 10,000.
    "vocab_size": 10240,
}
LONGROPE = {"type": "longrope", "long_factor": [1.5] * 16, "short_factor": [1.0] * 16}


@dataclass(frozen=True)
class Family:
    """A small model of a family, and a model of the large corpus that is of the same.

    Attributes:
        architecture: as SGLang knows it.
        like: the model of the large corpus.
        fields: that make the family.
    """

    architecture: str
    like: str
    fields: dict[str, Any]


FAMILIES = {
    "qwen3": Family("Qwen3ForCausalLM", "Qwen/Qwen3-0.6B", {"head_dim": 32, "attention_bias": False}),
    "qwen3_moe": Family(
        "Qwen3MoeForCausalLM",
        "Qwen/Qwen3-30B-A3B-Instruct-2507",
        {
            "attention_bias": False,
            "decoder_sparse_step": 1,
            "head_dim": 32,
            "mlp_only_layers": [],
            "moe_intermediate_size": 64,
            "norm_topk_prob": True,
            "num_experts": 8,
            "num_experts_per_tok": 2,
        },
    ),
    "mixtral": Family(
        "MixtralForCausalLM",
        "mistralai/Mixtral-8x7B-Instruct-v0.1",
        {"num_experts_per_tok": 2, "num_local_experts": 8, "sliding_window": None},
    ),
    # The corpus has no graphs of Llama itself: its Mistral Large is the same architecture.
    "llama": Family("LlamaForCausalLM", "mistralai/Mistral-Large-Instruct-2411", {"attention_bias": False}),
    "phi3": Family(
        "Phi3ForCausalLM",
        "microsoft/Phi-4-mini-reasoning",
        {"original_max_position_embeddings": 1024, "rope_scaling": LONGROPE, "sliding_window": None},
    ),
}
RUNS = [("qwen3", 1), *((family, 4) for family in FAMILIES)]


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sglang") / "gm"


@cache
def captured(corpus: Path, family: str, ranks: int) -> tuple[subprocess.CompletedProcess[str], Path]:
    """Captures a family once."""
    folder = corpus.parent / "models" / family
    folder.mkdir(parents=True, exist_ok=True)
    chosen = FAMILIES[family]
    content = {**DENSE, **chosen.fields, "architectures": [chosen.architecture], "model_type": family}
    (folder / "config.json").write_text(json.dumps(content), encoding="utf-8")
    name = f"small/{family}-{ranks}"
    command = [PYTHON, "-m", "opcov", "capture", "sglang", str(folder), "--device", "cpu", "--tp-size", str(ranks)]
    command += [
        "--name",
        name,
        "--out",
        str(corpus),
        "--timeout",
        "600",
        "--",
        "--input-len",
        "32",
        "--output-len",
        "4",
    ]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=700), corpus / name


def ops_of(corpus: Path, model: str) -> Counter[str]:
    """How many nodes each op of a model has."""
    ops = opcov.scan(corpus, include=[model]).ops
    return Counter(dict(zip(ops["op"], (int(nodes) for nodes in ops["nodes"]), strict=True)))


@pytest.mark.parametrize(("family", "ranks"), RUNS)
def test_a_family_is_captured(family: str, ranks: int, corpus: Path) -> None:
    process, folder = captured(corpus, family, ranks)
    assert process.returncode == 0, process.stdout[-4000:]
    record = json.loads((folder / "capture.json").read_bytes())
    assert record["status"] == "ok"
    assert record["versions"]["sglang"] == "0.5.3rc0"
    assert [part["rank"] for part in record["parts"]] == list(range(ranks))
    counts = [len(list(folder.glob(f"rank{rank}_*.py"))) for rank in range(ranks)]
    assert min(counts) > 5
    assert len(set(counts)) == 1
    assert "Decode.  median latency" in (folder / "log.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("family", FAMILIES)
def test_it_shares_most_ops_with_the_same_family_on_gpus(
    family: str, corpus: Path, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, folder = captured(corpus, family, 4)
    here, there = ops_of(corpus, f"small/{folder.name}"), ops_of(shared / "gm", FAMILIES[family].like)
    both = here.keys() & there.keys()
    share = sum(there[op] for op in both) / there.total()
    told = [
        f"\n{family}, 4 ranks, and {FAMILIES[family].like}: {len(both)} of {len(there)} ops, {share:.1%} of nodes",
        f"  only here:  {', '.join(sorted(here.keys() - both))}",
        f"  only there: {', '.join(sorted(there.keys() - both))}",
    ]
    with capsys.disabled():
        sys.stdout.write("\n".join([*told, ""]))
    assert share > 0.8


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({"architectures": ["GptOssForCausalLM"], "model_type": "gpt_oss"}, "attention sinks"),
        ({"architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3", "kv_lora_rank": 64}, "latent"),
    ],
)
def test_what_a_cpu_cannot_run_is_told_beforehand_and_fails(
    content: dict[str, Any], why: str, corpus: Path, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**DENSE, **content}), encoding="utf-8")
    command = [PYTHON, "-m", "opcov", "capture", "sglang", str(tmp_path), "--device", "cpu", "--out", str(corpus)]
    process = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert process.returncode == 1
    assert why in process.stderr
