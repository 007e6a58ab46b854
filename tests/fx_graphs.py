"""Live torch.fx graphs for tests: functions and modules that Dynamo captures, and random graphs."""

from __future__ import annotations

import contextlib
import enum
import math
import operator
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import torch
import torch._dynamo
from hypothesis import strategies as st
from torch import fx, nn
from torch._dynamo.source import ConstantSource
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv, StatelessSymbolicContext

from opcov.graph import Graph, TensorMeta

# --- what text cannot hold --------------------------------------------------------------------------------------------


def as_text_holds_it(graph: Graph) -> Graph:
    """A graph without what print_readable does not print, and without where the text has it.

    `requires_grad` is printed nowhere. Lines belong to a file, and problems to a text; those of a graph that torch has
    just printed have to be looked at before they are taken away here.
    """
    nodes = []
    for node in graph.nodes:
        meta = replace(node.meta, requires_grad=False) if isinstance(node.meta, TensorMeta) else node.meta
        nodes.append(replace(node, meta=meta, line=0))
    bodies = {path: as_text_holds_it(body) for path, body in graph.bodies.items()}
    return replace(graph, nodes=tuple(nodes), bodies=bodies, problems=())


def differences(found: Graph, expected: Graph) -> list[tuple[object, object]]:
    """Where two graphs differ, nodes one by one; repr tells nan, -0.0, True and 1 apart."""
    pairs: list[tuple[object, object]] = [
        (one, other)
        for one, other in zip(found.nodes, expected.nodes, strict=False)
        if repr((one, one.kwargs)) != repr((other, other.kwargs))
    ]
    if len(found.nodes) != len(expected.nodes):
        pairs.append((len(found.nodes), len(expected.nodes)))
    fields = [(getattr(found, name), getattr(expected, name)) for name in ("name", "form", "annotated", "regions")]
    pairs += [(one, other) for one, other in [*fields, (found.problems, expected.problems)] if one != other]
    if found.bodies.keys() != expected.bodies.keys():
        pairs.append((sorted(found.bodies), sorted(expected.bodies)))
    for path in found.bodies.keys() & expected.bodies.keys():
        pairs += differences(found.bodies[path], expected.bodies[path])
    return pairs


# --- captured modules -------------------------------------------------------------------------------------------------


class Gate(nn.Module):
    """Parameters, a buffer, and a child of which a plain attribute is read."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(4, 4)
        self.layers = nn.ModuleList([nn.Linear(4, 4), nn.GELU()])
        self.register_buffer("scale", torch.ones(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        return torch.sigmoid(self.gate(x)) * x * self.scale


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(8, 24)
        self.norm = nn.LayerNorm(8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(self.norm(x)).chunk(3, dim=-1)
        q, k, v = (part.view(2, 3, 2, 4).transpose(1, 2) for part in (q, k, v))
        y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return x + y.transpose(1, 2).reshape(2, 3, 8)


class Convolution(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.max_pool2d(self.drop(self.norm(self.conv(x)).relu()), 2)


class Squared(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> Any:
        (x,) = ctx.saved_tensors
        return 2 * x * grad


def in_place(x: torch.Tensor) -> torch.Tensor:
    y = x.sin()
    y += 1
    y *= x
    y -= 2
    y @= x
    y.mul_(2)
    return y


def index_stores(x: torch.Tensor) -> torch.Tensor:
    y = x.clone()
    y[0] = 3.0
    y[1:, ::2] = x[1:, ::2]
    y[..., None] = 1
    y[x > 2] = -1.5
    y[[0, 1], torch.tensor([2, 3])] += 1
    return y


def autocast(x: torch.Tensor) -> torch.Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return x @ x


def no_grad(x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        y = x.sin()
    return y.cos()


def dunder_methods(x: torch.Tensor) -> torch.Tensor:
    mask = x > 0
    return mask.__and__(x < 2).__or__(mask).__invert__() & x.__ge__(1)


def literals(x: torch.Tensor) -> torch.Tensor:
    y = torch.full((2, 3), float("-inf"), dtype=torch.float16, device="cpu")
    z = torch.zeros(2, 2, layout=torch.strided, requires_grad=False)
    return x.to(torch.device("cpu"), torch.float64).sum() + y.sum() + z.sum() + 1e-45 + math.inf


def memory_formats(x: torch.Tensor) -> torch.Tensor:
    return x[None, None].contiguous(memory_format=torch.channels_last).to(memory_format=torch.preserve_format)


def quoted(x: torch.Tensor) -> torch.Tensor:
    return torch.einsum("i j, j k -> i k", x, x) + nn.functional.interpolate(x[None, None], (4, 4), mode="nearest")


def shape_arithmetic(x: torch.Tensor) -> torch.Tensor:
    n, m = x.shape
    return torch.zeros(n * 2 + 1, m // 2).sum() + x.view(-1)[: n * m - 1].sum() + n / m + max(n, 3)


def constant(x: torch.Tensor) -> torch.Tensor:
    return x + torch.tensor([1.0, 2.0, 3.0, 4.0]) + torch.tensor(2)


def breaks(x: torch.Tensor) -> torch.Tensor:
    y = x.sin()
    torch._dynamo.graph_break()
    return y.cos() if bool(y.sum() > 100) else y.tan()


SQUARE = (torch.ones(4, 4),)
FUNCTIONS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "pointwise": (lambda x: torch.sin(x).cos() * 2, SQUARE),
    "operators": (lambda x: -x + ~((x > 1) ** 2) - x % 3 / (x // 2) @ x, SQUARE),
    "bits": (lambda x: (x & 3 | 4 ^ x) << 1 >> 2, (torch.ones(4, dtype=torch.int32),)),
    "reflected": (lambda x: 2 - x + (3 / x) ** 2 + 2**x + (5 // x) % 3, SQUARE),
    "comparisons": (lambda x: (x == 1) | (x != 2) | (x < 3) | (x <= 4) | (x > 5) | (x >= 6), SQUARE),
    "indexing": (lambda x: x[None, ..., 1:3][0, :, 0].sin() + x[[0, 1, 2, 3], 0] + x[x > 0].sum(), SQUARE),
    "split": (lambda x: torch.cat(x.split([1, 3], dim=-1)[::-1], 1) + torch.cat(torch.split(x, 2)), SQUARE),
    "named results": (lambda x: torch.topk(x, 2).values.sum() + x.max(dim=1).indices + x.sort()[0], SQUARE),
    "several results": (lambda x: (x, [x.sin(), {"a": x.cos()}], None, 3), SQUARE),
    "unbind": (lambda x: sum(torch.unbind(x)).sin(), SQUARE),
    "attributes": (lambda x: x.T.mT.sum() + x.real + x.data.sum() + x.new_empty(1).fill_(2), SQUARE),
    "in place": (in_place, SQUARE),
    "index stores": (index_stores, SQUARE),
    "out argument": (lambda x: torch.bmm(x[None], x[None], out=torch.empty(1, 4, 4)), SQUARE),
    "autocast": (autocast, SQUARE),
    "no grad": (no_grad, SQUARE),
    "dunder methods": (dunder_methods, SQUARE),
    "literals": (literals, SQUARE),
    "memory formats": (memory_formats, SQUARE),
    "quotes and commas": (quoted, SQUARE),
    "constants": (constant, SQUARE),
    "graph break": (breaks, SQUARE),
    "factories": (lambda x: torch.arange(4) + torch.zeros_like(x) + torch.full((4,), 2) + torch.eye(4), SQUARE),
    "casts": (lambda x: x.float().half().to(torch.float64).long().bool().int().type(torch.uint8), SQUARE),
    "complex numbers": (lambda x: torch.view_as_real(x * (1 + 2j)).sum() + torch.fft.fft(x).real, SQUARE),
    "aten ops": (lambda x: torch.ops.aten.add.Tensor(x, x) + torch.ops.aten.sin(x), SQUARE),
    "custom ops": (lambda x: torch.ops.opcov_live.pair(torch.ops.opcov_live.one(x))[1], SQUARE),
    "math": (lambda x: x * math.sqrt(x.shape[0]) + math.floor(2.5), SQUARE),
    "checkpoint": (
        lambda x: torch.utils.checkpoint.checkpoint(lambda v: torch.sin(v) * 2, x, use_reentrant=False).cos(),
        (torch.ones(4, requires_grad=True),),
    ),
    "conditional": (lambda x: torch.cond(x.sum() > 0, lambda v: v.sin(), lambda v: v.cos(), (x,)).exp(), SQUARE),
    "autograd function": (lambda x: Squared.apply(x).sin(), (torch.ones(4, requires_grad=True),)),
    "map": (lambda x: torch._higher_order_ops.map(lambda row: row.sin(), x), SQUARE),
    "vmap": (lambda x: torch.func.vmap(torch.sin)(x).cos(), SQUARE),
    "grad": (lambda x: torch.func.grad(lambda v: v.sin().sum())(x).cos(), SQUARE),
    "jvp": (lambda x: torch.func.jvp(torch.sin, (x,), (x,))[1].cos(), SQUARE),
    "nested inputs": (lambda x, y, *z, k: x + y["a"][0] + z[0] * k, (*SQUARE, {"a": [SQUARE[0]]}, 3)),
    "modules": (Gate(), SQUARE),
    "attention": (Attention(), (torch.ones(2, 3, 8),)),
    "convolution": (Convolution(), (torch.ones(1, 3, 4, 4),)),
    "embedding": (nn.Embedding(8, 4), (torch.tensor([[1, 2], [3, 4]]),)),
    "loss": (lambda x: nn.functional.cross_entropy(x, torch.tensor([0, 1, 2, 3])), SQUARE),
    "a torch function": (torch.logsumexp, (*SQUARE, 1)),
}
KEYWORDS: dict[str, dict[str, Any]] = {"nested inputs": {"k": torch.ones(4)}}
DYNAMIC: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "dynamic sizes": (lambda x: x.view(-1).view(x.shape[0], x.shape[1]).sin(), SQUARE),
    "dynamic arithmetic": (shape_arithmetic, (torch.ones(4, 6),)),
    "dynamic numbers": (lambda x, n, s: x.expand(n, 4) * s + n, (torch.ones(4), 3, 2.5)),
    "dynamic split": (lambda x: torch.cat(x.split(x.shape[0] // 2)).sin(), (torch.ones(6, 2),)),
    "data-dependent": (lambda x: torch.nonzero(x).sum() + x[x > 0].sum() + x.sum().item(), SQUARE),
}


@contextlib.contextmanager
def custom_ops() -> Iterator[None]:
    """The ops that `custom ops` calls."""
    with torch.library._scoped_library("opcov_live", "FRAGMENT") as library:
        for schema, function in (
            ("one(Tensor x) -> Tensor", torch.clone),
            ("pair(Tensor x) -> (Tensor, Tensor)", lambda x: (x.clone(), x.clone())),
        ):
            library.define(schema)
            library.impl(schema.partition("(")[0], function, "CompositeExplicitAutograd")
        yield


def capture(name: str, look: Callable[[fx.GraphModule], None]) -> None:
    """Captures the function of a name and has each graph looked at while it has its metadata."""

    failures: list[Exception] = []

    def backend(module: fx.GraphModule, _inputs: Any) -> Callable[..., Any]:
        try:
            look(module)
        except Exception as error:  # noqa: BLE001 - Dynamo would wrap it
            failures.append(error)
        return module.forward

    function, inputs = FUNCTIONS.get(name) or DYNAMIC[name]
    torch._dynamo.reset()
    data_dependent = {"capture_dynamic_output_shape_ops": True, "capture_scalar_outputs": True}
    with custom_ops(), torch._dynamo.config.patch(**data_dependent):
        compiled = torch.compile(function, backend=backend, dynamic=name in DYNAMIC)
        # Some graphs cannot run once captured (an index store on a view); they were looked at by then.
        with contextlib.suppress(RuntimeError):
            compiled(*inputs, **KEYWORDS.get(name, {}))
    for failure in failures:
        raise failure


# --- random graphs ----------------------------------------------------------------------------------------------------


class Color(enum.Enum):
    RED = 1


class Pair(NamedTuple):
    first: Any
    second: Any


TARGETS = [
    torch.sin, torch.add, torch.functional.split, nn.functional.silu, torch._C._nn.gelu, torch.ops.aten.add.Tensor,
    torch.ops.aten.add, max, len, abs, operator.not_, math.floor, torch.device, torch._C._set_grad_enabled,
]  # fmt: skip
BINARY = [
    getattr(operator, name)
    for name in "add sub mul truediv floordiv mod pow and_ or_ xor matmul lshift rshift eq ne lt le gt ge".split()
]
UNARY = [operator.neg, operator.pos, operator.invert]
INPLACE = [
    getattr(operator, name)
    for name in "iadd isub imul itruediv ifloordiv imod ipow iand ior ixor imatmul ilshift irshift".split()
]
ATTRIBUTES = ["p", "sub.w", "layers.0.weight"]

literal_values = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False),
    st.builds(complex, st.floats(0.1, 9), st.floats(-9, -0.1)), st.text(max_size=8), st.binary(max_size=4),
    st.sampled_from([..., torch.float16, torch.strided, torch.device("cpu"), torch.device("cuda", 1)]),
)  # fmt: skip
opaque_values = st.sampled_from([Color.RED, Pair(1, "a"), torch.ops.aten.sum.default, torch.preserve_format, range(3)])


def root() -> nn.Module:
    """What the graphs' attributes and submodules belong to."""
    module = nn.Module()
    module.register_buffer("p", torch.zeros(1))
    module.sub = nn.Module()
    module.sub.register_buffer("w", torch.zeros(1))
    module.layers = nn.ModuleList([nn.Linear(1, 1)])
    return module


@st.composite
def graphs(draw: Any, *, opaque: bool = True) -> fx.Graph:
    """Random graphs of every kind of node and argument that torch.fx prints, without metadata."""
    graph = fx.Graph()
    names = draw(st.lists(st.sampled_from(["x", "L_y_", "s0", "*args"]), min_size=1, unique=True))
    values = [graph.placeholder(name) for name in names]
    node = st.deferred(lambda: st.sampled_from(values))
    leaves = [node, literal_values, opaque_values] if opaque else [node, literal_values]
    argument = st.recursive(
        st.one_of(leaves),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.lists(inner, max_size=3).map(tuple),
            st.tuples(inner, inner, inner).map(lambda parts: slice(*parts)),
            st.dictionaries(st.text(max_size=4), st.one_of(node, st.integers()), max_size=2),
        ),
        max_leaves=6,
    )
    # Python's grammar gives operators their operands only as names and plain numbers.
    operand = st.one_of(node, st.integers(-9, 9), st.floats(0, 9))
    makers: list[Callable[[], fx.Node]] = [
        lambda: graph.call_function(
            draw(st.sampled_from(TARGETS)),
            tuple(draw(st.lists(argument, max_size=3))),
            draw(st.dictionaries(st.sampled_from(["out", "dim", "k_1"]), argument, max_size=2)),
        ),
        lambda: graph.call_function(draw(st.sampled_from([*BINARY, operator.getitem])), (draw(node), draw(operand))),
        lambda: graph.call_function(draw(st.sampled_from(BINARY)), (draw(operand), draw(node))),
        lambda: graph.call_function(draw(st.sampled_from(UNARY)), (draw(node),)),
        lambda: graph.call_function(draw(st.sampled_from(INPLACE)), (draw(node), draw(operand))),
        lambda: graph.call_function(operator.setitem, (draw(node), draw(argument), draw(operand))),
        lambda: graph.call_method(
            draw(st.sampled_from(["view", "__and__", "size"])), (draw(node), *draw(st.lists(argument, max_size=2)))
        ),
        lambda: graph.get_attr(draw(st.sampled_from(ATTRIBUTES))),
        lambda: graph.call_function(getattr, (draw(node), draw(st.sampled_from(["shape", "T", "a b"])))),
        lambda: graph.call_module("layers.0", (draw(node),)),
    ]
    for _ in range(draw(st.integers(1, 8))):
        values += [draw(st.sampled_from(makers))()]  # which the next one may read
    graph.output(draw(argument))
    return graph


FILES = ["/a/b c.py", "<string>", "C:\\net.py", "é.py"]
CODES = ["return x.sin()", "y = f(x, code=1)  # File: z.py:3", 'einsum("a, b; c", x)', "x"]


@st.composite
def annotated_graphs(draw: Any, *, opaque: bool = True) -> fx.Graph:
    """Random graphs whose nodes have metadata, under any of the keys that torch.fx prints, and stack traces."""
    graph = draw(graphs(opaque=opaque))
    values = st.sampled_from(example_values())
    for node in graph.nodes:
        if node.op != "output" and draw(st.booleans()):
            node.meta[draw(st.sampled_from(["example_value", "val"]))] = draw(values)
        if draw(st.booleans()):
            file, line, code = draw(st.sampled_from(FILES)), draw(st.integers(0, 9999)), draw(st.sampled_from(CODES))
            node.meta["stack_trace"] = f'  File "{file}", line {line}, in forward\n    {code}\n'
    return graph


def example_values() -> list[Any]:
    """Fake tensors of several dtypes and sizes, symbols, and what has no annotation."""
    mode = FakeTensorMode(shape_env=ShapeEnv())
    context = StatelessSymbolicContext(dynamic_sizes=[DimDynamic.DYNAMIC, DimDynamic.DYNAMIC])
    symbolic = mode.from_tensor(torch.empty(3, 5), source=ConstantSource("x"), symbolic_context=context)
    with mode:
        plain = [
            torch.empty(2, 3, dtype=dtype) for dtype in (torch.float32, torch.bfloat16, torch.bool, torch.float8_e4m3fn)
        ]
        derived = [symbolic.view(-1), symbolic + 1, symbolic.repeat(2, 1), torch.empty(0), torch.empty(())]
        grad = torch.empty(4, requires_grad=True)
    size = symbolic.shape[0]
    symbols = [size, size * 2 + 1, size > 3, torch.sym_float(size) / 2]
    return [*plain, *derived, *symbols, symbolic, grad, nn.Parameter(torch.empty(2)), (grad, grad), None, 3]
