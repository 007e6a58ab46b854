"""opcov.check: live modules and callables judged as Thunder judges them, without a trace left in the process."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import fx_graphs
import pytest
import torch
from building import FakeRegistry
from torch import nn

import opcov
from opcov.capturing import splitting
from opcov.loaders.captured import captured
from opcov.registries.thunder import ThunderRegistry
from opcov.verdict import Reason, Status, Verdict

PROJECT = Path(__file__).resolve().parent.parent
STATUS = {True: Status.SUPPORTED, False: Status.UNSUPPORTED, None: Status.CRASH}


@pytest.fixture(scope="module")
def registry() -> ThunderRegistry:
    return ThunderRegistry()


@pytest.fixture
def functorch_left() -> Iterator[None]:
    """Thunder's check really enters functorch's levels, and a crash leaves them open."""
    yield
    torch._C._functorch.pop_dynamic_layer_stack_and_undo_to_depth(0)
    torch._C._autograd._saved_tensors_hooks_enable()
    torch._C._functorch.set_inplace_requires_grad_allowed(False)


def half_supported(x: torch.Tensor) -> torch.Tensor:
    return torch.sinc(x.sin())


class Broken(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x.sin()
        torch._dynamo.graph_break()
        raise RuntimeError("no such weight")


# --- Thunder's own verdicts -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("functorch_left")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [*fx_graphs.FUNCTIONS, *fx_graphs.DYNAMIC])
def test_a_captured_graph_gets_thunders_own_verdicts(name: str, registry: ThunderRegistry) -> None:
    differences: list[Any] = []
    nodes = 0

    def look(module: torch.fx.GraphModule) -> None:
        nonlocal nodes
        rows = opcov.check(module, registry=registry).coverage.node_rows()
        found = {row.node.name: row.node.status for row in rows}
        truth = {node.name: STATUS[node.supported] for node in splitting.verdicts(module)}
        nodes += len(truth)
        differences.extend((key, found.get(key), truth[key]) for key in truth if found.get(key) is not truth[key])

    fx_graphs.capture(name, look)
    assert nodes > 0
    assert differences == []


def test_every_graph_of_a_callable_with_graph_breaks_is_judged(registry: ThunderRegistry) -> None:
    scan = opcov.check(fx_graphs.breaks, torch.ones(4, 4), registry=registry)
    ops = [row.node.op for row in scan.coverage.node_rows()]
    assert ops[0] == "torch.Tensor.sin"
    assert ops[-1] == "torch.Tensor.tan"
    assert scan.coverage.files == len(scan.graphs) >= 2


def test_a_graph_on_which_thunders_splitter_stops_is_a_crash(registry: ThunderRegistry) -> None:
    graph = torch.fx.Graph()
    x = graph.placeholder("x")
    graph.output(graph.call_method("wait_stream", (x,)))
    scan = opcov.check(torch.fx.GraphModule(nn.Module(), graph), registry=registry)
    (row,) = scan.coverage.node_rows()
    assert (row.node.status, row.node.reason) == (Status.CRASH, Reason.CRASH)
    assert [problem.slug.value for problem in scan.problems] == ["crash"]


def test_an_empty_autocast_is_no_region_as_for_thunder(registry: ThunderRegistry) -> None:
    def function(x: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            pass
        return x.sin()

    scan = opcov.check(function, torch.ones(2), registry=registry)
    assert list(scan.graphs["placed_regions"]) == [1]


# --- what comes back --------------------------------------------------------------------------------------------------


def test_a_check_has_the_tables_of_a_scan(registry: ThunderRegistry) -> None:
    scan = opcov.check(half_supported, torch.ones(4), registry=registry)
    assert dict(zip(scan.ops["op"], scan.ops["status"], strict=True)) == {
        "torch.sinc": "unsupported",
        "torch.Tensor.sin": "supported",
    }
    assert list(scan.models["model"]) == ["half_supported"]
    assert list(scan.nodes["source_function"]) == ["half_supported"] * 2
    assert scan.problems == ()


def test_a_checked_graph_is_the_graph_that_a_scan_of_its_text_finds(tmp_path: Path, registry: ThunderRegistry) -> None:
    texts: list[str] = []
    fx_graphs.capture("modules", lambda module: texts.append(module.print_readable(print_output=False)))
    (tmp_path / "graph_module_1.py").write_text(texts[0], encoding="utf-8")
    saved = opcov.scan(tmp_path, registry=registry)
    live = opcov.check(fx_graphs.FUNCTIONS["modules"][0], *fx_graphs.SQUARE, registry=registry)
    columns = ["node", "op", "variant", "status", "placed_region", "source_function"]  # a live graph has no lines
    assert live.nodes[columns].equals(saved.nodes[columns])


def test_a_check_can_be_written(tmp_path: Path, registry: ThunderRegistry) -> None:
    opcov.check(half_supported, torch.ones(4), registry=registry).write(out=tmp_path / "all_ops.py")
    assert "\ntorch.sinc(sin)\n" in (tmp_path / "all_ops.py").read_text(encoding="utf-8")


def test_graphs_with_one_text_are_one_body(monkeypatch: pytest.MonkeyPatch, registry: ThunderRegistry) -> None:
    (live,) = captured(half_supported, (torch.ones(4),), {})[1]
    monkeypatch.setattr("opcov.loaders.captured.captured", lambda *_: ("twice", (live, live)))
    scan = opcov.check(half_supported, registry=registry)
    assert (scan.coverage.files, len(scan.coverage.bodies), scan.coverage.counts.nodes) == (2, 1, 2)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (half_supported, "half_supported"),
        (nn.Linear(4, 4), "Linear"),
        (torch.sin, "sin"),
        (partial(torch.add, alpha=2, other=1), "partial"),
        (torch.compile(half_supported, backend="eager"), "half_supported"),
        (torch.compile(nn.Linear(4, 4), backend="eager"), "Linear"),
    ],
    ids=["function", "module", "builtin", "partial", "compiled function", "compiled module"],
)
def test_the_model_is_named_after_the_callable(function: Any, name: str, registry: ThunderRegistry) -> None:
    scan = opcov.check(function, torch.ones(2, 4), registry=registry)
    assert list(scan.coverage.models) == [name]
    assert scan.coverage.counts.nodes > 0


def test_an_exported_program_is_judged_as_it_is(registry: ThunderRegistry) -> None:
    program = torch.export.export(nn.Linear(4, 4), (torch.ones(2, 4),))
    (row,) = opcov.check(program, registry=registry).coverage.node_rows()
    assert row.node.op == "torch.ops.aten.linear.default"


def test_keyword_inputs_reach_the_callable(registry: ThunderRegistry) -> None:
    scan = opcov.check(nn.functional.softmax, torch.ones(4), dim=0, registry=registry)
    assert scan.coverage.counts.supported == 1


def test_another_judge_is_asked_when_one_is_given() -> None:
    judge = FakeRegistry({"torch.sin": Verdict(Status.UNSUPPORTED, Reason.MISSING_OP_SUPPORT, "nobody takes it")})
    scan = opcov.check(torch.sin, torch.ones(2), registry=judge)
    assert (scan.coverage.versions, scan.coverage.counts.unsupported) == ({"judge": "1.0"}, 1)


# --- what cannot be checked -------------------------------------------------------------------------------------------


def test_a_callable_that_raises_is_told_with_what_it_raised(registry: ThunderRegistry) -> None:
    with pytest.raises(opcov.UsageError, match=r"^Broken raised RuntimeError after 1 of its graphs: no such weight"):
        opcov.check(Broken(), torch.ones(4), registry=registry)


def test_a_callable_without_a_graph_is_told(registry: ThunderRegistry) -> None:
    with pytest.raises(opcov.UsageError, match="captured no graph of <lambda>"):
        opcov.check(lambda x: 3, torch.ones(4), registry=registry)


def test_what_is_no_callable_is_told(registry: ThunderRegistry) -> None:
    with pytest.raises(opcov.UsageError, match="a str is no callable"):
        opcov.check("model.py", registry=registry)


def test_a_graph_with_inputs_is_told(registry: ThunderRegistry) -> None:
    with pytest.raises(opcov.UsageError, match="give it no inputs"):
        opcov.check(torch.fx.symbolic_trace(half_supported), torch.ones(4), registry=registry)


# --- no trace in the process ------------------------------------------------------------------------------------------


def test_the_callable_can_be_checked_any_number_of_times(registry: ThunderRegistry) -> None:
    texts = {
        str(opcov.check(half_supported, torch.ones(size), registry=registry).nodes["variant"].tolist())
        for size in range(2, 2 + torch._dynamo.config.recompile_limit + 2)
    }
    assert len(texts) == 1


def test_sizes_of_an_earlier_check_do_not_make_sizes_dynamic(registry: ThunderRegistry) -> None:
    for size in (3, 4, 5):
        scan = opcov.check(half_supported, torch.ones(size), registry=registry)
        assert {row.node.evidence.value for row in scan.coverage.node_rows()} == {"meta"}


def test_a_function_compiled_before_still_works_afterwards(registry: ThunderRegistry) -> None:
    compiled = torch.compile(half_supported, backend="eager")
    expected = compiled(torch.ones(4))
    opcov.check(half_supported, torch.ones(4), registry=registry)
    assert torch.equal(compiled(torch.ones(4)), expected)


@pytest.mark.parametrize("function", [half_supported, Broken()], ids=["fine", "raising"])
def test_dynamos_configuration_and_modes_are_as_before(function: Any, registry: ThunderRegistry) -> None:
    def state() -> tuple[Any, ...]:
        modes = torch.is_grad_enabled(), torch.is_autocast_enabled("cpu"), torch.get_default_dtype()
        return *modes, torch._dynamo.config.save_config_portable(), torch.random.get_rng_state().tolist()

    before = state()
    try:
        opcov.check(function, torch.ones(4), registry=registry)
    except opcov.UsageError:
        assert isinstance(function, Broken)
    assert state() == before


def test_grad_mode_is_the_callers(registry: ThunderRegistry) -> None:
    seen: list[bool] = []

    @torch._dynamo.disable
    def look() -> None:
        seen.append(torch.is_grad_enabled())

    def function(x: torch.Tensor) -> torch.Tensor:
        look()
        return x.sin()

    opcov.check(function, torch.ones(4), registry=registry)
    with torch.no_grad():
        opcov.check(function, torch.ones(4), registry=registry)
    assert seen == [True, False]
