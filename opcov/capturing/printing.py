"""Prints graphs as the corpus has them: regions with their bodies, which torch's own printer omits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_INDENTATION = re.compile(r" *")


def unsplit_text(graph_module: torch.fx.GraphModule) -> str:
    """The text of a graph before Thunder's splitter, as `graph_module_<rank>_<index>.py` holds it."""
    return _corpus_spacing(_readable(graph_module))


def split_text(split: torch.fx.GraphModule, rank: int, index: int) -> str:
    """The text of a split graph, as `rank{r}_{i}.py` holds it.

    The torch of ThunderFX's dumps lets `print_readable` descend into every submodule that has a graph, so that a region
    prints its body, and below it the body again as the module inside the compiled one. Newer torch descends only into
    GraphModules and prints nothing of either, so the regions are written here.

    Args:
        split: what Thunder's splitter made; each child is a region, a compiled one or a GraphModule.
        rank: tensor-parallel rank.
        index: number of the graph on its rank.
    """
    classes = [_region_text(name, module) for name, module in split.named_children()]
    body = "\n".join([_without_children(split), *(_indented(text) for text in classes)])
    return _corpus_spacing(f"# Rank: {rank}, Graph {index}\n\n{body}")


def _region_text(name: str, module: torch.nn.Module) -> str:
    import torch

    if isinstance(module, torch.fx.GraphModule):  # Thunder's eager fallback leaves the region as it is
        return _class_text(name, module)
    found = next(_graph_modules(module), None)
    if found is None:
        raise ValueError(f"the compiled region {name} does not tell its graph")
    inner, region = found
    head = _without_children(region).replace("class GraphModule(", f"class {name}(", 1)
    return f"{head}\n{_indented(_class_text(inner, region))}"


def _graph_modules(module: torch.nn.Module) -> Iterator[tuple[str, torch.fx.GraphModule]]:
    """GraphModules below a module, each with the last part of its path."""
    import torch

    for path, child in module.named_modules():
        if isinstance(child, torch.fx.GraphModule):
            yield path.rpartition(".")[2], child


def _class_text(name: str, graph_module: torch.fx.GraphModule) -> str:
    return _readable(graph_module).replace("class GraphModule(", f"class {name}(", 1)


def _without_children(graph_module: torch.fx.GraphModule) -> str:
    """A GraphModule's own class, cut before the classes of its children."""
    return _readable(graph_module).partition("\n    class ")[0]


def _readable(graph_module: torch.fx.GraphModule) -> str:
    text = graph_module.print_readable(print_output=False)
    return text.replace(f"class {type(graph_module).__name__}(", "class GraphModule(", 1)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" if line else line for line in text.split("\n"))


def _corpus_spacing(text: str) -> str:
    """White space as in dumps of torch 2.9 and before, where newer torch writes less.

    There, a `# File:` comment stands one column to the right of its statement, and an empty line, the one after a
    class's last statement included, holds the indentation of the line before it.
    """
    lines = []
    indentation = ""
    for line in text.rstrip().split("\n"):
        if not line.strip():
            lines.append(indentation)
            continue
        found = _INDENTATION.match(line)
        indentation = found.group() if found else ""
        lines.append(f" {line}" if line.startswith("# File: ", len(indentation)) else line)
    return "\n".join([*lines, indentation])
