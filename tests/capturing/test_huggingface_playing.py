"""What is run of a model: a prefill and decode steps with its cache, and only what has room."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")

import torch

from opcov.capturing.huggingface import playing
from opcov.capturing.huggingface.playing import Play, built, play
from opcov.capturing.session import Session, Setting, begin, end
from opcov.problems import UsageError


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    yield begin(Setting(str(tmp_path / "model")))
    end()


class Model:
    """A causal model that keeps how it was called.

    Attributes:
        cache: the name under which it returns a cache; "" for none.
        calls: number of tokens and the cache that came with them.
    """

    class config:  # noqa: N801 - as a model has it
        vocab_size = 4
        is_encoder_decoder = False
        max_position_embeddings = 8

        @classmethod
        def get_text_config(cls) -> type[Any]:
            return cls

    def can_generate(self) -> bool:
        return True

    def __init__(self, cache: str) -> None:
        self.cache = cache
        self.calls: list[tuple[list[list[int]], dict[str, Any]]] = []

    def __call__(self, *, input_ids: torch.Tensor, use_cache: bool, **more: Any) -> dict[str, Any]:
        assert use_cache
        assert not torch.is_grad_enabled()
        self.calls.append((input_ids.tolist(), more))
        return {"logits": None, "past_key_values": None} | ({self.cache: len(self.calls)} if self.cache else {})


@pytest.fixture(autouse=True)
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda model, **_: model)


@pytest.mark.parametrize("name", ["past_key_values", "cache_params"])
def test_each_step_gets_the_cache_that_the_one_before_left(session: Session, name: str) -> None:
    model = Model(name)
    play(model, Play("", prompt=6, decode=2))
    assert model.calls == [([[0, 1, 2, 3, 0, 1]], {}), ([[0]], {name: 1}), ([[0]], {name: 2})]


class EncoderDecoder(Model):
    """A model whose decoder reads what its encoder has made of the prompt."""

    class config(Model.config):  # noqa: N801 - as a model has it
        is_encoder_decoder = True

    def get_encoder(self) -> Any:
        return lambda input_ids: ("encoded", input_ids.tolist())

    def __call__(self, *, decoder_input_ids: torch.Tensor, **more: Any) -> dict[str, Any]:
        more = {name: value.tolist() if name == "input_ids" else value for name, value in more.items()}
        self.calls.append((decoder_input_ids.tolist(), more))
        return {"past_key_values": len(self.calls)}


class Forward:
    """A model that generates nothing, and keeps the shapes of what it was called with."""

    main_input_name = "pixel_values"
    dtype = torch.float32

    class config:  # noqa: N801 - as a model has it
        model_type = "forward"
        image_size = (2, 3)
        num_channels = 5

    def __init__(self) -> None:
        self.shapes: dict[str, list[int]] = {}

    def can_generate(self) -> bool:
        return False

    def forward(self, pixel_values: torch.Tensor) -> None:
        self.shapes = {"pixel_values": list(pixel_values.shape)}

    __call__ = forward


def test_a_prompt_is_no_longer_than_the_model_has_positions(session: Session) -> None:
    model = Model("")
    play(model, Play("", prompt=20))
    assert model.calls == [([[0, 1, 2, 3, 0, 1, 2, 3]], {})]


def test_a_decoder_is_given_what_the_encoder_made_of_the_prompt(session: Session) -> None:
    model = EncoderDecoder("")
    play(model, Play("", prompt=3, decode=2))
    encoded = ("encoded", [[0, 1, 2]])
    assert model.calls == [
        ([[0]], {"input_ids": [[0, 1, 2]]}),
        ([[0]], {"encoder_outputs": encoded, "past_key_values": 1}),
        ([[0]], {"encoder_outputs": encoded, "past_key_values": 2}),
    ]


def test_a_model_that_generates_nothing_is_run_once(session: Session) -> None:
    model = Forward()
    play(model, Play("", prompt=3))
    assert model.shapes == {"pixel_values": [1, 5, 2, 3]}
    assert "one forward: the model generates nothing" in session.part().replaced


def test_a_video_has_frames(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Forward.config, "num_frames", 7, raising=False)
    model = Forward()
    play(model, Play("", prompt=3))
    assert model.shapes == {"pixel_values": [1, 7, 5, 2, 3]}


def test_a_main_input_that_cannot_be_made_up_is_refused(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Forward, "main_input_name", "point_cloud")
    with pytest.raises(UsageError, match=r"a forward model takes point_cloud, .*opcov capture script"):
        play(Forward(), Play("", prompt=3))


def test_without_a_cache_there_are_no_decode_steps_and_the_record_says_so(session: Session) -> None:
    model = Model("")
    play(model, Play("", prompt=3))
    assert len(model.calls) == 1
    assert "decode steps: none, since the model returns no cache" in session.part().replaced


def test_a_model_without_room_is_refused_before_it_is_built(session: Session) -> None:
    with pytest.raises(UsageError, match=r"its weights take 1,34\d\.\d GB, .* use --fake"):
        built(Play("deepseek-ai/DeepSeek-V3", prompt=6), session)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
def test_a_device_that_is_not_there_is_refused(session: Session) -> None:
    with pytest.raises(UsageError, match="this machine has no cuda"):
        built(Play("Qwen/Qwen3-0.6B", prompt=6, tiny=True, device="cuda"), session)


def test_weights_are_the_same_every_time(session: Session) -> None:
    what = Play("Qwen/Qwen3-0.6B", prompt=6, tiny=True)
    first, second = built(what, session), built(what, session)
    assert all(torch.equal(one, other) for one, other in zip(first.parameters(), second.parameters(), strict=True))


def test_attention_and_dtype_are_those_that_were_asked_for(session: Session) -> None:
    model = built(Play("Qwen/Qwen3-0.6B", prompt=6, tiny=True, dtype="float32", attention="eager"), session)
    assert (model.dtype, model.training) == (torch.float32, False)
    assert "attention: transformers' eager" in session.part().replaced


def test_what_was_built_is_kept_as_a_configuration(session: Session) -> None:
    built(Play("openai/gpt-oss-20b", prompt=6, tiny=True), session)
    kept = json.loads((session.folder / "config.json").read_bytes())
    assert (kept["model_type"], kept["num_hidden_layers"]) == ("gpt_oss", 2)
    assert "experts: transformers' grouped_mm" in session.part().replaced


def test_a_model_that_cannot_be_built_ends_the_run_with_one_sentence(session: Session, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "unheard_of"}', encoding="utf-8")
    what = json.dumps({"source": str(tmp_path), "prompt": 1})
    with pytest.raises(SystemExit, match=r"opcov: transformers .* cannot build it: model_type 'unheard_of'"):
        playing.main([what])
    assert len(session.part().failures) == 1
