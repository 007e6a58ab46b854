"""How a file holds its graph."""

from __future__ import annotations

from enum import Enum


class Form(str, Enum):
    """How a file holds its graph."""

    SPLIT = "split"
    """After Thunder's splitter: regions thunder_N and inductor_N."""
    UNSPLIT = "unsplit"
    """As Dynamo made it."""
