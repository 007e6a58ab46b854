"""Configurations are found by a bundled name or on this machine; what is none says so in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from opcov.capturing.huggingface.finding import bundled, found, name_from
from opcov.problems import UsageError


def written(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "family",
    [
        *("qwen2", "qwen3", "qwen3_moe", "qwen3_next", "qwen3_5_text", "deepseek_v3", "llama", "llama4_text"),
        *("phi3", "mistral", "mixtral", "gpt_oss"),
    ],
)
def test_every_promised_family_is_bundled(family: str) -> None:
    assert family in {found(name).content["model_type"] for name in bundled()}


def test_bundled_names_are_those_of_the_hub() -> None:
    assert all(name.count("/") == 1 for name in bundled())
    assert "Qwen/Qwen3-0.6B" in bundled()


def test_a_bundled_name_is_found_in_any_case() -> None:
    assert found("qwen/qwen3-0.6b").name == "Qwen/Qwen3-0.6B"


def test_a_folder_is_named_like_itself(tmp_path: Path) -> None:
    written(tmp_path / "my-model" / "config.json", {"model_type": "llama"})
    configuration = found(str(tmp_path / "my-model"))
    assert (configuration.name, configuration.content) == ("my-model", {"model_type": "llama"})


def test_a_file_is_named_like_itself_but_a_config_like_its_folder(tmp_path: Path) -> None:
    written(tmp_path / "org" / "small.json", {"model_type": "llama"})
    written(tmp_path / "org" / "config.json", {"model_type": "llama"})
    assert found(str(tmp_path / "org" / "small.json")).name == "small"
    assert found(str(tmp_path / "org" / "config.json")).name == "org"


def test_what_was_found_is_found_again_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / "small.json", {"model_type": "llama"})
    monkeypatch.chdir(tmp_path)
    source = found("small.json").source
    monkeypatch.chdir("/")
    assert found(source).content == {"model_type": "llama"}


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("Qwen/Qwen3-0.5B", "Qwen/Qwen3-0.6B"),
        ("gpt-oss-20", "openai/gpt-oss-20b"),
        ("Mixtral-8x7B", "mistralai/Mixtral"),
    ],
)
def test_an_unknown_name_tells_the_nearest_bundled_ones(name: str, near: str) -> None:
    with pytest.raises(UsageError, match=f"neither a bundled configuration nor a file; bundled is .*{near}"):
        found(name)


def test_a_name_that_is_near_to_none_tells_how_to_list_them() -> None:
    with pytest.raises(UsageError, match="nor a file; `opcov capture hf --list`"):
        found("zzzzzz")


def test_a_folder_without_a_configuration_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no config\.json"):
        found(str(tmp_path))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[" * 100_000, "no JSON"),
        ("{", "no JSON"),
        ("[]", "names no model_type"),
        ('{"model_type": 3}', "names no model_type"),
        ("{}", "names no model_type"),
        ("\xff", "no JSON"),
    ],
)
def test_what_is_no_configuration_is_refused(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=why):
        found(str(path))


@pytest.mark.parametrize("name", ["", "/etc", "../up", "a/../../b", "."])
def test_a_name_that_leads_out_of_the_corpus_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="is no name of a model"):
        name_from(name)


def test_a_name_is_a_path_below_the_corpus() -> None:
    assert name_from("org/model") == "org/model"
