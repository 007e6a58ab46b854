"""`opcov capture hf` runs a model from its configuration and saves its graphs."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from capture_runs import environment

import opcov
from opcov.capturing.huggingface.finding import bundled
from opcov.cli import main
from opcov.commands.capture.hf import run
from opcov.problems import UsageError

TINY = {
    "model_type": "llama",
    "hidden_size": 512,
    "intermediate_size": 2048,
    "num_hidden_layers": 8,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "torch_dtype": "bfloat16",
    "quantization_config": {"quant_method": "fp8"},
}


def config(folder: Path, **changes: object) -> str:
    path = folder / "small" / "config.json"
    path.parent.mkdir()
    path.write_text(json.dumps({**TINY, **changes}), encoding="utf-8")
    return str(path.parent)


def command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "opcov", "capture", "hf", *arguments]
    return subprocess.run(line, cwd=cwd, env=environment(), capture_output=True, text=True, check=False, timeout=120)


def test_a_list_tells_the_bundled_configurations(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--list"]) == 0
    assert capsys.readouterr().out.splitlines() == list(bundled())


def test_an_unknown_name_is_refused_with_near_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["capture", "hf", "Qwen/Qwen3-0.7B", "--out", str(tmp_path / "gm")]) == 2
    assert "bundled is Qwen/Qwen3-0.6B" in capsys.readouterr().err
    assert not (tmp_path / "gm").exists()


def test_without_transformers_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    with pytest.raises(UsageError, match=r"transformers is not installed: pip install 'opcov\[capture\]'"):
        run(["Qwen/Qwen3-0.6B", "--out", str(tmp_path)])


def test_an_old_transformers_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda _name: "4.57.1")
    with pytest.raises(UsageError, match=r"transformers 4\.57\.1 is too old"):
        run(["Qwen/Qwen3-0.6B", "--out", str(tmp_path)])


def test_what_thunderfx_compiles_cannot_run_on_fake_tensors(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--fake has no data"):
        run(["Qwen/Qwen3-0.6B", "--fake", "--run", "thunderfx", "--out", str(tmp_path)])


def test_a_name_that_leads_out_of_the_corpus_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    with pytest.raises(UsageError, match="is no name of a model"):
        run(["Qwen/Qwen3-0.6B", "--name", "../model", "--out", str(tmp_path)])


@pytest.mark.parametrize(
    "option", [["--prompt", "0"], ["--layers", "-1"], ["--decode", "x"], ["--device", "tpu"], ["--device", "cuda:x"]]
)
def test_an_option_that_means_nothing_is_refused(
    tmp_path: Path, option: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(["Qwen/Qwen3-0.6B", *option, "--out", str(tmp_path)])
    assert option[0] in capsys.readouterr().err


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus of one tiny model with two decode steps."""
    pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("hf")
    told = command(config(folder), "--tiny", "--decode", "2", "--verdicts", "--out", "gm", cwd=folder)
    assert told.returncode == 0, told.stdout + told.stderr
    return folder / "gm"


def test_prefill_and_decode_are_saved_below_the_corpus(captured: Path) -> None:
    names = sorted(path.name for path in (captured / "small-tiny").iterdir())
    # The second decode step makes the length of the cache symbolic, which is a graph of its own.
    assert names == ["capture.json", "config.json", "log.txt", "rank0_0.py", "rank0_1.py", "rank0_2.py"]


def test_the_run_log_tells_the_steps(captured: Path) -> None:
    log = (captured / "small-tiny" / "log.txt").read_text(encoding="utf-8")
    steps = [line for line in log.splitlines() if "#tokens" in line]
    assert steps == ["Prefill. #tokens: 6", "Decode. #tokens: 1", "Decode. #tokens: 1"]


def test_the_record_tells_what_was_left_out_and_chosen(captured: Path) -> None:
    record = json.loads((captured / "small-tiny" / "capture.json").read_bytes())
    replaced = record["parts"][0]["replaced"]
    assert "quantization_config (fp8): weights are not quantized" in replaced
    assert "2 of 8 layers, one of each kind at least: 0, 1" in replaced
    assert "attention: transformers' sdpa" in replaced
    assert record["parts"][0]["device"] == "cpu"
    assert (record["options"]["tiny"], record["options"]["prompt"]) == ("true", "6")


def test_a_scan_places_each_node_where_the_splitter_did(captured: Path) -> None:
    record = json.loads((captured / "small-tiny" / "capture.json").read_bytes())
    recorded = {
        (graph["file"], verdict["name"]): verdict["partition"]
        for graph in record["parts"][0]["graphs"]
        for verdict in graph["verdicts"]
    }
    nodes = opcov.scan(captured / "small-tiny").nodes
    placed = dict(zip(zip(nodes.file, nodes.node, strict=True), nodes.placed_region, strict=True))
    assert placed == recorded


def test_sources_are_the_lines_of_the_model(captured: Path) -> None:
    nodes = opcov.scan(captured / "small-tiny").nodes
    linear = nodes[nodes.op == "torch._C._nn.linear"]
    assert {Path(file).name for file in linear.source_file} == {"modeling_llama.py"}


@pytest.mark.parametrize(("model_type", "graphs"), [("t5", 2), ("clip", 1)])
def test_architectures_other_than_causal_ones_are_captured_too(tmp_path: Path, model_type: str, graphs: int) -> None:
    pytest.importorskip("transformers")
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "config.json").write_text(json.dumps({"model_type": model_type}), encoding="utf-8")
    told = command(tmp_path / "small", "--tiny", "--out", "gm", cwd=tmp_path)
    assert told.returncode == 0, told.stdout + told.stderr
    scan = opcov.scan(tmp_path / "gm")
    assert (len(scan.graphs), scan.agrees, scan.problems) == (graphs, True, ())


def test_a_model_that_cannot_be_built_fails_with_one_sentence(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    told = command(config(tmp_path, hidden_act="swiglu_oai"), "--tiny", "--out", "gm", cwd=tmp_path)
    why = "transformers cannot build a llama model of this: KeyError: 'swiglu_oai'"
    assert told.returncode == 1
    assert "Traceback" not in told.stdout
    assert why in told.stderr
    record = json.loads((tmp_path / "gm" / "small-tiny" / "capture.json").read_bytes())
    assert record["status"] == "failed"
    assert why in record["parts"][0]["failures"]
