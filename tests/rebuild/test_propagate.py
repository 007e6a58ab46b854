"""What is known of each node: annotations first, then a run on fake tensors that changes nothing."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
import torch

from opcov.graph import (
    ConstantMeta,
    Construct,
    Global,
    Graph,
    Kind,
    ListArg,
    Metadata,
    Node,
    Ref,
    SequenceMeta,
    SymbolMeta,
    TensorMeta,
)
from opcov.loaders import load_text
from opcov.rebuild.cost import is_costly
from opcov.rebuild.live import fake_run, question_key
from opcov.rebuild.modes import Modes, neutral
from opcov.rebuild.propagate import Gap, Known, Propagator
from opcov.rebuild.running import runnable
from opcov.rebuild.symbols import DEFAULT_HINT, evaluate
from opcov.rebuild.values import FUNCTORCH_WRAPPER, Values, metadata_of


def known(*statements: str, inputs: str = 'x: "f32[4, 6]"') -> dict[str, Known]:
    body = "\n".join(f"        {statement}" for statement in statements)
    text = f"class GraphModule(torch.nn.Module):\n    def forward(self, {inputs}):\n{body}\n        return (y,)\n"
    (graph,), _ = load_text(text)
    return Propagator(Values()).known(graph)


def f32(*shape: int) -> TensorMeta:
    return TensorMeta("f32", shape)


def test_an_annotation_is_taken_as_it_is() -> None:
    assert known('y: "f32[7]" = torch.sin(x)')["y"] == f32(7)  # even where a run would give another shape


def test_a_split_gives_a_tuple_of_its_parts() -> None:
    # torch.functional.split returns a tuple; its parts keep the strides of x.
    assert known("p = torch.functional.split(x, 3, dim=-1)", 'y: "f32[4, 3]" = p[0]')["p"] == SequenceMeta(
        "tuple", (TensorMeta("f32", (4, 3), (6, 1)), TensorMeta("f32", (4, 3), (6, 1)))
    )


def test_a_method_that_returns_several_tensors_gives_a_tuple() -> None:
    result = known("p = x.max(dim=1)", 'y: "f32[4]" = p[0]')["p"]
    assert result == SequenceMeta("tuple", (f32(4), TensorMeta("i64", (4,))))


def test_an_op_overload_that_returns_several_tensors_gives_a_list() -> None:
    result = known("p = torch.ops.aten.split.Tensor(x, 2)", 'y: "f32[2, 6]" = p[0]')["p"]
    assert isinstance(result, SequenceMeta)
    assert result.kind == "list"  # op overloads return lists, which Thunder refuses


def test_a_shape_is_a_size() -> None:
    result = known("s = x.size()", 'y: "f32[4, 6]" = x.view(s)')["s"]
    assert result == SequenceMeta("size", (ConstantMeta(4), ConstantMeta(6)))


def test_an_attribute_read_gives_a_constant() -> None:
    assert known("c = x.is_cpu", 'y: "f32[4, 6]" = torch.where(c, x, x)')["c"] == ConstantMeta(True)


def test_a_node_that_nobody_reads_needs_no_metadata() -> None:
    assert known("p = torch.ops.a.b(x)", 'y: "f32[4, 6]" = torch.sin(x)')["p"] is Gap.ABSENT


def test_an_unknown_op_gives_what_its_getitems_show() -> None:
    result = known("p = torch.ops.a.pair(x)", 'q: "f32[2]" = p[1]', 'y: "f32[2]" = torch.sin(q)')["p"]
    assert result == SequenceMeta("tuple", (f32(2), f32(2)), inferred=True)


def test_a_getitem_far_beyond_any_tuple_infers_nothing() -> None:
    assert known("p = torch.ops.a.pair(x)", 'y: "f32[2]" = p[99999999999]')["p"] is Gap.MISSING


def test_an_unknown_op_whose_readers_show_nothing_is_missing() -> None:
    assert known("p = torch.ops.a.pair(x)", 'y: "f32[2]" = torch.cat(p)')["p"] is Gap.MISSING


def test_a_stream_had_no_value_when_it_was_captured_either() -> None:
    assert known("s = torch.cuda.current_stream()", "y = s.wait_stream(s)")["s"] is Gap.ABSENT


def test_what_follows_from_a_stream_has_no_value_either() -> None:
    result = known("s = torch.cuda.current_stream()", "e = s.record_event()", "y = torch.ops.a.b(e)")
    assert result["e"] is Gap.ABSENT


def test_an_autocast_has_no_value() -> None:
    result = known(
        "c = torch.amp.autocast_mode._enter_autocast('cpu', torch.bfloat16, True, None)",
        "y = torch.amp.autocast_mode._exit_autocast(c)",
    )
    assert result["c"] is Gap.ABSENT


def test_a_tensor_without_annotation_in_an_annotated_graph_had_no_value() -> None:
    # print_readable annotates each node with a tensor or a symbol in example_value.
    assert known("p = torch.sin(x)", 'y: "f32[4, 6]" = torch.cos(p)')["p"] is Gap.ABSENT


def test_a_tensor_without_annotation_in_a_bare_graph_is_computed() -> None:
    (graph,), _ = load_text(
        "class GraphModule(torch.nn.Module):\n    def forward(self):\n"
        "        p = torch.zeros(2, 3)\n        y = torch.sin(p)\n        return (y,)\n"
    )
    assert not graph.annotated
    assert Propagator(Values()).known(graph)["p"] == f32(2, 3)


def test_an_input_without_annotation_is_missing() -> None:
    assert known('y: "f32[2]" = torch.sin(x)', inputs="x")["x"] is Gap.MISSING


def test_between_enter_and_exit_values_are_functorchs() -> None:
    result = known(
        'a: "f32[4, 6]" = torch._C._functorch._wrap_for_grad(x, 1)',
        'b: "f32[4, 6]" = torch.sin(a)',
        'y: "f32[4, 6]" = torch._C._functorch._unwrap_for_grad(b, 1)',
    )
    wrappers = {name: value.wrapper for name, value in result.items() if isinstance(value, TensorMeta)}
    assert wrappers == {"x": None, "a": FUNCTORCH_WRAPPER, "b": FUNCTORCH_WRAPPER, "y": None}


def test_leaving_one_level_of_two_leaves_the_value_wrapped() -> None:
    result = known(
        'a: "f32[4, 6]" = torch._C._functorch._wrap_for_grad(x, 1)',
        'b: "f32[4, 6]" = torch._C._functorch._wrap_for_grad(a, 2)',
        'y: "f32[4, 6]" = torch._C._functorch._unwrap_for_grad(b, 2)',
    )
    assert isinstance(result["y"], TensorMeta)
    assert result["y"].wrapper == FUNCTORCH_WRAPPER


# --- what may run -----------------------------------------------------------------------------------------------------


def function(op: str, *args: object) -> Node:
    return Node("n", Kind.CALL_FUNCTION, op, op, args)  # type: ignore[arg-type]


def method(name: str) -> Node:
    return Node("n", Kind.CALL_METHOD, name, f"torch.Tensor.{name}", (Ref("x"),))


@pytest.mark.parametrize(
    "op",
    """torch.sin torch.split torch.functional.einsum torch.nn.functional.silu torch._C._nn.linear torch.ops.aten.sin
    torch.ops.aten.sin.default operator.add math.floor torch.sym_max torch.stack torch._C._fft.fft_fft""".split(),
)
def test_functions_of_tensors_and_numbers_may_run(op: str) -> None:
    assert runnable(function(op)) is not None


@pytest.mark.parametrize(
    "op",
    """torch.manual_seed torch.seed torch.set_default_dtype torch.set_default_device torch.set_num_threads
    torch.set_grad_enabled torch._C._set_grad_enabled torch.amp.autocast_mode._enter_autocast torch.cuda.set_stream
    torch.use_deterministic_algorithms torch.set_deterministic_debug_mode torch.set_flush_denormal torch.set_rng_state
    torch.autocast_increment_nesting torch.clear_autocast_cache torch.ops.aten.manual_seed torch.ops.aten.save
    torch.ops.aten._print torch.ops.aten.set_grad_enabled torch.ops.aten.mul.left_t torch.fork torch.set_printoptions
    torch._C._functorch._vmap_increment_nesting torch.set_warn_always torch.hub.load torch.compile torch.from_file
    print open eval max torch.ops.a.b""".split(),
)
def test_what_changes_state_or_is_no_tensor_function_never_runs(op: str) -> None:
    assert runnable(function(op)) is None


@pytest.mark.parametrize("name", ["sin", "view", "split", "add_", "max", "size"])
def test_tensor_methods_may_run(name: str) -> None:
    assert runnable(method(name)) is not None


@pytest.mark.parametrize(
    "name", ["requires_grad_", "backward", "set_", "resize_", "__reduce__", "numpy", "wait_stream"]
)
def test_methods_that_change_more_than_data_never_run(name: str) -> None:
    assert runnable(method(name)) is None


def test_private_attributes_are_never_read() -> None:
    assert runnable(Node("n", Kind.CALL_FUNCTION, "getattr", "torch.Tensor._x", (Ref("x"), "__dict__"))) is None


# --- keys -------------------------------------------------------------------------------------------------------------


def key(*args: object, inputs: dict[str, object] | None = None) -> str:
    return question_key(function("torch.add", *args), inputs or {})


def test_equal_calls_of_nodes_with_equal_metadata_are_one_question() -> None:
    assert key(Ref("a"), inputs={"a": f32(2)}) == key(Ref("b"), inputs={"b": f32(2)})


def test_a_node_that_holds_an_int_is_not_the_int() -> None:
    assert key(Ref("a"), inputs={"a": ConstantMeta(3)}) != key(3)


def test_true_one_and_one_point_zero_are_three_questions() -> None:
    assert len({key(True), key(1), key(1.0), key("1")}) == 4


def test_a_list_is_not_a_tuple() -> None:
    assert key((1, 2)) != key(ListArg((1, 2)))


def test_a_node_in_a_list_counts_with_its_metadata() -> None:
    nested = ListArg((Ref("a"),))
    assert key(nested, inputs={"a": f32(2)}) != key(nested, inputs={"a": f32(3)})


def test_a_symbol_is_not_a_tensor_of_its_text() -> None:
    assert key(Ref("a"), inputs={"a": SymbolMeta("s1")}) != key(Ref("a"), inputs={"a": ConstantMeta("s1")})


# --- cost -------------------------------------------------------------------------------------------------------------

HUGE = 10**10
X = {"x": f32(4, 6), "huge": f32(HUGE, 2), "n": SymbolMeta(str(HUGE)), "c": ConstantMeta(HUGE)}


@pytest.mark.parametrize(
    "node",
    [
        function("operator.pow", 9, 9**9),
        function("operator.lshift", 1, HUGE),
        function("operator.mul", ListArg((0,)), HUGE),
        function("operator.mul", (0,), Ref("n")),
        function("operator.mul", (0,), Ref("c")),
        function("operator.imul", "a", HUGE),
        function("operator.mod", f"%{HUGE}d", 5),
        function("math.factorial", 10**9),
        function("math.comb", HUGE, HUGE // 2),
        function("round", 5, -HUGE),
        function("sum", Construct("range", (0, 10**12), ())),
        function("operator.contains", Construct("range", (0, 10**12), ()), 0.5),
        function("sum", Ref("huge")),
        function("torch.unbind", Ref("huge")),
        function("torch.split", Ref("huge"), 1),
        function("torch.ops.aten.split.Tensor", Ref("huge"), 1),
        function("torch.tensor_split", Ref("x"), HUGE),
        function("torch.lstm", Ref("huge")),
        Node("n", Kind.CALL_METHOD, "unbind", "torch.Tensor.unbind", (Ref("huge"),)),
        Node("n", Kind.CALL_METHOD, "chunk", "torch.Tensor.chunk", (Ref("huge"), HUGE)),
    ],
    ids=lambda node: f"{node.op} {str(node.args)[:30]}",
)
def test_a_number_in_the_text_may_make_a_call_costly(node: Node) -> None:
    assert is_costly(node, X)


@pytest.mark.parametrize(
    "node",
    [
        function("operator.pow", 2, 10),
        function("operator.pow", Ref("huge"), 2),
        function("operator.mul", Ref("huge"), 10**12),
        function("operator.mul", 10**12, 10**12),
        function("torch.sum", Ref("huge")),
        function("torch.unbind", Ref("huge"), 1),
        function("torch.split", Ref("huge"), HUGE // 2),
        function("torch.split", Ref("huge"), 1, -1),
        function("torch.chunk", Ref("huge"), 2),
        function("operator.mod", Ref("huge"), 3),
        function("torch.unbind", Ref("x"), 17),
        Node("n", Kind.CALL_METHOD, "sum", "torch.Tensor.sum", (Ref("huge"),)),
        Node("n", Kind.CALL_METHOD, "split", "torch.Tensor.split", (Ref("x"), Global("torch.float16"))),
    ],
    ids=lambda node: f"{node.op} {str(node.args)[:30]}",
)
def test_large_numbers_alone_do_not_make_a_call_costly(node: Node) -> None:
    assert not is_costly(node, X)


def test_a_huge_split_is_not_run() -> None:
    start = time.perf_counter()
    result = known("p = huge.unbind()", 'y: "f32[]" = p[0]', inputs='huge: "f32[9999999999]"')["p"]
    assert time.perf_counter() - start < 1
    assert isinstance(result, SequenceMeta)
    assert result.inferred


def test_a_graph_with_many_tuples_is_walked_in_linear_time() -> None:
    pairs = [line for i in range(1500) for line in (f"p{i} = torch.ops.a.b(x)", f'q{i}: "f32[2]" = p{i}[0]')]
    body = "\n".join(f"        {line}" for line in pairs)
    text = f'class GraphModule(torch.nn.Module):\n    def forward(self, x: "f32[2]"):\n{body}\n        return (q0,)\n'
    graphs: tuple[Graph, ...] = load_text(text)[0]
    start = time.perf_counter()
    Propagator(Values()).known(graphs[0])
    assert time.perf_counter() - start < 1.5


# --- graphs without annotations ---------------------------------------------------------------------------------------


def bare(*statements: str, inputs: str = "x", **metas: Metadata) -> Graph:
    """A graph in which only the inputs have metadata, as GraphNet's have."""
    body = "\n".join(f"        {statement}" for statement in statements)
    text = f"class GraphModule(torch.nn.Module):\n    def forward(self, {inputs}):\n{body}\n        return (y,)\n"
    (graph,), _ = load_text(text)
    return replace(graph, nodes=tuple(replace(node, meta=metas.get(node.name)) for node in graph.nodes))


def computed(statement: str, x: TensorMeta = f32(4, 6)) -> Known:  # noqa: B008
    return Propagator(Values()).known(bare(f"z = {statement}", "y = torch.ops.a.b(z)", x=x))["z"]


@pytest.mark.parametrize(
    "call",
    """x.float() x.int() x.long() x.bool() x.half() x.double() x.bfloat16() x.__eq__(inf) x.__and__(x) x.__add__(1)
    x.__radd__(1) x.__rsub__(1) x.__iadd__(1) x.__getitem__(0) x.__neg__() x.__matmul__(x) x.__rpow__(2.0) x.__ior__(x)
    x.new_tensor([1,2]) x.type(torch.float16)""".split(),
)
def test_a_method_gives_what_torch_gives(call: str) -> None:
    meta = TensorMeta("b8" if any(name in call for name in ("and", "ior")) else "f32", (4, 4))
    x = torch.ones(4, 4, dtype=torch.bool if meta.dtype == "b8" else torch.float32)
    name, _, arguments = call.removeprefix("x.").partition("(")
    given = {"inf": float("inf"), "x": x, "1": 1, "0": 0, "2.0": 2.0, "[1,2]": [1, 2], "torch.float16": torch.float16}
    args = [given[arguments[:-1]]] if arguments != ")" else []
    assert computed(call, meta) == metadata_of(getattr(x, name)(*args))


@pytest.mark.parametrize("call", ["x.cuda()", "x.cuda(0)", "x.to('cuda')", "x.to(device(type='cuda', index=0))"])
def test_a_copy_to_a_device_that_is_not_here_keeps_dtype_and_shape(call: str) -> None:
    assert computed(call) == f32(4, 6)


def test_a_type_of_a_device_that_is_not_here_gives_its_dtype() -> None:
    assert computed("x.type('torch.cuda.HalfTensor')") == TensorMeta("f16", (4, 6))


def test_none_in_a_tuple_is_known_to_be_none() -> None:
    # need_weights=False: the second of the two that multi_head_attention_forward returns is None
    call = (
        "torch.nn.functional.multi_head_attention_forward(x, x, x, 4, 2, w, None, None, None, False, 0.0, o, None, "
        "need_weights=False)"
    )
    graph = bare(f"z = {call}", "y = z[0]", inputs="x, w, o", x=f32(3, 1, 4), w=f32(12, 4), o=f32(4, 4))
    result = Propagator(Values()).known(graph)["z"]
    assert result == SequenceMeta("tuple", (f32(3, 1, 4), ConstantMeta(None)))


def test_the_number_that_a_tensor_stands_for_is_read_with_its_value() -> None:
    # Dynamo: `.item()` on a wrapped Python float is a SymFloat whose hint is that float.
    meta = Propagator(Values()).known(
        bare("z = x.item()", "y = torch.ops.a.b(z)", x=TensorMeta("f64", (), value=1e-05))
    )["z"]
    assert meta == SymbolMeta("1e-05")
    value = Values().fresh(meta)
    assert (type(value), value.node.hint) == (torch.SymFloat, 1e-05)


def test_an_op_takes_such_a_number() -> None:
    graph = bare(
        "z = eps.item()",
        "w = torch.nn.functional.batch_norm(x, m, v, None, None, True, 0.1, z)",
        "y = torch.ops.a.b(w)",
        inputs="x, m, v, eps",
        x=f32(2, 3, 4),
        m=f32(3),
        v=f32(3),
        eps=TensorMeta("f64", (), value=0.001),
    )
    assert Propagator(Values()).known(graph)["w"] == f32(2, 3, 4)


def test_an_op_takes_a_number_that_depends_on_data() -> None:
    graph = bare(
        "z = x.sum()", "i = z.item()", "w = torch.nn.functional.dropout(x, i)", "y = torch.ops.a.b(w)", x=f32(4)
    )
    assert Propagator(Values()).known(graph)["w"] == f32(4)


def test_sizes_of_one_mask_are_the_same_size() -> None:
    graph = bare(
        "k = x > 0", "a = x[k]", "b = z[k]", "c = a.unsqueeze(-1)", "d = c.expand_as(b)", "y = torch.ops.a.b(d)",
        inputs="x, z", x=f32(10), z=f32(10, 3),
    )  # fmt: skip
    known = Propagator(Values()).known(graph)
    assert {name: getattr(known[name], "shape", None) for name in "abd"} == {
        "a": ("u0",),
        "b": ("u0", 3),
        "d": ("u0", 3),
    }


def test_sizes_of_two_masks_are_two_sizes() -> None:
    graph = bare("k = x > 0", "a = x[k]", "l = x > 0", "b = x[l]", "y = torch.ops.a.b(a, b)", x=f32(10))
    known = Propagator(Values()).known(graph)
    assert [known["a"], known["b"]] == [TensorMeta("f32", ("u0",)), TensorMeta("f32", ("u1",))]


def test_a_size_made_of_one_that_depends_on_data_keeps_its_name() -> None:
    graph = bare("a = x.nonzero()", "b = torch.cat((a, a))", "y = torch.ops.a.b(b)", x=f32(10))
    known = Propagator(Values()).known(graph)
    assert [known["a"], known["b"]] == [TensorMeta("i64", ("u0", 1)), TensorMeta("i64", ("2*u0", 1))]


def test_another_graph_starts_counting_anew() -> None:
    graph = bare("a = x.nonzero()", "y = torch.ops.a.b(a)", x=f32(10))
    propagator = Propagator(Values())
    assert propagator.known(graph) == propagator.known(graph)


def test_a_size_of_the_text_is_never_taken_for_a_new_one() -> None:
    graph = bare("a = x.nonzero()", "y = torch.ops.a.b(a)", inputs="x, z", x=f32(10), z=TensorMeta("f32", ("u0",)))
    assert Propagator(Values()).known(graph)["a"] == TensorMeta("i64", ("u1", 1))


def test_arithmetic_on_a_compound_size_keeps_its_brackets() -> None:
    graph = bare("a = n * 2", "y = torch.ops.a.b(a)", inputs="n", n=SymbolMeta("s0 + 1"))
    result = Propagator(Values()).known(graph)["a"]
    assert isinstance(result, SymbolMeta)
    assert evaluate(result.expression) == (DEFAULT_HINT + 1) * 2


def test_what_follows_from_a_hint_is_assumed() -> None:
    graph = bare("a = x.reshape(-1)", "b = torch.cos(z)", "y = torch.ops.a.b(a, b)", inputs="x, z",
                 x=TensorMeta("f32", ("s0", 2)), z=f32(4))  # fmt: skip
    assert Propagator(Values()).explore(graph).assumed == {"a"}


def test_what_follows_from_a_stated_size_is_not_assumed() -> None:
    graph = bare("a = x.reshape(-1)", "y = torch.ops.a.b(a)", x=TensorMeta("f32", ("s0", 2)))
    assert Propagator(Values()).explore(replace(graph, hints={"s0": 4})).assumed == frozenset()


@pytest.mark.parametrize(
    "call",
    """torch.matmul(x,w) x.t() x[None,1:] torch.nn.functional.softmax(x,dim=-1) x.max(dim=1) torch.cat([x,x],-1)
    x.expand(3,-1,-1) torch.zeros_like(x) x.new_zeros((3,)) x.view(-1) torch.nn.functional.gelu(x) x+1
    torch.nn.functional.scaled_dot_product_attention(x,x,x) x.chunk(2,dim=-1) torch.ops.aten.split.Tensor(x,2)
    torch.nn.functional.layer_norm(x,(6,)) x.is_contiguous() x.device x.shape x.stride() x.numel() x.dim() x.is_cuda
    torch.arange(4) torch.arange(0,9,2,device='cuda') torch.full((2,3),1.5) torch.zeros(2,3)
    torch.ones((2,),dtype=torch.int64)
    torch.zeros_like(x,device='cuda') x.to('cuda') torch.empty_strided((2,3),(1,2)) x.contiguous()""".split(),
)
def test_the_cheap_run_gives_what_a_fake_run_gives(call: str) -> None:
    graph = bare(f"z = {call}", "y = torch.ops.a.b(z)", inputs="x, w", x=f32(4, 6), w=f32(6, 2))
    cheap = Propagator(Values()).known(graph)["z"]
    node = next(node for node in graph.nodes if node.name == "z")
    metas: dict[str, Metadata] = {"x": f32(4, 6), "w": f32(6, 2)}
    values = Values()
    with neutral():
        faked = fake_run(node, {name: values.fresh(metas[name]) for name in node.inputs}, values, Modes(), grad=False)
    assert cheap == faked
