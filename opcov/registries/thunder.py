"""Thunder as registry: asks `thunder.dynamo.utils.is_node_supported_by_thunder` about every node, once per question."""

from __future__ import annotations

import inspect
import re
import sys
import warnings
from collections.abc import Callable, Container, Mapping
from contextlib import nullcontext
from types import ModuleType
from typing import Any

import torch

from opcov.graph import Graph, Kind, Node
from opcov.ops import UNREADABLE, VMAP_BRACKETS
from opcov.problems import UsageError
from opcov.rebuild.arguments import NoValue
from opcov.rebuild.cost import is_costly
from opcov.rebuild.hints import hints_of
from opcov.rebuild.names import fx_target, is_missing, resolve_function
from opcov.rebuild.propagate import Gap, Known, Propagator
from opcov.rebuild.running import is_aten_binding, is_operator
from opcov.rebuild.symbols import Hints
from opcov.rebuild.values import Values
from opcov.registries.thunder_groups import groups_of
from opcov.registries.thunder_import import import_thunder
from opcov.registries.thunder_questions import Call, met_nothing_known
from opcov.registries.thunder_siblings import registered_siblings
from opcov.registries.thunder_signatures import Signatures
from opcov.registries.thunder_splitter import rules_of
from opcov.verdict import SUPPORTED, Evidence, Reason, Status, Verdict

_ADDRESS = re.compile(r"0x[0-9a-fA-F]+")
_SENTENCE = re.compile(
    r"^node with name: \S+ and target: (?P<target>.*?) (?P<what>(?:only has|didn't have|has been|is not).*)$"
)

_RUN_AS_THEY_ARE = frozenset(
    {
        *VMAP_BRACKETS,
        "torch._C._functorch._grad_increment_nesting",
        "torch._C._functorch._grad_decrement_nesting",
        "torch._C._functorch._jvp_increment_nesting",
        "torch._C._functorch._jvp_decrement_nesting",
        "torch._C._functorch._func_increment_nesting",
        "torch._C._functorch._func_decrement_nesting",
        "torch._C._functorch.set_inplace_requires_grad_allowed",
        "torch._C._functorch.set_single_level_autograd_function_allowed",
        "torch._C._autograd._saved_tensors_hooks_disable",
        "torch._C._autograd._saved_tensors_hooks_enable",
        "torch._C._set_fwd_grad_enabled",
    }
)
"""C functions that Thunder's check calls with the literals of the graph. They succeed, so the answer is known; calling
them would change the functorch level or the autograd modes of this process."""

_CHECKED_BODIES = frozenset(
    {"torch.ops.higher_order.tag_activation_checkpoint", "torch.ops.higher_order.autograd_function_apply"}
)
"""Higher-order ops whose support depends on their bodies; Thunder has every other one unsupported."""

_LOGS_ONLY = "torch._C._log_api_usage_once"

_THUNDER_SYMBOL = "thunder_"
"""How functions of the thunder package print: `checkpoint_converter` puts them into the bodies of supported regions."""


class ThunderRegistry:
    """The installed lightning-thunder as judge.

    Raises:
        RegistryError: lightning-thunder cannot be imported.
    """

    def __init__(self, *, requires_grad: bool = False) -> None:
        """Imports Thunder.

        Args:
            requires_grad: whether parameters require grad, as in training: for a call on a tensor that does, Thunder
                tries `value_and_grad` of its symbol. Which inputs are parameters and what requires grad because of them
                is not printed, so such verdicts are assumed.
        """
        thunder = import_thunder()
        utils = thunder.dynamo.utils
        self._is_supported: Callable[..., tuple[bool, Any]] = utils.is_node_supported_by_thunder
        takes_options = len(inspect.signature(self._is_supported).parameters) > 1  # since 0.2.6
        self._options: tuple[dict[str, Any], ...] = ({},) if takes_options else ()
        self._mapped: Mapping[Any, Any] = utils._torch_to_thunder_function_map
        self._fallbacks: Container[Any] = utils.auto_register_ops
        self._has_method: Callable[[str], bool] = utils.torchctx.has_method
        self._proxied: Container[str] = vars(thunder.core.proxies.TensorProxy)
        self._signatures = Signatures()
        self._symbols: ModuleType | None = sys.modules.get("thunder.core.symbol")
        self._requires_grad = requires_grad
        self._memories: dict[Hints, _Memory] = {}
        self.versions = {
            "lightning-thunder": str(thunder.__version__),
            "torch": str(torch.__version__).partition("+")[0],
        }
        self.splitter = rules_of(thunder.dynamo)
        self.questions = 0

    def judge(self, graph: Graph) -> tuple[dict[str, Verdict], dict[str, Known]]:
        """Judges every call of a graph.

        Args:
            graph: what a loader read.

        Returns:
            The own verdict of each call by its name, and what is known of each node's value.
        """
        memory = self._memory(hints_of(graph))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            findings = memory.propagator.explore(graph)
            attributes = {node.name: node for node in graph.nodes if node.kind is Kind.GET_ATTR}
            verdicts = {
                node.name: self._verdict(Call(graph, node, findings, attributes, self._requires_grad), memory)
                for node in graph.calls
            }
            return verdicts, findings.known

    def siblings(self, op: str) -> tuple[str, ...]:
        """Other spellings and near relatives of an op that Thunder has a symbol for, sorted.

        Args:
            op: a canonical name.
        """
        return registered_siblings(op, self.has_own)

    def has_own(self, op: str) -> bool:
        """Whether Thunder has an operation of its own for an op, whatever arguments it takes.

        Args:
            op: a canonical name; what does not exist here, Thunder has none for.
        """
        try:
            return self.registers(op)
        except UsageError:
            return False

    def registers(self, target: Callable[..., Any] | str) -> bool:
        """Whether Thunder has an operation of its own for a function, or a method that its tensors have.

        Args:
            target: `torch.sinc`, `torch.Tensor.view`, `operator.add`, or such a name as text. An automatic torch
                fallback is not Thunder's own.

        Raises:
            UsageError: it is no function, or nothing that is allowed to be looked up has that name.
        """
        if isinstance(target, str):
            target = _named(target)
        elif isinstance(target, type) or not hasattr(target, "__name__"):
            what = (
                f"the class {target.__name__}" if isinstance(target, type) else f"an object of {type(target).__name__}"
            )
            raise UsageError(f"{what} is no function such as torch.sinc; opcov.check judges modules")
        try:
            if target in self._fallbacks:
                return False
            if target in self._mapped:
                return True
        except TypeError:  # what cannot be hashed is nobody's key
            return False
        name = getattr(target, "__name__", "")
        if is_operator(target):
            return f"__{name.strip('_')}__" in self._proxied
        if getattr(torch.Tensor, name, None) is not target:
            return False
        return self._has_method(name) or (inspect.isdatadescriptor(target) and name in self._proxied)

    def _memory(self, hints: Hints) -> _Memory:
        if hints not in self._memories:
            self._memories[hints] = _Memory(Propagator(Values(hints), requires_grad=self._requires_grad))
        return self._memories[hints]

    def _verdict(self, call: Call, memory: _Memory) -> Verdict:
        body = _converted_body(call)
        if body is not None:
            return body
        key = call.key
        verdict = memory.verdicts.get(key)
        if verdict is None:
            verdict = memory.verdicts[key] = self._ask(call, memory)
            self.questions += 1
        return verdict

    def _ask(self, call: Call, memory: _Memory) -> Verdict:
        node, values = call.node, memory.propagator.values
        if node.op in _RUN_AS_THEY_ARE:
            return SUPPORTED
        if node.target == UNREADABLE:
            return _unknown("its statement could not be read")
        if is_costly(node, call.inputs):
            return _unknown("it would take unbounded time or memory to try: a number in it is too large")
        run_for_real = self._run_for_real(node)
        if run_for_real is not None and not _is_harmless(call, run_for_real):
            return _unknown("Thunder would call this function to see whether it works; opcov does not")
        bodies = call.bodies if node.op in _CHECKED_BODIES else []
        if any(self._is_harmful(body, memory) for body in bodies):
            return _unknown("Thunder would try a call in a body of it that opcov does not try")
        try:
            question = call.question(values)
        except NoValue as error:
            return _unknown(f"its arguments cannot be made: {error}")
        # On fake tensors a factory function that Thunder really calls takes no memory and no random numbers.
        tried = [node, *(inner for body in bodies for inner in body.calls)]
        is_real = any(is_aten_binding(inner.op) and self._run_for_real(inner) is not None for inner in tried)
        fake = values.mode if is_real else nullcontext()
        try:
            with fake, self._signatures.used_by(self._symbols), groups_of(node):
                supported, split_reason = self._is_supported(question, *self._options)
        except Exception as error:  # noqa: BLE001 - whatever it raises stops Thunder's splitter: that is the answer
            if met_nothing_known(error, question):
                return _no_metadata(call)
            return Verdict(Status.CRASH, Reason.CRASH, _scrub(f"{type(error).__name__}: {error}"))
        evidence = Evidence.ASSUMED if call.rests_on_assumption else Evidence.META
        if supported:
            return Verdict(Status.SUPPORTED, evidence=evidence)
        if met_nothing_known(split_reason.exception, question):
            return _no_metadata(call)
        return _unsupported(node, split_reason, evidence)

    def _is_harmful(self, body: Graph, memory: _Memory) -> bool:
        """Whether Thunder, which tries each call of a body, would there do what is never done for a call itself."""
        findings = memory.propagator.explore(body)
        attributes = {node.name: node for node in body.nodes if node.kind is Kind.GET_ATTR}
        for node in body.calls:
            call = Call(body, node, findings, attributes, self._requires_grad)
            function = self._run_for_real(node)
            if node.op in _RUN_AS_THEY_ARE or is_costly(node, call.inputs):
                return True
            if function is not None and not _is_harmless(call, function):
                return True
            if any(self._is_harmful(inner, memory) for inner in call.bodies):
                return True
        return False

    def _run_for_real(self, node: Node) -> Callable[..., Any] | None:
        """The built-in function that `is_node_supported_by_thunder` calls itself, where it has no symbol for it."""
        target: Any = None
        if node.kind is Kind.CALL_FUNCTION:
            target = fx_target(node)
        elif node.kind is Kind.CALL_METHOD:
            target = getattr(torch.Tensor, node.target, None)
        if not inspect.isbuiltin(target) or target in self._mapped or target in self._fallbacks:
            return None
        return target


class _Memory:
    """What was found out with one choice of hints."""

    def __init__(self, propagator: Propagator) -> None:
        self.propagator = propagator
        self.verdicts: dict[str, Verdict] = {}


def _named(op: str) -> Any:
    """What a canonical name stands for.

    Raises:
        UsageError: the name is not known here.
    """
    attribute = op.removeprefix("torch.Tensor.")
    if attribute != op and attribute.isidentifier() and not attribute.startswith("_"):
        found = getattr(torch.Tensor, attribute, None)  # is_cpu is no function: only here a property is an op
    else:
        found = resolve_function(op)
    if found is None or is_missing(found) or isinstance(found, type):
        raise UsageError(f"no function of torch, operator or math is called {op!r}; give a name such as torch.sinc")
    return found


def _converted_body(call: Call) -> Verdict | None:
    """Supported, where the dump holds only what Thunder made of a body: it converts none but supported ones."""
    if call.node.op not in _CHECKED_BODIES:
        return None
    targets = (node.target for body in call.bodies for node in body.calls)
    return SUPPORTED if any(target.startswith(_THUNDER_SYMBOL) for target in targets) else None


def _is_harmless(call: Call, function: Callable[..., Any]) -> bool:
    """Whether a built-in function may be called with the literals of a file and proxies for its nodes."""
    module = getattr(function, "__module__", None)
    if is_operator(function) or module == "builtins":
        return "key" not in dict(call.node.kwargs)  # a function or type of the file's choice would be called
    if call.node.op == _LOGS_ONLY or is_aten_binding(call.node.op):
        return True
    return call.has_tensor  # C++ refuses the proxy of a tensor before it does anything


def _no_metadata(call: Call) -> Verdict:
    gaps = [str(number) for number, value in enumerate(call.inputs.values(), 1) if value is Gap.MISSING]
    if gaps:
        return _unknown(f"nothing is known of input {', '.join(gaps)} of {len(call.inputs)}")
    return _unknown("this torch cannot make a value of what the graph states of an input")


def _unknown(detail: str) -> Verdict:
    return Verdict(Status.UNKNOWN, Reason.NO_METADATA, detail)


_SEEN_IN_METADATA = (Reason.EXCEPTION_PROXY_THUNDER_OP, Reason.EXCEPTION_META_THUNDER_OP)
"""Thunder tried the call on metadata. For every other reason the target alone is enough."""


def _unsupported(node: Node, split_reason: Any, evidence: Evidence) -> Verdict:
    info = str(split_reason.info or "")
    reason = Reason.__members__.get(split_reason.reason_type.name, Reason.UNSUPPORTED_NODE)
    if reason is Reason.MISSING_OP_SUPPORT and "automatic torch fallback" in info:
        reason = Reason.AUTO_FALLBACK
    found = _SENTENCE.match(info)
    detail = str(split_reason.exception) if split_reason.exception is not None else ""
    if not detail:
        detail = f"{node.op} {found['what']}" if found else info
    if reason not in _SEEN_IN_METADATA:
        evidence = Evidence.META
    return Verdict(Status.UNSUPPORTED, reason, _scrub(detail), evidence)


def _scrub(text: str) -> str:
    """One line without memory addresses."""
    return _ADDRESS.sub("0x…", " ".join(text.split()))
