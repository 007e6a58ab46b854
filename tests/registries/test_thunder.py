"""Thunder as judge: its own answer on the same graph, asked once, without effects, within bounds."""

from __future__ import annotations

import operator
import resource
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from thunder_calls import ask
from torch._subclasses.fake_tensor import FakeTensorMode

from opcov.graph import Graph, TensorMeta
from opcov.loaders import load_text
from opcov.rebuild.values import Values
from opcov.registries import thunder_questions
from opcov.registries.thunder import ThunderRegistry
from opcov.verdict import Evidence, Reason, Status, Verdict


@pytest.fixture(scope="module")
def registry() -> ThunderRegistry:
    return ThunderRegistry()


def load(*statements: str, inputs: str = 'x: "f32[4, 4]"') -> Graph:
    body = "\n".join(f"        {statement}" for statement in statements)
    text = f"class GraphModule(torch.nn.Module):\n    def forward(self, {inputs}):\n{body}\n        return (y,)\n"
    (graph,), _ = load_text(text)
    return graph


def verdict(registry: ThunderRegistry, *statements: str, inputs: str = 'x: "f32[4, 4]"', node: str = "y") -> Verdict:
    return registry.judge(load(*statements, inputs=inputs))[0][node]


# --- the same graph, live ---------------------------------------------------------------------------------------------


class Live:
    """A live torch.fx graph whose nodes carry the fake tensors that running them gives."""

    def __init__(self) -> None:
        self.mode = FakeTensorMode()
        self.graph = torch.fx.Graph()
        self.x = self.input("x", self.fake(4, 4))

    def fake(self, *shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        with self.mode:
            return torch.empty(shape, dtype=dtype)

    def input(self, name: str, value: Any) -> torch.fx.Node:
        node = self.graph.placeholder(name)
        node.meta["example_value"] = value
        return node

    def call(self, target: Any, *args: Any, value: Any = None, **kwargs: Any) -> torch.fx.Node:
        kind = "call_method" if isinstance(target, str) else "call_function"
        node = self.graph.create_node(kind, target, args, kwargs)
        if value is not None:
            node.meta["example_value"] = value
        return node


def sin(live: Live) -> None:
    live.call(torch.sin, live.x, value=live.fake(4, 4))


def missing_method(live: Live) -> None:
    live.call("wait_stream", live.x, live.x)


def fallback(live: Live) -> None:
    live.call("new_empty", live.x, (4,), value=live.fake(4))


def fallback_function(live: Live) -> None:
    live.call(torch.sinc, live.x, value=live.fake(4, 4))


def no_mapping(live: Live) -> None:
    live.call(torch.hub.list, live.x)


def higher_order(live: Live) -> None:
    live.call(torch.ops.higher_order.cond, True, live.x, live.x, (live.x,))


def out_argument(live: Live) -> None:
    three = live.input("three", live.fake(2, 4, 4))
    live.call(torch.bmm, three, three, out=three, value=live.fake(2, 4, 4))


def plain_bmm(live: Live) -> None:
    three = live.input("three", live.fake(2, 4, 4))
    live.call(torch.bmm, three, three, value=live.fake(2, 4, 4))


def uint32(live: Live) -> None:
    u = live.input("u", live.fake(4, 4, dtype=torch.uint32))
    live.call("transpose", u, 0, 1, value=live.fake(4, 4, dtype=torch.uint32))


def attribute(live: Live) -> None:
    live.call(getattr, live.x, "is_cpu")


def known_attribute(live: Live) -> None:
    live.call(getattr, live.x, "dtype")


def method_only_symbol(live: Live) -> None:
    live.call("float", live.x, value=live.fake(4, 4))


def wrong_shapes(live: Live) -> None:
    live.call(torch.matmul, live.x, live.input("z", live.fake(3, 3)), value=live.fake(4, 3))


def operators(live: Live) -> None:
    live.call(operator.add, live.x, 1, value=live.fake(4, 4))


def boolean(live: Live) -> None:
    live.call(operator.not_, live.x)


def where_with_one_argument(live: Live) -> None:
    live.call(torch.where, live.input("m", live.fake(4, dtype=torch.bool)))


def builtin_max(live: Live) -> None:
    live.call(max, 3, 5)


def set_item(live: Live) -> None:
    live.call(operator.setitem, live.x, 0, 1.0)


def aten_overload(live: Live) -> None:
    live.call(torch.ops.aten.sin.default, live.x, value=live.fake(4, 4))


def tuple_argument(live: Live) -> None:
    parts = live.call(torch.split, live.x, 2, value=(live.fake(2, 4), live.fake(2, 4)))
    live.call(operator.getitem, parts, 0, value=live.fake(2, 4))


def list_argument(live: Live) -> None:
    parts = live.call(torch.ops.aten.split.Tensor, live.x, 2, value=[live.fake(2, 4), live.fake(2, 4)])
    live.call(operator.getitem, parts, 0, value=live.fake(2, 4))


def random_factory(live: Live) -> None:
    live.call(torch.randperm, 4, value=live.fake(4, dtype=torch.int64))


def window(live: Live) -> None:
    live.call(torch.hann_window, 4, value=live.fake(4))


RULES: list[tuple[Callable[[Live], None], str]] = [
    (sin, "supported"),  # a mapping that takes these proxies
    (missing_method, "crash"),  # assert target is not None
    (fallback, "unsupported"),  # in auto_register_ops
    (fallback_function, "unsupported"),  # in auto_register_ops
    (no_mapping, "unsupported"),  # falls through to the end
    (higher_order, "unsupported"),  # neither of the two that depend on bodies
    (out_argument, "unsupported"),  # a mapping that has no out=
    (plain_bmm, "supported"),
    (uint32, "unsupported"),  # thunder.dtypes has no uint32
    (attribute, "unsupported"),  # TensorProxy has no is_cpu
    (known_attribute, "supported"),  # a builtin that works on a TensorProxy
    (method_only_symbol, "supported"),  # only torchctx knows it
    (wrong_shapes, "unsupported"),  # the meta function raises
    (operators, "supported"),  # a builtin
    (boolean, "unsupported"),  # bool() of a TensorProxy raises
    (where_with_one_argument, "unsupported"),  # a mapping that lacks this overload
    (builtin_max, "supported"),  # a builtin on literals
    (set_item, "supported"),  # TensorProxy has __setitem__
    (aten_overload, "unsupported"),  # no mapping of the overload
    (tuple_argument, "supported"),
    (list_argument, "unsupported"),  # make_input_proxy takes no list
    (random_factory, "supported"),  # Thunder really calls it
    (window, "supported"),  # Thunder really calls it
]


@pytest.mark.parametrize(("build", "status"), RULES, ids=lambda value: getattr(value, "__name__", ""))
def test_a_graph_has_the_verdicts_that_thunder_gives_on_it_live(
    build: Callable[[Live], None], status: str, registry: ThunderRegistry
) -> None:
    live = Live()
    build(live)
    live.graph.output(None)
    gm = torch.fx.GraphModule(torch.nn.Module(), live.graph)
    truth: dict[str, tuple[str, str | None]] = {}
    for node in gm.graph.nodes:
        if node.op.startswith("call"):
            try:
                supported, why = ask(node)
                truth[node.name] = "supported" if supported else "unsupported", why.reason_type.name if why else None
            except AssertionError:
                truth[node.name] = "crash", "CRASH"
    (graph,), _ = load_text(gm.print_readable(print_output=False))
    verdicts, _ = registry.judge(graph)
    names = {Reason.AUTO_FALLBACK: "MISSING_OP_SUPPORT"}  # opcov's finer name for one of Thunder's
    found = {
        name: (answer.status.value, names.get(answer.reason, answer.reason.value) if answer.reason else None)
        for name, answer in verdicts.items()
    }
    assert list(truth.values())[-1][0] == status
    assert found == truth


# --- higher-order ops and their bodies --------------------------------------------------------------------------------


def checkpoint(body: str) -> str:
    return (
        "class GraphModule(torch.nn.Module):\n"
        '    def forward(self, x: "f32[4]"):\n'
        "        wrap_body_0 = self.wrap_body_0\n"
        "        t = torch.ops.higher_order.tag_activation_checkpoint(wrap_body_0, x, use_reentrant = False)\n"
        '        y: "f32[4]" = t[0]\n'
        "        return (y,)\n"
        "    class wrap_body_0(torch.nn.Module):\n"
        '        def forward(self, v: "f32[4]"):\n'
        f'            s: "f32[4]" = {body}\n'
        "            return (s,)\n"
    )


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("torch.sin(v)", Status.SUPPORTED),
        ("torch.sinc(v)", Status.UNSUPPORTED),  # is_graphmodule_supported_by_thunder asks about each node
        ("thunder_core_symbol_sin(v)", Status.SUPPORTED),  # checkpoint_converter runs in supported regions only
    ],
)
def test_a_checkpoint_is_as_supported_as_its_body(body: str, status: Status, registry: ThunderRegistry) -> None:
    (graph,), _ = load_text(checkpoint(body))
    assert registry.judge(graph)[0]["t"].status is status


# --- unknown, evidence, details ---------------------------------------------------------------------------------------


def test_missing_metadata_makes_a_tried_op_unknown(registry: ThunderRegistry) -> None:
    assert verdict(registry, 'y: "f32[4]" = torch.sin(x)', inputs="x").status is Status.UNKNOWN


def test_missing_metadata_makes_an_op_that_only_torchctx_knows_unknown(registry: ThunderRegistry) -> None:
    assert verdict(registry, 'y: "f32[4]" = x.float()', inputs="x").status is Status.UNKNOWN


@pytest.mark.parametrize(("other", "is_met"), [(torch.ones(1), True), ((torch.ones(1),), True), ([], False)])
def test_an_error_that_names_no_type_is_about_missing_metadata_where_nothing_else_is_refused(
    other: object, is_met: bool
) -> None:
    graph = torch.fx.Graph()
    inputs = graph.placeholder("x"), graph.placeholder("y")
    inputs[0].meta["example_value"], inputs[1].meta["example_value"] = other, thunder_questions._NOTHING_KNOWN
    error = TypeError(thunder_questions._NAMES_NO_TYPE)  # Thunder 0.2.3's
    assert thunder_questions.met_nothing_known(error, graph.call_function(torch.add, inputs)) is is_met


def test_missing_metadata_does_not_matter_to_an_op_without_mapping(registry: ThunderRegistry) -> None:
    answer = verdict(registry, 'y: "f32[4]" = torch.ops.a.b(x)', inputs="x")
    assert (answer.status, answer.reason) == (Status.UNSUPPORTED, Reason.MISSING_OP_SUPPORT)


def test_missing_metadata_does_not_matter_to_a_method_that_is_not_there(registry: ThunderRegistry) -> None:
    assert verdict(registry, "y = x.wait_stream(x)", inputs="x").status is Status.CRASH


def test_a_dtype_that_torch_lacks_makes_a_tried_op_unknown(registry: ThunderRegistry) -> None:
    assert verdict(registry, 'y: "f32[4]" = torch.sin(x)', inputs='x: "q7[4]"').status is Status.UNKNOWN


def test_an_unknown_verdict_says_which_input_it_lacks(registry: ThunderRegistry) -> None:
    answer = verdict(registry, 'y: "f32[4]" = torch.add(x, z)', inputs='x: "f32[4]", z')
    assert "input 2 of 2" in answer.detail


def test_a_verdict_on_a_symbolic_size_is_assumed(registry: ThunderRegistry) -> None:
    assert verdict(registry, 'y: "f32[s0]" = torch.sin(x)', inputs='x: "f32[s0]"').evidence is Evidence.ASSUMED


def test_a_verdict_on_a_printed_size_is_not_assumed(registry: ThunderRegistry) -> None:
    assert verdict(registry, 'y: "f32[4, 4]" = torch.sin(x)').evidence is Evidence.META


def test_a_verdict_on_the_target_alone_is_not_assumed(registry: ThunderRegistry) -> None:
    answer = verdict(registry, 'y: "f32[s0]" = torch.ops.a.b(x)', inputs='x: "f32[s0]"')
    assert answer.evidence is Evidence.META


def test_taking_apart_a_tuple_that_was_inferred_is_assumed(registry: ThunderRegistry) -> None:
    answer = verdict(registry, "p = torch.ops.a.pair(x)", 'y: "f32[4]" = p[0]')
    assert (answer.status, answer.evidence) == (Status.SUPPORTED, Evidence.ASSUMED)


def test_no_detail_holds_a_memory_address(registry: ThunderRegistry) -> None:
    graph = load(
        "a = torch._C._functorch._wrap_for_grad(x, 1)",
        "b = torch.ops.a.b(x)",
        "c = torch._functorch.predispatch._unwrap_for_grad(x, 1)",
        "s = torch.cuda.current_stream()",
        "e = torch.add(s, x)",
        "y = x.is_cpu",
    )
    details = [answer.detail for answer in registry.judge(graph)[0].values()]
    assert len([detail for detail in details if detail]) >= 5
    assert [detail for detail in details if "0x" in detail.replace("0x…", "")] == []


def test_a_detail_names_no_node_of_the_graph(registry: ThunderRegistry) -> None:
    # One answer serves many nodes: which of them was asked first must not show.
    answer = verdict(registry, 'peculiar: "f32[4]" = torch.hub.list(unusual)', inputs="unusual", node="peculiar")
    assert answer.detail == "torch.hub.list didn't have any mapping in thunder."


def test_versions_name_what_was_asked(registry: ThunderRegistry) -> None:
    assert set(registry.versions) == {"lightning-thunder", "torch"}
    assert torch.__version__.startswith(registry.versions["torch"])


def test_a_verdict_on_a_stated_size_is_not_assumed(registry: ThunderRegistry) -> None:
    graph = replace(load('y: "f32[s0]" = torch.sin(x)', inputs='x: "f32[s0]"'), hints={"s0": 4})
    assert registry.judge(graph)[0]["y"].evidence is Evidence.META


def test_a_verdict_on_what_follows_from_a_hint_is_assumed(registry: ThunderRegistry) -> None:
    answer = verdict(registry, "p = x.chunk(2)", 'y: "f32[4]" = p[0]', inputs='x: "f32[s0]"')
    assert (answer.status, answer.evidence) == (Status.SUPPORTED, Evidence.ASSUMED)


def test_a_verdict_on_a_tensor_subclass_is_assumed(registry: ThunderRegistry) -> None:
    answer = verdict(registry, 'y: "f32[4]" = torch.sin(x)', inputs='x: "DTensor(f32[4])"')
    assert answer.evidence is Evidence.ASSUMED


def test_a_size_that_must_be_positive_is_no_reason_for_unknown(registry: ThunderRegistry) -> None:
    statements = ('z: "f32[s0 - 9]" = x[slice(9, None, None)]', 'y: "f32[s0 - 9]" = torch.sin(z)')
    assert verdict(registry, *statements, inputs='x: "f32[s0]"').status is Status.SUPPORTED


# --- training ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def training() -> ThunderRegistry:
    return ThunderRegistry(requires_grad=True)


PARAMETER = 'x: "f32[4, 4]", l_self_parameters_w_: "f32[4, 4]"'


def test_in_training_a_call_is_differentiated(registry: ThunderRegistry, training: ThunderRegistry) -> None:
    # `value_and_grad` changes the list of an index in place, and torch.fx's lists refuse that.
    statements = ('z: "f32[4, 4]" = l_self_parameters_w_ @ x', 'y: "f32[4, 1]" = z[(Ellipsis, [1])]')
    answers = [verdict(judge, *statements, inputs=PARAMETER).status for judge in (registry, training)]
    assert answers == [Status.SUPPORTED, live_verdict(operator.getitem, (..., [1]))]
    skip_where_a_list_is_differentiated()
    assert answers[1] is Status.UNSUPPORTED


def skip_where_a_list_is_differentiated() -> None:
    if live_verdict(operator.getitem, (..., [1])) is Status.SUPPORTED:
        pytest.skip("this lightning-thunder (0.2.3) does not change the list of an index")


def live_verdict(target: Callable[..., Any], *args: Any) -> Status:
    """Thunder's own answer for a call on a tensor that requires grad."""
    live = Live()
    live.x.meta["example_value"].requires_grad_()
    node = live.call(target, live.x, *args)
    return Status.SUPPORTED if ask(node)[0] else Status.UNSUPPORTED


def test_in_training_a_verdict_on_what_requires_grad_is_assumed(training: ThunderRegistry) -> None:
    answer = verdict(training, 'y: "f32[4, 4]" = l_self_parameters_w_ @ x', inputs=PARAMETER)
    assert (answer.status, answer.evidence) == (Status.SUPPORTED, Evidence.ASSUMED)


def test_in_training_a_verdict_on_what_requires_no_grad_is_not_assumed(training: ThunderRegistry) -> None:
    assert verdict(training, 'y: "f32[4, 4]" = torch.sin(x)', inputs=PARAMETER).evidence is Evidence.META


def test_in_training_a_call_without_grad_is_not_differentiated(training: ThunderRegistry) -> None:
    statements = (
        "s = torch._C._set_grad_enabled(False)",
        'z: "f32[4, 4]" = l_self_parameters_w_ @ x',
        'y: "f32[4, 1]" = z[(Ellipsis, [1])]',
    )
    assert verdict(training, *statements, inputs=PARAMETER).status is Status.SUPPORTED


def test_in_training_a_body_is_differentiated(registry: ThunderRegistry, training: ThunderRegistry) -> None:
    text = checkpoint("v[(Ellipsis, [1])]").replace('x: "f32[4]"', 'l_self_parameters_w_: "f32[4]"').replace(
        "wrap_body_0, x", "wrap_body_0, l_self_parameters_w_"
    )  # fmt: skip
    (graph,), _ = load_text(text)
    answers = [judge.judge(graph)[0]["t"].status for judge in (registry, training)]
    skip_where_a_list_is_differentiated()
    assert answers == [Status.SUPPORTED, Status.UNSUPPORTED]


# --- asked once -------------------------------------------------------------------------------------------------------


def questions(*graphs: Graph) -> int:
    registry = ThunderRegistry()
    for graph in graphs:
        registry.judge(graph)
    return registry.questions


def test_equal_calls_are_asked_once() -> None:
    graph = load('a: "f32[4, 4]" = torch.sin(x)', 'b: "f32[4, 4]" = torch.sin(a)', 'y: "f32[4, 4]" = torch.sin(b)')
    assert questions(graph, graph) == 1


def test_other_metadata_is_another_question() -> None:
    graph = load('a: "f32[2, 2]" = torch.sin(x)', 'y: "f32[2, 2]" = torch.sin(a)')
    assert questions(graph) == 2


def test_true_one_and_one_point_zero_are_asked_apart() -> None:
    graph = load(
        *(f'{name}: "f32[4, 4]" = torch.add(x, {value})' for name, value in [("a", 1), ("b", 1.0), ("y", True)])
    )
    assert questions(graph) == 3


def test_a_node_that_holds_an_int_is_asked_apart_from_the_int() -> None:
    graph = load(
        'a: "f32[4, 4]" = torch.add(x, n)', 'y: "f32[4, 4]" = torch.add(x, 8)', inputs='x: "f32[4, 4]", n: "Sym(8)"'
    )
    assert questions(graph) == 2


def test_the_annotation_of_the_result_is_no_part_of_the_question() -> None:
    graph = load('a: "f32[4, 4]" = torch.ops.a.b(x)', 'y: "i64[2]" = torch.ops.a.b(x)')
    assert questions(graph) == 1


# --- no effects -------------------------------------------------------------------------------------------------------

STATEFUL = """
torch._C._set_grad_enabled(False)
torch.set_grad_enabled(False)
torch._C._set_fwd_grad_enabled(False)
torch.amp.autocast_mode._enter_autocast('cpu', torch.bfloat16, True, None)
torch.amp.autocast_mode._exit_autocast(x)
torch.autocast_increment_nesting()
torch.set_autocast_enabled('cpu', True)
torch.set_autocast_dtype('cpu', torch.float16)
torch.clear_autocast_cache()
torch.manual_seed(1)
torch.random.manual_seed(1)
torch.seed()
torch.ops.aten.manual_seed(1)
torch.ops.aten.seed()
torch.randperm(4)
torch.randn(4)
torch.rand(4, 4)
torch.bernoulli(x)
torch.normal(0.0, 1.0, (4,))
torch.nn.functional.dropout(x, 0.5)
torch.set_default_dtype(torch.float64)
torch.set_default_device('meta')
torch.use_deterministic_algorithms(True)
torch.set_deterministic_debug_mode(1)
torch.set_num_threads(3)
torch.set_flush_denormal(True)
torch.set_anomaly_enabled(True)
torch.set_warn_always(True)
torch.cuda.set_stream(x)
torch.cuda.synchronize()
torch._C._functorch._vmap_increment_nesting(2, 'error')
torch._C._functorch._vmap_decrement_nesting()
torch._C._functorch._grad_increment_nesting()
torch._C._functorch._jvp_increment_nesting()
torch._C._functorch._func_increment_nesting(True)
torch._C._functorch.set_inplace_requires_grad_allowed(True)
torch._C._functorch.pop_dynamic_layer_stack()
torch._functorch.predispatch._vmap_increment_nesting(2, 'error')
torch._functorch.predispatch._enter_dual_level()
torch._C._autograd._saved_tensors_hooks_disable('no')
torch._C._push_on_torch_function_stack(x)
torch._C._set_deterministic_algorithms(True)
torch.ops.profiler._record_function_enter('x', None)
torch.inference_mode(True)
torch.enable_grad()
torch.no_grad()
x.requires_grad_()
x.add_(1)
x.backward()
x.resize_(9, 9)
""".strip().splitlines()


@pytest.mark.parametrize("requires_grad", [False, True])
@pytest.mark.parametrize("call", STATEFUL)
def test_judging_a_call_that_sets_something_changes_nothing_in_the_process(
    call: str, requires_grad: bool, process_state: Callable[[], dict[str, object]]
) -> None:
    # The reader makes the value of a wanted; the name makes x a parameter.
    call = call.replace("(x", "(l_self_parameters_x_").replace("x.", "l_self_parameters_x_.")
    inputs = 'l_self_parameters_x_: "f32[4, 4]"'
    graph = load(f"a = {call}", "y = torch.ops.a.b(a)", inputs=inputs)
    registry = ThunderRegistry(requires_grad=requires_grad)
    before = process_state()
    registry.judge(graph)
    graph.to_fx()
    assert process_state() == before


@pytest.mark.parametrize("call", STATEFUL)
def test_a_call_that_sets_something_is_judged(call: str, registry: ThunderRegistry) -> None:
    assert verdict(registry, f"y = {call}").status in Status


# --- within bounds ----------------------------------------------------------------------------------------------------

COSTLY = """
y = pow(9, 9**9**9)
y = operator.pow(9, 999999999)
y = operator.lshift(1, 99999999999)
y = [0] * 10000000000
y = operator.mul([0], 10000000000)
y = operator.mul([0], n)
y = operator.mod('%9999999999d', 5)
y = round(5, -9999999999)
y = math_factorial(1000000000)
y = math.factorial(1000000000)
y = sum(range(1000000000000))
y = max(range(1000000000000))
y = sorted(range(1000000000000))
y = huge.unbind()
y = torch.unbind(huge)
y = torch.split(huge, 1)
y = torch.tensor_split(x, 9999999999)
y = x.chunk(9999999999)
y = sum(huge)
y: "f32[99999999999, 99999999999]" = torch.sin(x)
y = torch.empty_strided((99999999999,), (1,))
y = torch.hann_window(99999999999)
y = torch.randperm(9999999999)
y = torch.linspace(0, 1, 99999999999)
y = torch.zeros(99999999999)
y = huge.tolist()
y = torch.ops.aten.mul.left_t([0], 9999999999)
y = torch.functional.split(huge, 1)
""".strip().splitlines()


@pytest.mark.parametrize("statement", COSTLY)
def test_a_number_in_the_text_neither_hangs_nor_allocates(statement: str, registry: ThunderRegistry) -> None:
    inputs = 'x: "f32[4, 4]", huge: "f32[9999999999]", n: "Sym(9999999999)"'
    graph = load(statement, 'z: "f32[]" = y[0]', inputs=inputs)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    registry.judge(graph)
    graph.to_fx()
    assert time.perf_counter() - start < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 100_000  # KiB


@pytest.mark.parametrize(
    "statement",
    [
        "y = max('a', 'b', key=torch.hub.load)",
        "y = sorted([1], key=torch.Tensor)",
        "y = operator.call(torch.hub.load, 'x')",
        "y = torch.hub.load('x', 'y')",
        "y = print('written')",
        "y = eval('1')",
        "y = torch.os.system('echo written')",
        "y = torch.ops.aten._print('written')",
        "y = torch.ops.aten.warn('written')",
    ],
)
def test_nothing_that_a_graph_names_is_run(
    statement: str, registry: ThunderRegistry, capfd: pytest.CaptureFixture[str]
) -> None:
    assert verdict(registry, statement).status is not Status.SUPPORTED
    assert "written" not in "".join(capfd.readouterr())


def test_plain_copies_of_an_input_are_made_once_a_size() -> None:
    values = Values()
    tensor = values.shared(TensorMeta("f32", (2, 3)))
    thunder_questions._copy_cheaply(tensor, values)
    thunder_questions._copy_cheaply(tensor, values)  # a shared value is given to many questions
    first = tensor.new_ones((2, 3), device=tensor.device, dtype=torch.float32)
    assert tensor.new_ones((2, 3), device=tensor.device, dtype=torch.float32) is first
    other = tensor.new_ones((4,), device=tensor.device, dtype=torch.int64)
    assert (other.shape, other.dtype, first.shape, first.dtype) == ((4,), torch.int64, (2, 3), torch.float32)


def test_plain_copy_is_what_the_tensor_itself_would_make() -> None:
    values = Values()
    tensor = values.shared(TensorMeta("bf16", (2, 3), stride=(1, 2)))
    options = {"device": tensor.device, "dtype": torch.bfloat16}
    expected = tensor.new_ones((2, 3), **options)
    thunder_questions._copy_cheaply(tensor, values)
    made = tensor.new_ones((2, 3), **options)
    facts = [(type(x), x.shape, x.stride(), x.dtype, x.device, x.requires_grad, x.fake_mode) for x in (made, expected)]
    assert facts[0] == facts[1]


# --- process groups ---------------------------------------------------------------------------------------------------


def test_collective_of_a_group_that_only_the_run_had_is_taken_and_leaves_no_group(registry: ThunderRegistry) -> None:
    from torch._C import _distributed_c10d as c10d

    before = c10d._resolve_process_group
    (graph,), _ = load_text(
        "class GraphModule(torch.nn.Module):\n"
        '    def forward(self, x: "f32[4]"):\n'
        "        y: \"f32[4]\" = torch.ops._c10d_functional.all_reduce(x, 'sum', '3');  x = None\n"
        '        z: "f32[4]" = torch.ops._c10d_functional.wait_tensor(y);  y = None\n'
        "        return (z,)\n"
    )
    verdicts, _ = registry.judge(graph)
    assert [verdict.status for verdict in verdicts.values()] == [Status.SUPPORTED, Status.SUPPORTED]
    assert c10d._resolve_process_group is before
    with pytest.raises((RuntimeError, ValueError)):
        before("3")
