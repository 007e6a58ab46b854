"""Joins the regions of a split graph back into one graph, in the order that it had before the splitter.

`thunder.dynamo.splitter._splitter` calls torch's `split_module`: each region is a module of its own, the outer forward
only calls them, and nodes that change global state are copied into every further region that they reach into.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from opcov.graph import Argument, Compiler, Graph, Kind, ListArg, Node, Ref, Region, map_refs, refs_in
from opcov.loaders.text.statements import Forward
from opcov.ops import ENTER_AUTOCAST, EXIT_AUTOCAST, SET_GRAD, UNREADABLE
from opcov.problems import Problem, Slug

_REGION = re.compile(r"(thunder|inductor)_(0|[1-9][0-9]{0,8})")


def region_of(path: str) -> Region | None:
    """The region that an attribute of the outer module names, None if it names none."""
    found = _REGION.fullmatch(path)
    return Region(int(found[2]), Compiler(found[1])) if found else None


@dataclass(frozen=True, slots=True)
class SavedRegion:
    """A region's body as saved.

    Attributes:
        forward: its statements.
        bodies: the higher-order ops' bodies that it names, by attribute path.
    """

    forward: Forward
    bodies: Mapping[str, Graph]


@dataclass(frozen=True, slots=True)
class Joined:
    """The joined graph's parts."""

    nodes: list[Node]
    output: Argument
    regions: tuple[Region, ...]
    bodies: Mapping[str, Graph]
    problems: list[Problem]


def join(outer: Forward, body_of: Callable[[str], SavedRegion | None]) -> Joined:
    """Joins a split graph.

    Args:
        outer: the outer forward, which calls the regions.
        body_of: the saved body of a region by its name, None where the file has none.

    Returns:
        Nodes between placeholders and output in pre-split order, each with its region; a copy of a state node is
        dropped and what reads it reads the original.
    """
    saved = {
        node.name: body
        for node in outer.nodes
        if (region := called_region(node)) is not None and (body := body_of(region.name)) is not None
    }
    joiner = _Joiner(outer, find_copies({name: body.forward.nodes for name, body in saved.items()}))
    for node in outer.nodes:
        region = called_region(node)
        if region is None:
            joiner.add_glue(node)
        elif node.name in saved:
            joiner.add_region(region, node, saved[node.name])
        else:
            joiner.miss_region(region, node)
    return joiner.joined(outer.output)


def called_region(node: Node) -> Region | None:
    """The region that a node of the outer forward calls.

    split_module names the call after the region, so that a call which cannot be read still says which one it is.
    """
    if node.kind is Kind.CALL_MODULE:
        return region_of(node.target)
    return region_of(node.name) if node.target == UNREADABLE else None


class _Joiner:
    """Appends the nodes of one region after the other, in the names of the joined graph."""

    def __init__(self, outer: Forward, copies: Mapping[str, Mapping[str, Original | None]]) -> None:
        self._values: dict[str, Argument] = {node.name: Ref(node.name) for node in outer.placeholders}
        self._copies = copies
        self._used = dict.fromkeys(self._values, 0)
        self._missing: set[str] = set()
        self._attributes: dict[str, str] = {}
        self._originals: dict[Original, Argument] = {}
        self._nodes: list[Node] = []
        self._regions: list[Region] = []
        self._bodies: dict[str, Graph] = {}
        self._problems: list[Problem] = []

    def add_glue(self, node: Node) -> None:
        """A node of the outer forward: an attribute is a node of the graph, an element of a region's result is none."""
        if node.target == "operator.getitem" and len(node.args) == 2:
            source, index = node.args
            if isinstance(source, Ref) and source.name in self._missing:
                self._missing.add(node.name)
                return
            if isinstance(source, Ref) and isinstance(index, int):
                element = _element(self._values.get(source.name), index)
                if element is not None:
                    self._values[node.name] = element
                    return
        self._append(node, None, self._values)

    def add_region(self, region: Region, call: Node, saved: SavedRegion) -> None:
        """The nodes of a region, its parameters replaced by what the outer forward passes."""
        self._regions.append(region)
        for path, body in saved.bodies.items():
            self._bodies.setdefault(path, body)
        inner: dict[str, Argument] = {}
        if len(saved.forward.placeholders) == len(call.args):  # else one line is damaged: split_module keeps names
            for placeholder, argument in zip(saved.forward.placeholders, call.args, strict=True):
                inner[placeholder.name] = map_refs(argument, lambda ref: self._values.get(ref.name, ref))
        copies = self._copies[call.name]
        for node in _attributes_before_use(saved.forward.nodes):
            if node.name not in copies:
                self._append(node, region, inner)
                self._originals[Original(call.name, node.name)] = inner[node.name]
            elif (original := copies[node.name]) is not None:
                inner[node.name] = self._originals[original]
        self._values[call.name] = map_refs(saved.forward.output, lambda ref: inner.get(ref.name, ref))

    def miss_region(self, region: Region, call: Node) -> None:
        """A region whose body the file does not hold."""
        self._regions.append(region)
        self._missing.add(call.name)
        what = f"the body of {region.name} was not saved, so its nodes are missing"
        message = f"{what}; save the graph with its regions' bodies"
        self._problems.append(Problem("", call.line, Slug.BODIES_MISSING, message))

    def joined(self, output: Argument) -> Joined:
        """What has been joined, with the outer forward's result."""
        output = map_refs(output, lambda ref: self._values.get(ref.name, ref))
        return Joined(self._nodes, output, tuple(self._regions), self._bodies, self._problems)

    def _append(self, node: Node, region: Region | None, names: dict[str, Argument]) -> None:
        if node.kind is Kind.GET_ATTR and self._attributes.get(node.name) == node.target:
            names[node.name] = Ref(node.name)
            return  # split_module gives every region that reads an attribute a node of its own

        def look_up(ref: Ref) -> Argument:
            return names.get(ref.name, ref)

        name = node.name
        while name in self._used:
            self._used[node.name] = self._used.get(node.name, 0) + 1
            name = f"{node.name}_{self._used[node.name]}"
        self._used[name] = 0
        if node.kind is Kind.GET_ATTR:
            self._attributes[name] = node.target
        args = tuple([map_refs(argument, look_up) for argument in node.args])
        kwargs = tuple([(key, map_refs(value, look_up)) for key, value in node.kwargs])
        self._nodes.append(replace(node, name=name, args=args, kwargs=kwargs, region=region))
        names[node.name] = Ref(name)


def _element(value: Argument, index: int) -> Argument:
    items = value.items if isinstance(value, ListArg) else value
    if isinstance(items, tuple) and -len(items) <= index < len(items):
        return items[index]
    return None


def _attributes_before_use(nodes: list[Node]) -> list[Node]:
    """Moves the attributes that split_module put at a region's start to their first use, where Dynamo prints them."""
    attributes = {node.name: node for node in nodes if node.kind is Kind.GET_ATTR}
    if not attributes:
        return nodes
    ordered: list[Node] = []
    for node in nodes:
        if node.kind is not Kind.GET_ATTR:
            ordered += [attributes.pop(name) for name in node.inputs if name in attributes]
            ordered.append(node)
    return ordered + list(attributes.values())


@dataclass(frozen=True, slots=True)
class Original:
    """A node by the region call that holds it and its printed name there."""

    call: str
    name: str


@dataclass(frozen=True, slots=True)
class _OpenAutocast:
    """An autocast whose exit stands at the end of a region: perhaps a copy, if the next region enters it again."""

    enter: Original
    args: tuple[Argument, ...]
    exit_name: str


def find_copies(regions: Mapping[str, list[Node]]) -> dict[str, dict[str, Original | None]]:
    """Tells the copies of global-state nodes from the originals.

    `torch.fx.passes.split_module.split_module` repeats, at the start of a region, the `_enter_autocast` nodes that are
    open there, oldest first, and after them the grad mode in force, unless the region's own first node sets it; at its
    end it repeats, newest first, the `_exit_autocast` of those that stay open. A copy is made without a name of its
    own, so it is called after its function, counted up from nothing in its region.

    Args:
        regions: nodes as printed, by the name of the region's call, in order.

    Returns:
        For each region its copies by printed name: the original that an enter stands for, None for other copies.
    """
    copies: dict[str, dict[str, Original | None]] = {call: {} for call in regions}
    waiting: list[_OpenAutocast] = []
    grad: Node | None = None
    previous = ""
    for call, nodes in regions.items():
        reopened = _reopened(waiting, nodes)
        for autocast, head in zip(reopened, nodes, strict=False):
            copies[call][head.name] = autocast.enter
            copies[previous][autocast.exit_name] = None
        if grad is not None and _is_grad_copy(grad, nodes[len(reopened) :]):
            copies[call][nodes[len(reopened)].name] = None
        grad = next((node for node in reversed(nodes) if node.target == SET_GRAD), grad)
        waiting = _closed_at_end(call, nodes, copies[call])
        previous = call
    return copies


def _reopened(waiting: list[_OpenAutocast], nodes: list[Node]) -> list[_OpenAutocast]:
    """The longest run of waiting autocasts, oldest first, that the region's first nodes repeat."""
    run: list[_OpenAutocast] = []
    for position, (autocast, head) in enumerate(zip(waiting, nodes, strict=False)):
        name = f"_enter_autocast_{position}" if position else "_enter_autocast"
        if (head.target, head.name, head.args) != (ENTER_AUTOCAST, name, autocast.args):
            break
        run.append(autocast)
    return run


def _is_grad_copy(grad: Node, nodes: list[Node]) -> bool:
    if not nodes or (nodes[0].target, nodes[0].name, nodes[0].args) != (SET_GRAD, "_set_grad_enabled", grad.args):
        return False
    return len(nodes) < 2 or nodes[1].target != SET_GRAD


def _closed_at_end(call: str, nodes: list[Node], copies: Mapping[str, Original | None]) -> list[_OpenAutocast]:
    """The autocasts whose exits are the region's last nodes, oldest first."""
    enters = {node.name: node for node in nodes if node.target == ENTER_AUTOCAST}
    closed: list[_OpenAutocast] = []
    for node in reversed(nodes):
        if node.target != EXIT_AUTOCAST:
            break
        for name in refs_in(node.args):
            if name in enters:
                original = copies.get(name) or Original(call, name)
                closed.append(_OpenAutocast(original, enters[name].args, node.name))
    return closed
