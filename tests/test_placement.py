"""Placement against Thunder's own splitter, on live modules, and against the regions that saved files record."""

from __future__ import annotations

import contextlib
import copy
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from opcov.capturing import splitting
from opcov.capturing.records import FILE, Capture, NodeVerdict, read
from opcov.graph import Compiler, Form, Graph, Node, Region, SequenceMeta
from opcov.loaders import load_text
from opcov.placement import PlacedBy, Placement, place
from opcov.registries import SplitterRules
from opcov.registries.thunder import ThunderRegistry
from opcov.verdict import SUPPORTED, Reason, Status, Verdict

PROJECT = Path(__file__).resolve().parent.parent
UNSUPPORTED = Verdict(Status.UNSUPPORTED, Reason.MISSING_OP_SUPPORT, "no mapping")
RAISES = Verdict(Status.CRASH, Reason.CRASH, "AssertionError: Failed to find method foo")


@pytest.fixture(scope="module")
def registry() -> ThunderRegistry:
    return ThunderRegistry()


def load(text: str) -> Graph:
    (graph,), _ = load_text(text)
    return graph


def unsplit(*statements: str) -> Graph:
    """A graph before the split with one input; its last line returns `y`."""
    body = "\n".join(f"        {statement}" for statement in statements)
    return load(
        f'class GraphModule(torch.nn.Module):\n    def forward(self, x: "f32[4, 4]"):\n{body}\n        return (y,)\n'
    )


def placed(
    graph: Graph,
    unsupported: str = "",
    crash: str = "",
    known: dict[str, object] | None = None,
    rules: SplitterRules = SplitterRules(),  # noqa: B008 - it is frozen
) -> Placement:
    """Places a graph whose calls are supported but for the named ones."""
    verdicts = dict.fromkeys((node.name for node in graph.calls), SUPPORTED)
    verdicts |= dict.fromkeys(unsupported.split(), UNSUPPORTED) | dict.fromkeys(crash.split(), RAISES)
    return place(graph, verdicts, known or {}, rules)


def names(placement: Placement) -> dict[str, str | None]:
    return {node: region.name if region else None for node, region in placement.region_of.items()}


# --- rules, one at a time ---------------------------------------------------------------------------------------------


def test_neighbours_with_the_same_answer_share_a_region() -> None:
    graph = unsplit(
        'a: "f32[4, 4]" = torch.sin(x)',
        'b: "f32[4, 4]" = torch.cos(a)',
        'c: "f32[4, 4]" = torch.sinc(b)',
        'y: "f32[4, 4]" = torch.sin(c)',
    )
    assert names(placed(graph, "c")) == {"a": "thunder_0", "b": "thunder_0", "c": "inductor_1", "y": "thunder_2"}


def test_a_first_unsupported_node_opens_region_0() -> None:
    graph = unsplit('a: "f32[4, 4]" = torch.sinc(x)', 'y: "f32[4, 4]" = torch.sin(a)')
    assert placed(graph, "a").regions == (Region(0, Compiler.INDUCTOR), Region(1, Compiler.THUNDER))


def test_regions_are_contiguous_in_node_order_not_by_data_flow() -> None:
    graph = unsplit('a: "f32[4, 4]" = torch.sin(x)', 'b: "f32[4, 4]" = torch.sinc(x)', 'y: "f32[4, 4]" = torch.cos(a)')
    assert names(placed(graph, "b"))["y"] == "thunder_2"  # it reads nothing of b, and still opens a third region


def test_an_unknown_node_goes_with_the_unsupported_ones() -> None:
    graph = unsplit('a: "f32[4, 4]" = torch.sin(x)', 'y: "f32[4, 4]" = torch.cos(a)')
    verdicts = {"a": SUPPORTED, "y": Verdict(Status.UNKNOWN, Reason.NO_METADATA, "")}
    assert names(place(graph, verdicts, {})) == {"a": "thunder_0", "y": "inductor_1"}


TUPLE = SequenceMeta("tuple", (None, None))


def test_a_getitem_of_an_unsupported_tuple_stays_with_its_producer() -> None:
    graph = unsplit("t = torch.ops.a.pair(x)", 'p: "f32[4, 4]" = t[0]', 'y: "f32[4, 4]" = torch.sin(p)')
    placement = placed(graph, "t", known={"t": TUPLE})
    assert (names(placement)["p"], placement.placed_by["p"]) == ("inductor_0", PlacedBy.PINNED)


def test_a_getitem_of_a_supported_tuple_goes_by_its_own_verdict() -> None:
    graph = unsplit("t = torch.split(x, 2)", 'p: "f32[2, 4]" = t[0]', 'y: "f32[2, 4]" = torch.sin(p)')
    assert placed(graph, known={"t": TUPLE}).placed_by["p"] is PlacedBy.VERDICT


def test_a_getitem_of_an_unsupported_size_is_not_pinned() -> None:
    # baseutils.is_collection knows tuple, list, dict and set by exact type, and torch.Size is none of them.
    graph = unsplit("t = x.size()", 'p: "Sym(s0)" = t[0]', 'y: "f32[4, 4]" = torch.sin(x)')
    placement = placed(graph, "t", known={"t": SequenceMeta("size", (None,))})
    assert names(placement)["p"] == "thunder_1"


def test_another_reader_of_an_unsupported_tuple_stops_the_splitter() -> None:
    graph = unsplit("t = torch.ops.a.pair(x)", 'y: "f32[4, 4]" = torch.cat(t)')
    placement = placed(graph, "t", known={"t": TUPLE})
    assert placement.crash.startswith("AssertionError")
    assert placement.crash_node == "t"


def test_a_splitter_that_pins_no_tuples_places_a_getitem_by_its_own_verdict() -> None:
    graph = unsplit("t = torch.ops.a.pair(x)", 'p: "f32[4, 4]" = t[0]', 'y: "f32[4, 4]" = torch.sin(p)')
    placement = placed(graph, "t", known={"t": TUPLE}, rules=SplitterRules(pins_tuples=False))
    assert (names(placement)["p"], placement.placed_by["p"]) == ("thunder_1", PlacedBy.VERDICT)


def test_a_splitter_that_pins_no_tuples_lets_anyone_read_them() -> None:
    graph = unsplit("t = torch.ops.a.pair(x)", 'y: "f32[4, 4]" = torch.cat(t)')
    assert placed(graph, "t", known={"t": TUPLE}, rules=SplitterRules(pins_tuples=False)).crash == ""


def test_a_crash_leaves_no_regions_at_all() -> None:
    graph = unsplit('a: "f32[4, 4]" = torch.sin(x)', 'y: "f32[4, 4]" = a.foo()')
    placement = placed(graph, crash="y")
    assert (placement.regions, names(placement)) == ((), {"a": None, "y": None})
    assert placement.crash == RAISES.detail


def test_a_crash_inside_a_context_region_is_never_reached() -> None:
    # The callback asks for the context first, and never calls the check that would raise.
    graph = unsplit("v = torch._C._functorch._vmap_increment_nesting(2, 'error')", "y = x.foo()")
    placement = placed(graph, crash="y")
    assert placement.crash == ""
    assert placement.placed_by["y"] is PlacedBy.CONTEXT


def test_everything_after_a_vmap_bracket_falls_back() -> None:
    graph = unsplit(
        'a: "f32[4, 4]" = torch.sin(x)',
        "v = torch._C._functorch._vmap_increment_nesting(2, 'error')",
        "w = torch._C._functorch._vmap_decrement_nesting()",
        'y: "f32[4, 4]" = torch.sin(a)',
    )
    # The bracket itself goes by its verdict, and the counter of Thunder's function never goes down again.
    assert names(placed(graph)) == {"a": "thunder_0", "v": "thunder_0", "w": "thunder_0", "y": "inductor_1"}


def test_a_splitter_that_does_not_avoid_vmap_goes_by_the_verdicts_after_it() -> None:
    graph = unsplit("v = torch._C._functorch._vmap_increment_nesting(2, 'error')", 'y: "f32[4, 4]" = torch.sin(x)')
    placement = placed(graph, rules=SplitterRules(avoids_vmap=False))
    assert names(placement) == {"v": "thunder_0", "y": "thunder_0"}


def test_a_closure_of_parallelize_module_goes_to_thunder_unasked() -> None:
    graph = unsplit('y: "f32[4, 4]" = torch__dynamo_variables_tensor_prim_to_local(x)')
    assert names(placed(graph, "y")) == {"y": "thunder_0"}


def test_a_splitter_without_dtensor_prims_goes_by_the_verdict_on_a_closure_of_parallelize_module() -> None:
    graph = unsplit('y: "f32[4, 4]" = torch__dynamo_variables_tensor_prim_to_local(x)')
    assert names(placed(graph, "y", rules=SplitterRules(takes_dtensor_prims=False))) == {"y": "inductor_0"}


def test_an_autocast_without_content_is_erased_before_the_split() -> None:
    graph = unsplit(
        "e = torch.amp.autocast_mode._enter_autocast('cpu', torch.bfloat16, True, None)",
        "f = torch.amp.autocast_mode._exit_autocast(e)",
        'y: "f32[4, 4]" = torch.sin(x)',
    )
    placement = placed(graph, "e f")
    assert names(placement) == {"e": None, "f": None, "y": "thunder_0"}
    assert placement.placed_by["e"] is PlacedBy.REMOVED


def test_an_autocast_with_content_stays() -> None:
    graph = unsplit(
        "e = torch.amp.autocast_mode._enter_autocast('cpu', torch.bfloat16, True, None)",
        'y: "f32[4, 4]" = torch.sin(x)',
        "f = torch.amp.autocast_mode._exit_autocast(e)",
    )
    assert PlacedBy.REMOVED not in placed(graph).placed_by.values()


def test_an_unused_function_context_is_erased() -> None:
    graph = unsplit("c = torch.autograd.function.FunctionCtx()", 'y: "f32[4, 4]" = torch.sin(x)')
    assert names(placed(graph, "c")) == {"c": None, "y": "thunder_0"}


def test_a_used_function_context_stays() -> None:
    graph = unsplit("c = torch.autograd.function.FunctionCtx()", 'y: "f32[4, 4]" = torch.ops.a.b(c, x)')
    assert names(placed(graph, "c y")) == {"c": "inductor_0", "y": "inductor_0"}


def test_a_split_file_proves_that_the_splitter_went_on() -> None:
    graph = load(
        "class GraphModule(torch.nn.Module):\n"
        '    def forward(self, x: "f32[4, 4]"):\n'
        "        inductor_0 = self.inductor_0(x)\n"
        "        return (inductor_0,)\n"
        "    class inductor_0(torch.nn.Module):\n"
        '        def forward(self, x: "f32[4, 4]"):\n'
        "            y = x.wait_stream(x)\n"
        "            return y\n"
    )
    assert graph.form is Form.SPLIT
    placement = placed(graph, crash="y")
    assert (placement.crash, names(placement)) == ("", {"y": "inductor_0"})


# --- Thunder's real splitter ------------------------------------------------------------------------------------------


def two_halves(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return x[:2].clone(), x[2:].clone()


@pytest.fixture(scope="module", autouse=True)
def custom_ops() -> Iterator[None]:
    """Ops that Thunder has no mapping for, with one tensor, a tuple and a list as their results."""
    with torch.library._scoped_library("opcov_placement", "FRAGMENT") as library:
        for schema, function in (
            ("one(Tensor x) -> Tensor", torch.clone),
            ("pair(Tensor x) -> (Tensor, Tensor)", two_halves),
            ("parts(Tensor x) -> Tensor[]", lambda x: list(two_halves(x))),
        ):
            library.define(schema)
            library.impl(schema.partition("(")[0], function, "CompositeExplicitAutograd")
        yield


class Squared(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        return 2 * x * grad


def autocast(x: torch.Tensor) -> torch.Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        y = torch.sinc(x @ x)
    return y.sin()


def empty_autocast(x: torch.Tensor) -> torch.Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        pass
    return torch.sinc(x.sin())


def no_grad(x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        y = torch.sinc(x)
    return y.sin()


def inplace(x: torch.Tensor) -> torch.Tensor:
    y = x.sin()
    y += 1
    y.mul_(2)
    y[0] = 3.0
    return torch.sinc(y)


def out_argument(x: torch.Tensor) -> torch.Tensor:
    out = torch.zeros(1, 4, 4)
    torch.bmm(x[None], x[None], out=out)
    return out.sin()


def checkpointed(x: torch.Tensor) -> torch.Tensor:
    return torch.utils.checkpoint.checkpoint(lambda v: torch.sin(v) * 2, x, use_reentrant=False).cos()


def checkpointed_unsupported(x: torch.Tensor) -> torch.Tensor:
    return torch.utils.checkpoint.checkpoint(lambda v: torch.sinc(v) + 1, x, use_reentrant=False).cos()


def conditional(x: torch.Tensor) -> torch.Tensor:
    return torch.cond(x.sum() > 0, lambda v: v.sin(), lambda v: v.cos(), (x,)).exp()


MODULES: dict[str, Callable[..., Any]] = {
    "all supported": lambda x: torch.sin(x).cos() * 2,
    "all unsupported": lambda x: torch.sinc(torch.sinc(x)),
    "in the middle": lambda x: torch.sinc(x.sin()).cos(),
    "alternating": lambda x: torch.sinc(torch.sinc(x.sin()).cos()).tanh(),
    "split": lambda x: torch.sinc(x.split(2)[0]) + x.split(2)[1],
    "unbind": lambda x: sum(torch.unbind(x)).sin(),
    "chunk": lambda x: torch.cat([part.sin() for part in x.chunk(2, dim=-1)]),
    "topk": lambda x: torch.sinc(torch.topk(x, 2).values),
    "max with indices": lambda x: x.max(dim=1)[0].sin() + x.max(dim=1)[1],
    "sort": lambda x: torch.sort(x)[0].sin(),
    "cummax": lambda x: torch.cummax(x, 0)[0].sin(),
    "frexp": lambda x: torch.frexp(x)[0].sin(),
    "aminmax": lambda x: torch.aminmax(x).max.sin(),
    "transpose": lambda x: x.T.sin() @ x.mT,
    "autocast": autocast,
    "empty autocast": empty_autocast,
    "no grad": no_grad,
    "in place": inplace,
    "out argument": out_argument,
    "uint32": lambda x: x.to(torch.uint32).transpose(0, 1).to(torch.float32).sin(),
    "new empty": lambda x: x.new_empty(4).fill_(1.0).sin(),
    "einsum": lambda x: torch.einsum("ij,jk->ik", x, x).sin(),
    "where": lambda x: torch.where(x > 0, x, 0.0).sin() + torch.where(x > 0)[0].sum(),
    "attention": lambda x: torch.nn.functional.scaled_dot_product_attention(
        x[None, None], x[None, None], x[None, None]
    ),
    "convolution": lambda x: torch.nn.functional.conv1d(x[None], x[:, :, None]).sin(),
    "embedding": lambda x: torch.nn.functional.embedding(torch.tensor([0, 1]), x),
    "layer norm": lambda x: torch.nn.functional.layer_norm(x, (4,)).sin(),
    "softmax": lambda x: torch.softmax(x, -1).log_softmax(0),
    "fft": lambda x: torch.fft.fft(x).real.sin(),
    "meshgrid": lambda x: torch.meshgrid(x[0], x[1], indexing="ij")[0].sin(),
    "checkpoint": checkpointed,
    "checkpoint of an unsupported op": checkpointed_unsupported,
    "conditional": conditional,
    "autograd function": lambda x: Squared.apply(x).sin(),
    "custom op": lambda x: torch.ops.opcov_placement.one(x.sin()).cos(),
    "custom pair": lambda x: torch.ops.opcov_placement.pair(x.sin())[1].cos(),
    "custom pair, both": lambda x: torch.add(*torch.ops.opcov_placement.pair(x)).cos(),
    "custom list": lambda x: torch.ops.opcov_placement.parts(x)[0].cos(),
    "casts": lambda x: x.float().half().to(torch.float64).long().bool().int(),
    "factories": lambda x: torch.arange(4) + torch.zeros_like(x) + torch.full((4,), 2) + torch.eye(4),
    "indexing": lambda x: x[None, ..., 1:3][0, :, 0].sin() + x[[0, 1, 2, 3], 0] + x[x > 0].sum(),
    "scalars": lambda x: x * 2 + 1 - x / 3 + x**2 - (2 - x) + (-x).abs(),
    "item": lambda x: x.sin().sum(dtype=torch.float64) + torch.searchsorted(x[0], x[1]).sin(),
    "vmap": lambda x: torch.func.vmap(torch.sin)(x).cos(),
    "jvp": lambda x: torch.func.jvp(torch.sin, (x,), (x,))[1].cos(),
    "vjp": lambda x: torch.func.vjp(torch.sin, x)[0].cos(),
    "jacrev": lambda x: torch.func.jacrev(torch.sin)(x).cos(),
    "grad": lambda x: torch.func.grad(lambda v: v.sin().sum())(x).cos(),
}
DYNAMIC = {
    "dynamic sizes": lambda x: torch.sinc(x.view(-1)).view(x.shape[0], x.shape[1]).sin(),
    "dynamic arithmetic": lambda x: torch.zeros(x.shape[0] * 2 + 1).sin() + x.size(1) // 2,
    "dynamic split": lambda x: torch.cat(x.split(x.shape[0] // 2)).sin(),
}


@pytest.fixture
def functorch_left() -> Iterator[None]:
    """Thunder's check really enters functorch's levels, and a crash leaves them open."""
    yield
    torch._C._functorch.pop_dynamic_layer_stack_and_undo_to_depth(0)
    torch._C._autograd._saved_tensors_hooks_enable()
    torch._C._functorch.set_inplace_requires_grad_allowed(False)


@pytest.mark.usefixtures("functorch_left")
@pytest.mark.parametrize("name", [*MODULES, *DYNAMIC])
@pytest.mark.filterwarnings("ignore")
def test_thunders_own_splitter_makes_the_same_regions_of_a_live_module(name: str, registry: ThunderRegistry) -> None:
    seen: list[tuple[str, list[NodeVerdict], dict[str, str], str]] = []

    def backend(gm: torch.fx.GraphModule, sample: list[Any]) -> Callable[..., Any]:
        text = gm.print_readable(print_output=False)  # also before remove_empty_autocast, which placement foresees
        eager = copy.deepcopy(gm)
        gm = splitting.prepared(gm)
        truth = splitting.verdicts(gm)
        crash, partitions = "", {}
        try:
            _, partitions = splitting.split(gm, sample)
        except Exception as error:  # noqa: BLE001 - whatever Thunder raises is the answer
            crash = type(error).__name__
        seen.append((text, truth, partitions, crash))
        return eager.forward

    torch._dynamo.reset()
    function = MODULES.get(name) or DYNAMIC[name]
    with contextlib.suppress(Exception), torch._dynamo.config.patch(capture_dynamic_output_shape_ops=True):
        torch.compile(function, backend=backend, dynamic=name in DYNAMIC)(torch.ones(4, 4))
    assert seen
    for text, truth, partitions, crash in seen:
        graph = load(text)
        verdicts, known = registry.judge(graph)
        placement = place(graph, verdicts, known, registry.splitter)
        own = {True: Status.SUPPORTED, False: Status.UNSUPPORTED, None: Status.CRASH}
        if "custom list" not in name:  # its own getitem: a list cannot be told from a tuple there
            assert {node.name: verdicts[node.name].status for node in truth} == {
                node.name: own[node.supported] for node in truth
            }
        assert placement.crash.partition(":")[0] == crash
        if "custom list" in name and not registry.splitter.pins_tuples:
            pytest.skip(
                "text does not tell a custom op's list from a tuple, and this splitter goes by its getitem's verdict"
            )
        if not crash:
            assert {node: region for node, region in names(placement).items() if region} == partitions
            assert [region.name for region in placement.regions] == list(dict.fromkeys(partitions.values()))


@pytest.mark.filterwarnings("ignore")
def test_the_closures_of_parallelize_module_go_where_the_installed_splitter_puts_them(
    registry: ThunderRegistry,
) -> None:
    def prim_to_local(x: torch.Tensor) -> torch.Tensor:
        return x

    prim_to_local.__module__ = "torch._dynamo.variables.tensor"  # where Dynamo makes it
    with torch._subclasses.fake_tensor.FakeTensorMode():
        value = torch.empty(4, 4)
    fx_graph = torch.fx.Graph()
    node = fx_graph.placeholder("x")
    for target in (torch.sin, prim_to_local, torch.cos):
        node.meta["example_value"] = value
        node = fx_graph.call_function(target, (node,))
    node.meta["example_value"] = value
    fx_graph.output((node,))
    gm = torch.fx.GraphModule(torch.nn.Module(), fx_graph)
    graph = load(gm.print_readable(print_output=False))
    _, partitions = splitting.split(gm, [])
    assert names(place(graph, *registry.judge(graph), registry.splitter)) == partitions
    assert partitions["prim_to_local"] == ("thunder_0" if registry.splitter.takes_dtensor_prims else "inductor_1")


# --- recorded truth ---------------------------------------------------------------------------------------------------

STATUS = {True: Status.SUPPORTED, False: Status.UNSUPPORTED, None: Status.CRASH}
CAPTURES = sorted((PROJECT / "fixtures" / "gm").rglob(FILE))


@pytest.mark.recorded
@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.parent.name)
def test_fixtures_get_the_verdicts_and_regions_that_thunder_gave(path: Path, registry: ThunderRegistry) -> None:
    capture = read(path, Capture)
    assert capture is not None
    for recorded in (graph for part in capture.parts for graph in part.graphs):
        graph = load((path.parent / recorded.file).read_text(encoding="utf-8"))
        verdicts, known = registry.judge(graph)
        placement = place(graph, verdicts, known, registry.splitter)
        assert bool(placement.crash) == bool(recorded.crash)
        assert recorded.verdicts is not None
        for node in recorded.verdicts:
            region = placement.region_of[node.name]
            found = (verdicts[node.name].status, region.name if region else None)
            assert found == (STATUS[node.supported], node.partition), (recorded.file, node.name)


@pytest.mark.recorded
@pytest.mark.parametrize("form", ["split", "unsplit"])
def test_the_oracle_agrees_on_999_of_1000_nodes(form: str, shared: Path, registry: ThunderRegistry) -> None:
    total, wrong, lost = 0, [], []
    for path in sorted((shared / "oracle" / "truth").glob("*.json")):
        for recorded in json.loads(path.read_text(encoding="utf-8"))["graphs"]:
            file = recorded["file" if form == "split" else "unsplit_file"]
            graph = load((shared / "oracle" / file).read_text(encoding="utf-8"))
            verdicts, known = registry.judge(graph)
            assert bool(place(graph, verdicts, known, registry.splitter).crash) == bool(recorded.get("crash")), file
            for node in recorded["nodes"]:
                total += 1
                verdict = verdicts.get(node["name"])
                if verdict is None:
                    lost.append((file, node["name"]))
                elif verdict.status is not STATUS[node["supported"]]:
                    wrong.append((file, node["name"], verdict))
    assert lost == []
    assert total > 8_000
    assert len(wrong) <= total // 1000, wrong


@pytest.mark.recorded
def test_every_node_of_the_recorded_corpus_is_placed_where_it_was_recorded(
    shared: Path, registry: ThunderRegistry
) -> None:
    bodies: dict[str, Path] = {}
    for path in sorted((shared / "gm").rglob("rank*.py")):
        bodies.setdefault(path.read_text(encoding="utf-8").partition("\n")[2], path)
    differences: list[tuple[Path, Node | int]] = []
    for text, path in bodies.items():
        graph = load(text)
        verdicts, known = registry.judge(graph)
        placement = place(graph, verdicts, known, registry.splitter)
        differences += [(path, node) for node in graph.calls if placement.region_of[node.name] != node.region]
        if len(placement.regions) != len(graph.regions):
            differences.append((path, len(placement.regions)))
    assert len(bodies) > 500
    assert differences == []


def test_unsplit_graphs_of_the_recorded_corpus_crash_on_the_methods_that_tensors_lack(
    shared: Path, registry: ThunderRegistry
) -> None:
    paths = sorted((shared / "gm").rglob("graph_module_*.py"))
    found = set()
    for path in paths:
        text = path.read_text(encoding="utf-8")
        graph = load(text)
        crash = place(graph, *registry.judge(graph), registry.splitter).crash
        assert bool(crash) == (".wait_stream(" in text), path
        found.add(crash)
    logs = "".join(path.read_text(encoding="utf-8", errors="replace") for path in (shared / "gm").rglob("log.txt"))
    assert found - {""} == set(re.findall(r"AssertionError: Failed to find method \w+", logs))
