"""What is found out about the installed Thunder's splitter."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from opcov.registries import SplitterRules
from opcov.registries.thunder import ThunderRegistry
from opcov.registries.thunder_import import import_thunder
from opcov.registries.thunder_splitter import rules_of

RELEASED = {
    "0.2.3": SplitterRules(pins_tuples=False, takes_dtensor_prims=False, avoids_vmap=False),
    "0.2.4": SplitterRules(pins_tuples=False, takes_dtensor_prims=False, avoids_vmap=False),
    "0.2.5": SplitterRules(pins_tuples=False, takes_dtensor_prims=False, avoids_vmap=True),
    "0.2.6": SplitterRules(pins_tuples=True, takes_dtensor_prims=True, avoids_vmap=True),
}


def test_the_rules_of_a_release_are_those_that_its_source_shows() -> None:
    version = import_thunder().__version__
    if version not in RELEASED:
        pytest.skip(f"lightning-thunder {version} is none of the tested releases")
    assert ThunderRegistry().splitter == RELEASED[version]


def test_asking_the_splitter_changes_nothing_in_the_process(process_state: Callable[[], dict[str, object]]) -> None:
    dynamo = import_thunder().dynamo
    before = process_state()
    rules_of(dynamo)
    assert process_state() == before


@pytest.mark.parametrize("answer", [None, (torch.nn.Module(), None)], ids=["no answer", "no regions"])
def test_a_splitter_that_answers_in_another_way_has_the_rules_of_the_newest(answer: Any) -> None:
    splitter = SimpleNamespace(_splitter=lambda *_: answer)
    assert rules_of(SimpleNamespace(splitter=splitter)) == SplitterRules()  # type: ignore[arg-type]


def test_a_splitter_that_raises_has_the_rules_of_the_newest() -> None:
    def refuse(*_: Any) -> None:
        raise TypeError("_splitter() missing 1 required positional argument")

    assert rules_of(SimpleNamespace(splitter=SimpleNamespace(_splitter=refuse))) == SplitterRules()  # type: ignore[arg-type]
