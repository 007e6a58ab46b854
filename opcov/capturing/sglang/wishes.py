"""What the command asks of every process of a run of SGLang; plain values, so that children get them."""

from __future__ import annotations

import os

import msgspec

VARIABLE = "OPCOV_CAPTURE_SGLANG"
"""The environment variable that carries them."""


class Wishes(msgspec.Struct, frozen=True):
    """How SGLang is run.

    Attributes:
        own_forward: names of the layer classes that keep their own forward where SGLang would compile a native one.
        everything: whether functions are captured that SGLang compiles apart from the model.
        without_gpu: whether packages that are not installed are stood in for, and layers take the forward that a GPU
            run compiles.
        without_tokenizer: whether there is none to be loaded.
        patience: seconds that the other ranks get to end once one has failed.
    """

    own_forward: tuple[str, ...] = ()
    everything: bool = False
    without_gpu: bool = False
    without_tokenizer: bool = False
    patience: float = 30.0


def encoded(wishes: Wishes) -> dict[str, str]:
    """The environment that carries them."""
    return {VARIABLE: msgspec.json.encode(wishes).decode()}


def of_this_process() -> Wishes:
    """Those that this process was started with; the plain ones where it was started without."""
    told = os.environ.get(VARIABLE)
    return Wishes() if told is None else msgspec.json.decode(told, type=Wishes)
