"""Loads what `GraphModule.to_folder` wrote: a `module.py`; the pickles beside it are never opened."""

from __future__ import annotations

import json
import re
from typing import Any

from opcov.graph import Kind, TensorMeta
from opcov.loaders import readable
from opcov.loaders.loader import Loaded, Loader, SavedFile, text_of
from opcov.loaders.text.annotations import DTYPES
from opcov.loaders.text.modules import module_classes, parse_script, read_class
from opcov.problems import Problem, Slug

TENSOR_FILES = ("model.safetensors", "state_dict.safetensors")
"""Files beside `module.py` whose header, if one is there, states shapes and dtypes of parameters and buffers."""

_HEADER = re.compile(
    rb"^from torch\.nn import \*\r?\nclass (?!Repro\()\w+\(torch\.nn\.Module\):\r?\n"
    rb"    def __init__\(self\):\r?\n        super\(\).__init__\(\)\r?\n",
    re.MULTILINE,
)
_LARGEST_HEADER = 16 << 20
_DTYPE = {
    "BOOL": "b8", "BF16": "bf16", "F8_E4M3": "f8e4m3fn", "F8_E5M2": "f8e5m2", "F8_E8M0": "f8e8m0fnu",
}  # fmt: skip
"""The dtypes of safetensors whose names differ from torch's abbreviations in more than case."""


def detect(name: str, head: bytes) -> bool:
    """Whether a file begins as `torch.fx.GraphModule.to_folder` begins its `module.py`."""
    return readable.has_star_import(head) and _HEADER.search(head) is not None


def load(file: SavedFile) -> Loaded:
    """Reads a `module.py`.

    The text states no shapes of inputs. Those of parameters and buffers come from a safetensors file where one is
    there, else from the text. What `__init__` unpickles is never opened: a module there is a `call_module` to judge,
    and a body of a higher-order op there is missing.
    """
    text = text_of(file)
    if isinstance(text, Problem):
        return (), (text,)
    problems: list[Problem] = []
    stated: dict[str, TensorMeta] = {}
    for name in TENSOR_FILES:
        content = file.companions.get(name)
        if content is not None:
            found = tensors_in(content)
            if isinstance(found, str):
                problems.append(Problem("", 0, Slug.UNKNOWN_ANNOTATION, f"{name}: {found}; it is not used"))
            else:
                stated |= found
    script = parse_script(text)
    graphs = []
    try:
        for module in module_classes(script.tree) if script.tree is not None else ():
            graph = read_class(script, module, stated)
            graphs.append(graph)
            unknown = [node for node in graph.nodes if node.kind is Kind.PLACEHOLDER and node.meta is None]
            if unknown and graph.calls:
                message = "GraphModule.to_folder saves no shapes of inputs, so what depends on them is unknown"
                problems.append(Problem("", unknown[0].line, Slug.NO_SHAPES, message))
    except RecursionError:
        problems.append(Problem("", 0, Slug.TOO_DEEP, "a statement nests too deep"))
    if not graphs and not problems:
        problems += script.problems or [Problem("", 0, Slug.EMPTY, "the file holds no class with a forward")]
    return tuple(graphs), tuple(problems)


def tensors_in(content: bytes) -> dict[str, TensorMeta] | str:
    """The tensors that the header of a safetensors file describes, by name, or why it cannot be read.

    The header is a JSON object behind its length in eight bytes; the data after it is not looked at.
    """
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > len(content) - 8:
        return "it is cut off"
    if length > _LARGEST_HEADER:
        return "its header is too large"
    try:
        header = json.loads(content[8 : 8 + length])
    except (ValueError, RecursionError) as error:
        return f"its header is no JSON ({type(error).__name__})"
    if not isinstance(header, dict):
        return "its header is no JSON object"
    found = {name: _tensor(entry) for name, entry in header.items() if name != "__metadata__"}
    return {name: meta for name, meta in found.items() if meta is not None}


def _tensor(entry: Any) -> TensorMeta | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("dtype"), str):
        return None
    dtype = _DTYPE.get(entry["dtype"], entry["dtype"].lower())
    shape = entry.get("shape")
    if dtype not in DTYPES or not isinstance(shape, list):
        return None
    if not all(type(size) is int and 0 <= size < 2**63 for size in shape):
        return None
    return TensorMeta(dtype, tuple(shape))


LOADER = Loader("folder", detect, load, companions=TENSOR_FILES)
