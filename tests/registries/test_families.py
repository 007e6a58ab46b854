"""What the rules say of ops, by the names that torch and libraries of kernels use."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import opcov
from opcov.graph import Argument, ConstantMeta, Global, Kind, Node, Ref, Source, SymbolMeta, TensorMeta
from opcov.registries.families import Family, Route, classify, describe_dtypes


def call(
    op: str,
    *,
    file: str = "",
    function: str = "",
    code: str = "",
    kwargs: tuple[tuple[str, Argument], ...] = (),
    meta: TensorMeta | SymbolMeta | ConstantMeta | None = None,
    kind: Kind = Kind.CALL_FUNCTION,
) -> Node:
    source = Source(file, 1, function, code) if file or function or code else None
    return Node("x", kind, op, op, (Ref("a"),), kwargs, meta, source=source)


@pytest.mark.parametrize(
    ("op", "family", "route"),
    [
        ("torch.ops.serving.inplace_all_reduce", Family.COLLECTIVE, Route.TRANSLATE),
        ("torch.ops.serving.custom_allgather.default", Family.COLLECTIVE, Route.TRANSLATE),
        ("torch.ops._c10d_functional.reduce_scatter_tensor.default", Family.COLLECTIVE, Route.TRANSLATE),
        ("torch.distributed.distributed_c10d.broadcast", Family.COLLECTIVE, Route.TRANSLATE),
        ("torch.ops.serving.send", Family.COLLECTIVE, Route.TRANSLATE),
        ("torch.ops.serving.inplace_broadcast.default", Family.COLLECTIVE, Route.TRANSLATE),
        ("torch.ops.symm_mem.fused_all_gather_matmul", Family.COLLECTIVE, Route.REGISTER),
        ("torch.ops.serving.allreduce_residual_rmsnorm", Family.COLLECTIVE, Route.REGISTER),
        ("torch.ops.higher_order.triton_kernel_wrapper_functional", Family.TRITON_KERNEL, Route.REGISTER),
        ("torch.ops.serving.rope_triton", Family.TRITON_KERNEL, Route.REGISTER),
        ("torch.cuda.current_stream", Family.STREAM_OR_DEVICE, Route.UPSTREAM),
        ("torch.cuda.Stream.wait_stream", Family.STREAM_OR_DEVICE, Route.UPSTREAM),
        ("torch._C._cuda_exchangeDevice", Family.STREAM_OR_DEVICE, Route.UPSTREAM),
        ("torch.cuda.get_device_capability", Family.PYTHON_QUERY, Route.FOLD),
        ("torch.distributed.distributed_c10d.get_rank", Family.PYTHON_QUERY, Route.FOLD),
        ("torch.Tensor.is_cpu", Family.PYTHON_QUERY, Route.FOLD),
        ("torch.Tensor.dim", Family.PYTHON_QUERY, Route.FOLD),
        ("torch.ops.aten.sym_size.int", Family.PYTHON_QUERY, Route.FOLD),
        ("torch.Tensor.item", Family.PYTHON_QUERY, Route.UPSTREAM),
        ("torch.nn.functional.scaled_dot_product_attention", Family.ATTENTION, Route.ADD),
        ("torch._C._nn.scaled_dot_product_attention", Family.ATTENTION, Route.ADD),
        ("torch.ops.serving.flash_attn_varlen_fwd.default", Family.ATTENTION, Route.REGISTER),
        ("torch.ops.higher_order.flex_attention", Family.ATTENTION, Route.ADD),
        ("torch.ops.serving.inplace_fused_experts", Family.MOE, Route.REGISTER),
        ("torch.ops._moe_C.topk_softmax", Family.MOE, Route.REGISTER),
        ("torch._grouped_mm", Family.MOE, Route.ADD),
        ("torch.ops.serving.per_token_group_quant_fp8", Family.QUANTIZATION, Route.REGISTER),
        ("torch.Tensor.dequantize", Family.QUANTIZATION, Route.ADD),
        ("torch.ops.serving.fused_add_rmsnorm.default", Family.NORMALIZATION, Route.REGISTER),
        ("torch.nn.functional.layer_norm", Family.NORMALIZATION, Route.ADD),
        ("torch.ops.serving.silu_and_mul.default", Family.FUSED_KERNEL, Route.REGISTER),
        ("torch.ops.serving.router_gemm", Family.GEMM, Route.REGISTER),
        ("torch._scaled_mm", Family.GEMM, Route.ADD),
        ("torch._C._nn.linear", Family.GEMM, Route.ADD),
        ("operator.matmul", Family.GEMM, Route.ADD),
        ("torch.Tensor.masked_fill_", Family.IN_PLACE, Route.ADD),
        ("torch.Tensor.copy_", Family.IN_PLACE, Route.ADD),
        ("operator.setitem", Family.IN_PLACE, Route.ADD),
        ("operator.iadd", Family.IN_PLACE, Route.ADD),
        ("torch.Tensor.view", Family.LAYOUT, Route.ADD),
        ("operator.getitem", Family.LAYOUT, Route.ADD),
        ("torch.functional.split", Family.LAYOUT, Route.ADD),
        ("torch.ops.aten.slice.Tensor", Family.LAYOUT, Route.ADD),
        ("torch.ops.higher_order.autograd_function_apply", Family.OTHER, Route.BODY),
        ("torch.sinc", Family.OTHER, Route.ADD),
        ("__main__.my_function", Family.OTHER, Route.REGISTER),
    ],
)
def test_an_op_has_the_family_and_the_route_that_its_name_tells(op: str, family: Family, route: Route) -> None:
    kind = classify(call(op))
    assert (kind.family, kind.route) == (family, route)


@pytest.mark.parametrize(
    ("op", "family"),
    [
        ("torch.functional.broadcast_tensors", Family.COLLECTIVE),
        ("torch.gather", Family.COLLECTIVE),
        ("torch.ops.serving.broadcast_add", Family.COLLECTIVE),
        ("torch.Tensor.normal_", Family.NORMALIZATION),
        ("torch.quantile", Family.QUANTIZATION),
        ("torch.nn.functional.softmax", Family.GEMM),
        ("torch.isnan", Family.PYTHON_QUERY),
        ("torch.amp.autocast_mode._enter_autocast", Family.STREAM_OR_DEVICE),
        ("torch.Tensor.__and__", Family.IN_PLACE),
    ],
)
def test_a_word_inside_of_another_word_is_not_meant(op: str, family: Family) -> None:
    assert classify(call(op)).family is not family


@pytest.mark.parametrize(
    ("file", "function", "family"),
    [
        ("/x/site-packages/serving/layers/layernorm.py", "forward_native", Family.NORMALIZATION),
        ("/x/site-packages/serving/layers/rotary_embedding.py", "forward", Family.ATTENTION),
        ("/x/site-packages/serving/layers/attention/backend/utils.py", "wrap", Family.ATTENTION),
        ("/x/site-packages/serving/layers/moe/native.py", "forward", Family.MOE),
        ("/x/site-packages/serving/layers/quantization/fp8.py", "apply", Family.QUANTIZATION),
        ("/x/site-packages/serving/layers/quantization/unquant.py", "apply", Family.OTHER),
        ("/x/site-packages/serving/layers/activation.py", "forward", Family.OTHER),
        ("C:\\serving\\layers\\moe\\native.py", "forward", Family.MOE),
        ("", "", Family.OTHER),
    ],
)
def test_elementwise_work_belongs_to_what_it_comes_from(file: str, function: str, family: Family) -> None:
    assert classify(call("operator.mul", file=file, function=function)).family is family


def test_of_the_places_of_a_node_the_nearest_decides() -> None:
    node = call("operator.mul", file="layers/moe/layernorm.py", function="apply_rotary")
    assert classify(node).family is Family.ATTENTION
    assert classify(call("operator.mul", file="layers/moe/layernorm.py", function="f")).family is Family.NORMALIZATION


def test_a_function_that_dynamo_resumed_keeps_its_name() -> None:
    node = call("operator.mul", file="ops.py", function="torch_dynamo_resume_in_rms_norm_at_12")
    assert classify(node).family is Family.NORMALIZATION


@pytest.mark.parametrize("file", ["zoo/models/mixtral_moe.py", "zoo/models/moe/modeling_moe.py", "modeling_moe.py"])
def test_a_file_that_holds_a_whole_model_tells_nothing_of_its_parts(file: str) -> None:
    assert classify(call("operator.mul", file=file, function="forward")).family is Family.OTHER
    assert classify(call("operator.mul", file=file, function="route_experts")).family is Family.MOE


@pytest.mark.parametrize("op", ["torch.Tensor.new_empty", "torch.empty", "torch.nn.functional.embedding"])
def test_no_place_makes_an_allocation_or_a_lookup_a_piece_of_something(op: str) -> None:
    assert classify(call(op, file="layers/attention/backend.py", function="forward")).family is Family.OTHER


def test_a_name_tells_more_than_a_place() -> None:
    node = call("torch.Tensor.view", file="layers/attention/backend.py", function="forward")
    assert classify(node).family is Family.LAYOUT


def test_arithmetic_that_makes_a_python_number_is_a_query() -> None:
    assert classify(call("operator.add", meta=SymbolMeta("s0 + 1"))).family is Family.PYTHON_QUERY
    assert classify(call("operator.add", meta=TensorMeta("f32", (2,)))).family is Family.OTHER


def test_an_op_that_writes_to_out_is_in_place_unless_its_name_says_more() -> None:
    out: tuple[tuple[str, Argument], ...] = (("out", Ref("b")),)
    assert classify(call("torch.sin", kwargs=out)).family is Family.IN_PLACE
    assert classify(call("torch.bmm", kwargs=out)).family is Family.GEMM
    assert classify(call("torch.sin", kwargs=(("out", None),))).family is Family.OTHER


# --- routes -----------------------------------------------------------------------------------------------------------


def test_where_thunder_has_the_op_its_arguments_are_what_to_fix() -> None:
    assert classify(call("torch.cat"), registered=True).route is Route.ARGUMENTS


def test_where_thunder_has_no_such_op_it_is_to_be_added_whatever_its_arguments() -> None:
    assert classify(call("torch.sin", kwargs=(("out", Ref("b")),)), registered=False).route is Route.ADD


@pytest.mark.parametrize(
    "node",
    [
        call("torch.bmm", kwargs=(("out", Ref("b")),)),
        call("torch.empty", kwargs=(("dtype", Global("torch.uint32")),)),
        call("torch.transpose", meta=TensorMeta("u32", (2, 2))),
    ],
)
def test_arguments_that_thunder_never_takes_are_known_without_asking(node: Node) -> None:
    assert classify(node).route is Route.ARGUMENTS


@pytest.mark.parametrize("op", ["torch.Tensor.is_cpu", "torch.ops.serving.all_reduce", "torch.cuda.set_stream"])
def test_a_route_of_its_own_stays_whether_or_not_thunder_has_the_op(op: str) -> None:
    assert classify(call(op), registered=True) == classify(call(op), registered=False)


def test_a_module_that_was_not_traced_into_is_fixed_upstream() -> None:
    kind = classify(call("self.layers.0.input_norm", kind=Kind.CALL_MODULE), registered=True)
    assert (kind.family, kind.route) == (Family.NORMALIZATION, Route.UPSTREAM)


# --- Triton kernels ---------------------------------------------------------------------------------------------------

TRITON = "torch.ops.higher_order.triton_kernel_wrapper_mutation"


@pytest.mark.parametrize(
    ("code", "kernel"),
    [
        ("scale_kernel[grid](x, y)", "scale_kernel"),
        ("_scale[(n, m)](", "_scale"),
        ("out = self.scale_kernel[(triton.cdiv(n, BLOCK[0]),)](x)", "scale_kernel"),
        ("kernels.scale[lambda meta: (triton.cdiv(n, meta['BLOCK']),)](x)", "scale"),
        ("scale_kernel[", "scale_kernel"),
        ("scale_kernel[(n,", "scale_kernel"),
        ("wrap_triton(scale_kernel)[(n,)](x)", "scale_kernel"),
        ("kernel[grid](x)", ""),
        ("self.fn.run(*args, grid=grid)", ""),
        ("one[grid](x); other[grid](x)", ""),
        ("x = table[0] + 1", ""),
        ("", ""),
    ],
)
def test_the_kernel_is_named_where_the_line_names_it(code: str, kernel: str) -> None:
    assert classify(call(TRITON, file="ops.py", function="launch_other_kernel", code=code)).kernel == kernel


def test_a_call_that_launches_no_triton_kernel_has_no_kernel() -> None:
    assert classify(call("torch.sin", file="ops.py", code="scale_kernel[grid](x)")).kernel == ""


def test_a_hostile_name_or_line_takes_no_time() -> None:
    started = time.process_time()
    for text in ("a" * 100_000, "torch.ops." + "all_" * 50_000, "norm" * 50_000, "torch." + "a." * 50_000):
        classify(call(text, file=text, function=text))
        classify(call(TRITON, code=text + "[" * 50_000))
    assert time.process_time() - started < 1


# --- the vocabulary as a whole ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("member", [*Family, *Route])
def test_every_family_and_route_is_explained(member: Family | Route) -> None:
    text = Path(classify.__code__.co_filename).read_text(encoding="utf-8")
    assert f'    {member.name} = "{member.value}"\n    """' in text


def test_six_thousand_nodes_take_well_under_fifty_milliseconds() -> None:
    functions = [f"forward_{number}" for number in range(100)]
    ops = ["operator.mul", "torch.Tensor.view", "torch.ops.serving.all_reduce", "torch.sinc", TRITON]
    nodes = [call(op, file="a/layers/norm.py", function=f, code="k[g](") for op in ops for f in functions] * 12
    started = time.process_time()
    for node in nodes:
        classify(node)
    assert time.process_time() - started < 0.25  # measured: 0.015; a busy machine gets leeway


# --- number formats ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "dtypes", "formats"),
    [
        (Family.GEMM, ["f8e4m3fn", "f32"], ("FP8", "f32")),
        (Family.MOE, ["bf16", "u8", "f8e8m0fnu", "i32"], ("bf16", "MXFP4")),
        (Family.MOE, ["bf16", "u8"], ("bf16", "4-bit packed")),
        (Family.MOE, ["f4e2m1fnx2", "f8e4m3fn"], ("FP4", "FP8")),
        (Family.GEMM, ["f8e4m3fn", "f8e5m2", "f8e8m0fnu"], ("MXFP8",)),
        (Family.LAYOUT, ["u8", "i64", "b8"], ()),
    ],
)
def test_dtypes_are_named_as_number_formats(family: Family, dtypes: list[str], formats: tuple[str, ...]) -> None:
    assert describe_dtypes(family, dtypes) == formats


# --- the large recorded corpus ----------------------------------------------------------------------------------------


def test_what_serving_engines_call_is_in_the_family_that_their_engineers_expect(shared: Path) -> None:
    expected = {
        "torch.Tensor.is_cpu": {Family.PYTHON_QUERY},
        "torch.cuda.get_device_capability": {Family.PYTHON_QUERY},
        "torch.ops.higher_order.triton_kernel_wrapper_mutation": {Family.TRITON_KERNEL},
        "torch.ops.sglang.inplace_all_reduce": {Family.COLLECTIVE},
        "torch.ops.sglang.reg_all_gather_into_tensor": {Family.COLLECTIVE},
        "torch.ops.sglang.flashinfer_allreduce_residual_rmsnorm": {Family.COLLECTIVE},
        "torch.ops.sglang.inplace_fused_experts": {Family.MOE},
        "torch.ops.sgl_kernel.rmsnorm.default": {Family.NORMALIZATION},
        "torch.ops.sgl_kernel.dsv3_router_gemm": {Family.GEMM},
        "torch.cuda.set_stream": {Family.STREAM_OR_DEVICE},
        "torch.cuda.streams.Stream": {Family.STREAM_OR_DEVICE},
        "torch._C._cuda_maybeExchangeDevice": {Family.STREAM_OR_DEVICE},
        "torch.bmm": {Family.GEMM},
        "torch.transpose": {Family.LAYOUT},
        "torch.rsqrt": {Family.NORMALIZATION},  # only ever in layers that normalize
        "torch.Tensor.new_empty": {Family.OTHER},
    }
    found: dict[str, set[Family]] = {}
    for path in (*(shared / "gm").rglob("rank0_*.py"), *(shared / "gm").rglob("graph_module_*.py")):
        for graph in opcov.load(path):
            for node in graph.calls:
                found.setdefault(node.op, set()).add(classify(node).family)
    assert {op: families for op, families in found.items() if op in expected} == expected
