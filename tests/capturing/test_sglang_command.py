"""`opcov capture sglang` with a fake package in the layouts that SGLang has had: spawned ranks, and how they fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from sglang_layouts import NEW, OLD, lay_out

import opcov
from opcov.commands.capture.sglang import run
from opcov.problems import UsageError

CONFIG = {"model_type": "qwen3", "torch_dtype": "bfloat16"}


class Captured:
    """What a run of the command left."""

    def __init__(self, process: subprocess.CompletedProcess[str], folder: Path, seconds: float) -> None:
        self.exit_code = process.returncode
        self.out = process.stdout
        self.err = process.stderr
        self.folder = folder
        self.seconds = seconds

    @property
    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir() if path.suffix == ".py")

    @property
    def log(self) -> str:
        return (self.folder / "log.txt").read_text(encoding="utf-8")

    @property
    def record(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "capture.json").read_bytes())
        return found

    def text(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8")


def capture(folder: Path, *options: str, given: tuple[str, ...] = (), layout: tuple[str, str] = OLD) -> Captured:
    """Captures `org/model` with the fake package."""
    model = folder / "org" / "model"
    model.mkdir(parents=True)
    (model / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    tree = lay_out(folder / "packages", layout)
    command = [sys.executable, "-m", "opcov", "capture", "sglang", str(model), "--device", "cpu"]
    command += ["--name", "org/model", "--out", str(folder / "gm"), *options, "--", *given]
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    start = time.monotonic()
    process = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=300)
    return Captured(process, folder / "gm" / "org" / "model", time.monotonic() - start)


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> Captured:
    return capture(tmp_path_factory.mktemp("two"), "--tp-size", "2", "--no-native", "Norm", "--verdicts")


def test_every_spawned_rank_saves_its_graph_under_its_own_number(two_ranks: Captured) -> None:
    assert two_ranks.names == ["rank0_0.py", "rank1_0.py"]


def test_a_run_in_which_all_went_well_exits_with_0(two_ranks: Captured) -> None:
    assert two_ranks.exit_code == 0, two_ranks.log
    assert two_ranks.record["status"] == "ok"


def test_the_log_has_what_all_ranks_printed_in_lines_that_opcov_reads(two_ranks: Captured) -> None:
    assert "TP0 loads with dummy" in two_ranks.log
    assert "TP1 loads with dummy" in two_ranks.log
    assert "the rest is killed" in two_ranks.log


def test_layers_are_compiled_in_the_forward_that_is_meant_for_it(two_ranks: Captured) -> None:
    assert "torch.nn.functional.silu" in two_ranks.text("rank1_0.py")
    assert "sigmoid" not in two_ranks.text("rank1_0.py")


def test_a_layer_that_was_named_keeps_its_own_forward(two_ranks: Captured) -> None:
    assert ".norm()" in two_ranks.text("rank1_0.py")
    assert "rsqrt" not in two_ranks.text("rank1_0.py")


def test_the_record_names_what_was_stood_in_for_and_what_was_changed(two_ranks: Captured) -> None:
    for part in two_ranks.record["parts"]:
        told = "\n".join(part["replaced"])
        assert "sgl_kernel: not installed" in told
        assert "Norm: keeps its own forward" in told
        assert "the tokenizer" in told


def test_a_captured_model_is_scanned_as_any_other(two_ranks: Captured) -> None:
    scan = opcov.scan(two_ranks.folder.parent.parent)
    assert "torch.nn.functional.silu" in set(scan.ops["op"])
    assert not scan.problems


def test_functions_that_are_compiled_apart_from_the_model_run_as_they_are(two_ranks: Captured) -> None:
    assert not any("torch.cos" in two_ranks.text(name) for name in two_ranks.names)


@pytest.fixture(scope="module")
def newest(tmp_path_factory: pytest.TempPathFactory) -> Captured:
    return capture(tmp_path_factory.mktemp("new"), "--everything", layout=NEW)


def test_the_newest_layout_is_captured_too(newest: Captured) -> None:
    assert newest.exit_code == 0, newest.log
    assert any("torch.nn.functional.silu" in newest.text(name) for name in newest.names)


def test_everything_has_the_functions_that_are_compiled_apart_from_the_model(newest: Captured) -> None:
    assert any("torch.cos" in newest.text(name) for name in newest.names)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Captured:
    return capture(tmp_path_factory.mktemp("killed"), "--tp-size", "2", given=("--trouble", "kill:1"))


def test_a_killed_rank_fails_the_run_though_the_benchmark_does_not_care(killed: Captured) -> None:
    assert killed.exit_code == 1
    assert killed.record["status"] == "failed"
    assert "rank 1: its process was killed by signal 9 (SIGKILL)" in killed.err
    assert "rank 1 saved no graph" in killed.err


def test_what_other_ranks_have_captured_outlives_a_killed_one(killed: Captured) -> None:
    assert killed.names == ["rank0_0.py"]
    assert [part["rank"] for part in killed.record["parts"] if part["graphs"]] == [0]


def test_a_model_with_a_killed_rank_is_shown_as_partial(killed: Captured) -> None:
    models = opcov.scan(killed.folder.parent.parent).models
    assert list(models["health"]) == ["partial"]


def test_a_rank_that_never_answers_is_ended_with_all_the_others(tmp_path: Path) -> None:
    captured = capture(tmp_path, "--timeout", "6", given=("--trouble", "hang:0"))
    assert captured.exit_code == 1
    assert "it took longer than 6 s" in captured.err
    assert captured.seconds < 60


def test_without_sglang_nothing_is_captured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="SGLang is not installed"):
        run(["org/model", "--out", str(tmp_path)])


def test_fake_tensors_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--fake"):
        run(["org/model", "--out", str(tmp_path), "--fake"])


@pytest.mark.parametrize("name", ["../model", "/etc/model", ""])
def test_a_model_folder_stays_below_the_corpus(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        run(["../../etc/passwd", "--out", str(tmp_path), "--name", name])
