"""Places the nodes of a judged graph in regions, the way `thunder.dynamo.splitter._splitter` does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeGuard

from opcov.form import Form
from opcov.graph import Compiler, Graph, Kind, Node, Region, SequenceMeta
from opcov.ops import ENTER_AUTOCAST, EXIT_AUTOCAST, VMAP_BRACKETS
from opcov.registries import SplitterRules
from opcov.verdict import Status, Verdict

_FUNCTION_CTX = "torch.autograd.function.FunctionCtx"

_DTENSOR_PRIM = re.compile(r"torch[._]_dynamo[._]variables[._]\w+[._]prim_(from_local|redistribute|to_local)")
"""Closures that Dynamo makes for `parallelize_module`. Since 0.2.6 `translate_dtensor_ops` replaces them by prims of
Thunder's, and the splitter takes those without asking."""


class PlacedBy(str, Enum):
    """What decided where a node goes."""

    VERDICT = "verdict"
    """The node's own verdict."""
    CONTEXT = "context"
    """It lies in a context region that Thunder does not take."""
    PINNED = "pinned"
    """It takes apart the tuple of an unsupported node, and must stay in that node's region."""
    REMOVED = "removed"
    """Thunder erases it before it splits: an empty autocast, an unused autograd context."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the splitter puts each call of a graph.

    Attributes:
        regions: in order, as predicted; empty when the splitter raises.
        region_of: for each call's name its region; None for a removed node, and for all when the splitter raises.
        placed_by: for each call's name what decided.
        crash: the exception with which the splitter would stop, "" if it does not.
        crash_node: name of the node at which it does, "" where no single node is at fault.
    """

    regions: tuple[Region, ...]
    region_of: Mapping[str, Region | None]
    placed_by: Mapping[str, PlacedBy]
    crash: str = ""
    crash_node: str = ""


_NEWEST = SplitterRules()


def place(
    graph: Graph, verdicts: Mapping[str, Verdict], known: Mapping[str, object], rules: SplitterRules = _NEWEST
) -> Placement:
    """Predicts the splitter's regions.

    A node with verdict unknown is placed like an unsupported one, since the splitter would have to place it somewhere;
    its verdict stays unknown in all counts. A node on which today's check raises stops the splitter, but a split file
    proves that the splitter which wrote it went on: there such a node is placed like an unsupported one.

    Args:
        graph: what a loader read.
        verdicts: the own verdict of each call.
        known: metadata of each node's value; a tuple or list is what matters here.
        rules: those of the splitter that is foreseen.
    """
    removed = _removed(graph)
    in_context = _in_context(graph) if rules.avoids_vmap else set()
    calls = [node for node in graph.calls if node.name not in removed]
    placed_by = dict.fromkeys(removed, PlacedBy.REMOVED)
    region_of: dict[str, Region | None] = dict.fromkeys(removed)
    pinned: set[str] = set()
    regions: list[Region] = []
    by_name = {node.name: node for node in graph.nodes}
    for node in calls:
        verdict = verdicts[node.name]
        if node.name in in_context:
            placed_by[node.name], taken = PlacedBy.CONTEXT, False
        elif node.name in pinned:
            placed_by[node.name], taken = PlacedBy.PINNED, False
        elif rules.takes_dtensor_prims and _DTENSOR_PRIM.fullmatch(node.op):
            placed_by[node.name], taken = PlacedBy.VERDICT, True
        elif verdict.status is Status.CRASH and graph.form is Form.UNSPLIT:
            return _crashed(graph, placed_by, verdict.detail, node.name)
        else:
            placed_by[node.name], taken = PlacedBy.VERDICT, verdict.status is Status.SUPPORTED
        if not taken and rules.pins_tuples and _is_collection(value := known.get(node.name)):
            users = [by_name[user] for user in graph.users[node.name]]
            strange = next((user for user in users if user.op != "operator.getitem"), None)
            if strange is not None and graph.form is Form.UNSPLIT:
                detail = f"AssertionError: {strange.name} reads the tuple of the unsupported {node.name} as a whole"
                return _crashed(graph, placed_by, detail, node.name)
            if not (value.inferred and _was_taken_apart_elsewhere(node, users)):
                pinned |= {user.name for user in users}
        compiler = Compiler.THUNDER if taken else Compiler.INDUCTOR
        if not regions or regions[-1].compiler is not compiler:
            regions.append(Region(len(regions), compiler))
        region_of[node.name] = regions[-1]
    crash, crash_node = _child_without_graph(graph)
    if crash:
        return _crashed(graph, placed_by, crash, crash_node)
    return Placement(tuple(regions), region_of, placed_by)


def _is_collection(value: object) -> TypeGuard[SequenceMeta]:
    """`baseutils.is_collection` by exact type: torch.Size is none."""
    return isinstance(value, SequenceMeta) and value.kind != "size"


def _was_taken_apart_elsewhere(node: Node, users: list[Node]) -> bool:
    """Whether a split file shows that its splitter saw no collection in an op of which nothing is known."""
    return node.region is not None and any(user.region not in (None, node.region) for user in users)


def _crashed(graph: Graph, placed_by: Mapping[str, PlacedBy], crash: str, node: str) -> Placement:
    everything = {call.name: placed_by.get(call.name, PlacedBy.VERDICT) for call in graph.calls}
    return Placement((), dict.fromkeys(everything), everything, crash, node)


def _removed(graph: Graph) -> set[str]:
    """Nodes that are erased before the split.

    `thunder.dynamo.utils.remove_empty_autocast` runs before the splitter, so a split file no longer holds what it
    erased; `_splitter` itself erases an unused `torch.autograd.function.FunctionCtx`.
    """
    removed = {node.name for node in graph.calls if node.op == _FUNCTION_CTX and not graph.users[node.name]}
    if graph.form is Form.SPLIT:
        return removed
    previous: Node | None = None
    for node in graph.nodes:
        if previous is not None and previous.op == ENTER_AUTOCAST and node.op == EXIT_AUTOCAST:
            removed |= {previous.name, node.name}
        previous = node
    return removed


def _in_context(graph: Graph) -> set[str]:
    """`get_nodes_in_unsupported_ctx_regions`: its counter only ever counts up, so a vmap taints all that follows it."""
    names: set[str] = set()
    opened = False
    for node in graph.nodes:
        if node.kind is Kind.CALL_FUNCTION and node.op in VMAP_BRACKETS:
            opened = True
        elif opened and node.kind.is_call:
            names.add(node.name)
    return names


def _child_without_graph(graph: Graph) -> tuple[str, str]:
    """The crash of a split module with a plain child: `_splitter` reads `.graph` of every child of what it split.

    A parameter read by a dotted path (`self.l.weight`) makes split_module put the module `l` beside the regions.
    """
    for node in graph.nodes if graph.form is Form.UNSPLIT else ():
        if (
            node.kind is Kind.GET_ATTR
            and "." in node.target
            and node.target not in graph.bodies
            and graph.users[node.name]
        ):
            return "AttributeError: 'Module' object has no attribute 'graph'", node.name
    return "", ""
