"""Thunder as registry: asks `thunder.dynamo.utils.is_node_supported_by_thunder` about every node, once per question."""

from __future__ import annotations

import inspect
import re
import types
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch

from opcov.graph import Graph, Kind, Node
from opcov.rebuild import rebuild
from opcov.rebuild.cost import is_costly
from opcov.rebuild.names import fx_target, resolve_function
from opcov.rebuild.propagate import Gap, Known, Propagator, question_key, runnable
from opcov.rebuild.values import NoValue, Values, depends_on_hint, plain_value
from opcov.registries.thunder_import import import_thunder
from opcov.verdict import SUPPORTED, Evidence, Reason, Status, Verdict

_ADDRESS = re.compile(r"0x[0-9a-fA-F]+")
_SENTENCE = re.compile(r"^node with name: \S+ and target: (?P<target>.*?) (?P<what>(?:only has|didn't have|has been|is not).*)$")

_RUN_AS_THEY_ARE = frozenset(
    {
        "torch._C._functorch._vmap_increment_nesting",
        "torch._C._functorch._vmap_decrement_nesting",
        "torch._C._functorch._grad_increment_nesting",
        "torch._C._functorch._grad_decrement_nesting",
        "torch._C._functorch._jvp_increment_nesting",
        "torch._C._functorch._jvp_decrement_nesting",
        "torch._C._functorch._func_increment_nesting",
        "torch._C._functorch._func_decrement_nesting",
    }
)
"""C functions that Thunder's check calls with the literals of the graph. They succeed, so the answer is known; calling
them would change the functorch level of this process."""

_CHECKED_BODIES = frozenset({"torch.ops.higher_order.tag_activation_checkpoint", "torch.ops.higher_order.autograd_function_apply"})
"""Higher-order ops whose support depends on their bodies; Thunder has every other one unsupported."""

_THUNDER_SYMBOL = "thunder_"
"""How functions of the thunder package print: `checkpoint_converter` puts them into the bodies of supported regions."""


class ThunderRegistry:
    """The installed lightning-thunder as judge.

    Raises:
        RegistryError: lightning-thunder cannot be imported.
    """

    def __init__(self) -> None:
        thunder = import_thunder()
        utils = thunder.dynamo.utils
        check = utils.is_node_supported_by_thunder
        takes_options = len(inspect.signature(check).parameters) > 1  # since 0.2.6
        self._check: Callable[[torch.fx.Node], tuple[bool, Any]] = (lambda node: check(node, {})) if takes_options else check
        self._functions: Mapping[Any, Any] = utils._torch_to_thunder_function_map
        self._values = Values()
        self._propagator = Propagator(self._values)
        self._memo: dict[str, Verdict] = {}
        self.versions = {"lightning-thunder": str(thunder.__version__), "torch": str(torch.__version__).partition("+")[0]}
        self.questions = 0

    def judge(self, graph: Graph) -> tuple[dict[str, Verdict], dict[str, Known]]:
        """Judges every call of a graph.

        Args:
            graph: what a loader read.

        Returns:
            The own verdict of each call by its name, and what is known of each node's value.
        """
        known = self._propagator.known(graph)
        kinds = {node.name: node for node in graph.nodes if node.kind is Kind.GET_ATTR}
        verdicts = {}
        for node in graph.calls:
            inputs = {name: known.get(name, Gap.MISSING) for name in node.inputs}
            body = self._body_verdict(graph, node)
            if body is not None:
                verdicts[node.name] = body
                continue
            key = self._key(graph, node, inputs, kinds)
            verdict = self._memo.get(key)
            if verdict is None:
                verdict = self._memo[key] = self._ask(graph, node, inputs, kinds)
                self.questions += 1
            verdicts[node.name] = verdict
        return verdicts, known

    def _key(self, graph: Graph, node: Node, inputs: Mapping[str, Known], attributes: Mapping[str, Node]) -> str:
        described: dict[str, object] = dict(inputs)
        for name in inputs:
            if name in attributes:
                path = attributes[name].target
                content = graph.bodies[path] if path in graph.bodies else inputs[name]
                described[name] = f"attribute {path}: {content!r}" if "." in path else f"attribute: {content!r}"
        return question_key(node, described)

    def _body_verdict(self, graph: Graph, node: Node) -> Verdict | None:
        """Supported, where the dump holds only what Thunder made of a body: it converts none but supported ones."""
        if node.op not in _CHECKED_BODIES:
            return None
        paths = [attribute.target for attribute in graph.nodes if attribute.name in node.inputs and attribute.target in graph.bodies]
        converted = (call.target.startswith(_THUNDER_SYMBOL) for path in paths for call in graph.bodies[path].calls)
        return SUPPORTED if any(converted) else None

    def _ask(self, graph: Graph, node: Node, inputs: Mapping[str, Known], attributes: Mapping[str, Node]) -> Verdict:
        if node.op in _RUN_AS_THEY_ARE:
            return SUPPORTED
        if node.target == "unreadable":
            return _unknown("its statement could not be read")
        if is_costly(node, inputs):
            return _unknown("it would take unbounded time or memory to try: a number in it is too large")
        refused = self._refuses_to_run(node)
        if refused is not None:
            return refused
        gaps = [name for name, value in inputs.items() if value is Gap.MISSING]
        try:
            question, unmade = self._question(graph, node, inputs, attributes)
        except NoValue as error:
            return _unknown(f"its arguments cannot be made: {error}")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                supported, split_reason = self._check(question)
        except Exception as error:
            if gaps or unmade:
                return _unknown(f"nothing is known of its input {(gaps or unmade)[0]}")
            return Verdict(Status.CRASH, Reason.CRASH, _scrub(f"{type(error).__name__}: {error}"))
        evidence = Evidence.META
        if any(not isinstance(value, Gap) and depends_on_hint(value) for value in inputs.values()):
            evidence = Evidence.ASSUMED
        if supported:
            return Verdict(Status.SUPPORTED, evidence=evidence)
        return _unsupported(node, split_reason, evidence)

    def _refuses_to_run(self, node: Node) -> Verdict | None:
        """Unknown for a built-in that Thunder would really call and that opcov does not trust to be without effect."""
        if node.kind is not Kind.CALL_FUNCTION:
            return None
        target = resolve_function(node.op if node.target != "getattr" else "getattr")
        if not isinstance(target, types.BuiltinFunctionType) or target in self._functions:
            return None
        if runnable(node) is not None or node.op.startswith(("operator.", "math.")) or not node.op.startswith("torch."):
            return None
        if node.op in ("torch._C._log_api_usage_once", "torch._C._autograd._get_data_attr") or node.inputs:
            return None  # the first only writes a log; the others refuse a proxy where they want a tensor
        return _unknown("Thunder would call this C function to see whether it works; opcov does not")

    def _question(
        self, graph: Graph, node: Node, inputs: Mapping[str, Known], attributes: Mapping[str, Node]
    ) -> tuple[torch.fx.Node, list[str]]:
        """A graph of its own for one call: inputs with their example values, then the call."""
        fx_graph = torch.fx.Graph()
        owner = torch.nn.Module()
        refs: dict[str, torch.fx.Node] = {}
        unmade: list[str] = []
        for name, value in inputs.items():
            attribute = attributes.get(name)
            if attribute is not None:
                content = graph.bodies.get(attribute.target)
                if content is not None:
                    setattr(owner, attribute.target, rebuild(content))
                elif attribute.target.isidentifier():
                    setattr(owner, attribute.target, None)
                refs[name] = fx_graph.create_node("get_attr", attribute.target)
            else:
                refs[name] = fx_graph.placeholder(name)
            if value is Gap.ABSENT:
                continue
            try:
                refs[name].meta["example_value"] = _NOTHING_KNOWN if isinstance(value, Gap) else self._values.shared(value)
            except NoValue:
                unmade.append(name)
                refs[name].meta["example_value"] = _NOTHING_KNOWN
        args = tuple(plain_value(argument, refs) for argument in node.args)
        kwargs = {key: plain_value(argument, refs) for key, argument in node.kwargs}
        call = fx_graph.create_node(node.kind.value, fx_target(node), args, kwargs, name=node.name)
        fx_graph.owning_module = owner  # type: ignore[assignment]
        return call, unmade


class _NothingKnown:
    """Stands for metadata that is missing: Thunder's check raises once it looks at it, and only then it matters."""


_NOTHING_KNOWN = _NothingKnown()


def _unknown(detail: str) -> Verdict:
    return Verdict(Status.UNKNOWN, Reason.NO_METADATA, detail)


def _unsupported(node: Node, split_reason: Any, evidence: Evidence) -> Verdict:
    info = str(split_reason.info or "")
    reason = Reason(split_reason.reason_type.name)
    if reason is Reason.MISSING_OP_SUPPORT and "automatic torch fallback" in info:
        reason = Reason.AUTO_FALLBACK
    found = _SENTENCE.match(info)
    detail = str(split_reason.exception) if split_reason.exception is not None else ""
    if not detail:
        detail = f"{node.op} {found['what']}" if found else info
    return Verdict(Status.UNSUPPORTED, reason, _scrub(detail), evidence)


def _scrub(text: str) -> str:
    """One line without memory addresses."""
    return _ADDRESS.sub("0x…", " ".join(text.split()))
