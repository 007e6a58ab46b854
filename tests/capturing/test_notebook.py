"""`opcov.capture` saves what is compiled inside its block, and tells of however the block ends."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import fx_graphs
import pytest
import torch
from capture_runs import found
from torch import fx

import opcov
from opcov.capturing.backend import Backend
from opcov.corpus.health import Health
from opcov.graph import Form, Graph, Kind
from opcov.loaders import load_text
from opcov.loaders.live import graph_of
from opcov.problems import OutputError, UsageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "gm" / "org" / "model"


def shifted(x: Any) -> Any:
    return torch.sinc(x) + 1


def ops(path: Path) -> list[str]:
    (graph,), _ = load_text(path.read_text(encoding="utf-8"))
    return [call.op for call in graph.calls]


def test_what_was_compiled_before_is_captured_inside_and_runs_as_before_afterwards(folder: Path) -> None:
    seen = []

    def own(module: fx.GraphModule, _inputs: Any) -> Any:
        seen.append(module)
        return module.forward

    compiled = torch.compile(shifted, backend=own)
    compiled(torch.ones(2))
    with opcov.capture(folder, about="a test"):
        compiled(torch.ones(2))
        compiled(torch.ones(2))
        assert len(seen) == 1
    compiled(torch.ones(2))
    left = found(folder)
    assert len(seen) == 2
    assert left.record is not None
    assert (left.status, left.others, left.record.about) == ("ok", (), "a test")
    assert [(graph.file, graph.calls) for graph in left.record.parts[0].graphs] == [("rank0_0.py", 2)]
    assert left.diagnosis.health is Health.OK
    assert ops(folder / "rank0_0.py") == ["torch.sinc", "operator.add"]


def test_what_is_printed_inside_is_shown_and_kept(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (sys.stdout, sys.stderr)
    with opcov.capture(folder):
        sys.stdout.write("one")
        sys.stderr.write("two\n")
        torch.compile(shifted)(torch.ones(2))
    assert (sys.stdout, sys.stderr) == before
    assert capsys.readouterr() == ("one", "two\n")
    assert "tp_size=1\nonetwo\n" in found(folder).log


def test_an_exception_goes_on_and_is_told(folder: Path) -> None:
    with pytest.raises(KeyError, match="no such weight"), opcov.capture(folder):
        torch.compile(shifted)(torch.ones(2))
        raise KeyError("no such weight")
    left = found(folder)
    assert (left.names, left.status, left.failures) == (("rank0_0.py",), "failed", ["it raised KeyError"])
    assert "Traceback (most recent call last):" in left.log
    assert "1 traceback in the run log, the last: KeyError: 'no such weight'" in left.diagnosis.reasons


def test_an_exception_leaves_nothing_diverted(folder: Path) -> None:
    with pytest.raises(KeyboardInterrupt), opcov.capture(folder):
        raise KeyboardInterrupt
    torch.compile(shifted, backend="eager")(torch.ones(2))
    assert found(folder).names == ()


def test_a_block_that_compiles_nothing_is_an_error(folder: Path) -> None:
    with pytest.raises(OutputError, match="rank 0 saved no graph"), opcov.capture(folder):
        shifted(torch.ones(2))
    assert found(folder).status == "failed"


def test_a_capture_inside_a_capture_is_an_error(folder: Path) -> None:
    with opcov.capture(folder):
        torch.compile(shifted)(torch.ones(2))
        with pytest.raises(UsageError, match="there can be only one"), opcov.capture(folder.parent / "other"):
            pass
    assert not (folder.parent / "other").exists()
    assert found(folder).status == "ok"


def test_one_capture_after_another_starts_anew(folder: Path) -> None:
    for value in (2, 3):
        with opcov.capture(folder):
            torch.compile(shifted)(torch.ones(value))
    (name,) = found(folder).names
    assert "f32[3]" in (folder / name).read_text()


def test_the_graph_that_is_saved_can_be_changed_and_the_one_that_runs_is_not(folder: Path) -> None:
    def prepare(module: fx.GraphModule) -> None:
        for node in module.graph.nodes:
            if node.target is torch.sinc:
                node.target = torch.sin

    with opcov.capture(folder, prepare=prepare):
        result = torch.compile(shifted)(torch.ones(2) / 2)
    assert torch.equal(result, shifted(torch.ones(2) / 2))
    assert ops(folder / "rank0_0.py") == ["torch.sin", "operator.add"]


def test_a_way_to_run_that_does_not_exist_is_an_error(folder: Path) -> None:
    with pytest.raises(UsageError, match="neither eager nor thunderfx"), opcov.capture(folder, run="fast"):
        pass
    assert not folder.exists()


def lost(module: fx.GraphModule) -> None:
    """Makes a graph one on which Thunder's splitter raises."""
    for node in module.graph.nodes:
        if node.target is torch.sinc:
            node.op, node.target = "call_method", "no_such_method"


def test_a_crash_of_the_splitter_keeps_the_graph_and_makes_the_model_partial(folder: Path) -> None:
    with opcov.capture(folder, prepare=lost):
        torch.compile(shifted)(torch.ones(2))
    left = found(folder)
    assert (left.names, left.status) == (("graph_module_0_0.py",), "ok")
    assert left.diagnosis.health is Health.PARTIAL
    assert "Failed to find method no_such_method" in left.diagnosis.reasons[0]


def test_a_crash_of_the_splitter_is_raised_where_that_is_asked_for(folder: Path) -> None:
    message = "Failed to find method no_such_method"
    with pytest.raises(Exception, match=message), opcov.capture(folder, prepare=lost, stop_on_crash=True):
        torch.compile(shifted)(torch.ones(2))
    left = found(folder)
    assert (left.names, left.status) == (("graph_module_0_0.py",), "failed")


# --- the backend ------------------------------------------------------------------------------------------------------


def test_the_backend_is_known_to_torch_by_its_name(folder: Path) -> None:
    compiled = torch.compile(shifted, backend="opcov")
    with opcov.capture(folder):
        compiled(torch.ones(2))
    left = found(folder)
    assert left.names == ("rank0_0.py",)
    assert left.record is not None
    assert left.record.parts[0].replaced == []


def test_the_backend_says_outside_of_a_capture_what_it_needs() -> None:
    torch._dynamo.reset()
    with pytest.raises(Exception, match="nothing says where to capture: use `opcov capture script`"):
        torch.compile(shifted, backend="opcov")(torch.ones(2))


def test_a_backend_of_the_programs_own_is_left_alone_and_used(folder: Path) -> None:
    prepared: list[list[str]] = []

    def note(module: fx.GraphModule) -> None:
        prepared.append([str(node.target) for node in module.graph.nodes if node.op == "call_function"])

    with opcov.capture(folder):
        torch.compile(shifted, backend=Backend(prepare=note))(torch.ones(2))
    left = found(folder)
    assert len(prepared) == 1
    assert left.record is not None
    assert (left.names, left.record.parts[0].replaced) == (("rank0_0.py",), [])


def test_a_graph_that_cannot_be_printed_is_told_and_the_run_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_module: Any) -> str:
        raise RuntimeError("no text")

    monkeypatch.setattr("opcov.capturing.backend.unsplit_text", fails)
    with pytest.raises(OutputError, match="a graph could not be saved: RuntimeError: no text"), opcov.capture(folder):
        assert torch.equal(torch.compile(shifted)(torch.ones(2)), shifted(torch.ones(2)))
    assert found(folder).status == "failed"


def test_a_split_graph_that_cannot_be_printed_stays_as_it_was_before(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> str:
        raise RuntimeError("no text")

    monkeypatch.setattr("opcov.capturing.backend.split_text", fails)
    with pytest.raises(OutputError, match="could not be replaced by the split graph"), opcov.capture(folder):
        torch.compile(shifted)(torch.ones(2))
    assert found(folder).names == ("graph_module_0_0.py",)


# --- what a scan makes of it ------------------------------------------------------------------------------------------


class Block(torch.nn.Module):
    """Regions of both compilers, a tuple, a context, symbolic sizes and a graph break."""

    def __init__(self) -> None:
        super().__init__()
        self.up = torch.nn.Linear(4, 8)

    def forward(self, x: Any) -> Any:
        with torch.no_grad():
            scale = torch.sinc(x).amax(-1, keepdim=True)
        values, _ = torch.sort(self.up(x) * scale)
        torch._dynamo.graph_break()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return torch.sinc(torch.nn.functional.gelu(values @ values.T)).float().flip(0)


def test_a_scan_places_every_node_as_thunders_splitter_did(folder: Path) -> None:
    live = []

    def keep(module: fx.GraphModule) -> None:
        live.append(graph_of(module))

    # Whether values require grad is in no file, and Thunder's check may depend on it: this is inference, the default.
    with opcov.capture(folder, prepare=keep, verdicts=True), torch.no_grad():
        compiled = torch.compile(Block())
        compiled(torch.ones(2, 4))
        compiled(torch.ones(3, 4))
    left = found(folder)
    assert left.record is not None
    graphs = left.record.parts[0].graphs
    assert len(graphs) == len(live) >= 4
    rows = opcov.scan(folder, cache=False).nodes
    for graph, alive in zip(graphs, live, strict=True):
        assert graph.verdicts is not None
        of_graph = rows[rows.file.str.endswith(graph.file)]
        placed = dict(zip(of_graph.node, of_graph.placed_region, strict=True))
        assert placed == {verdict.name: verdict.partition for verdict in graph.verdicts}
        (loaded,), problems = load_text((folder / graph.file).read_text(encoding="utf-8"))
        assert problems == ()
        assert fx_graphs.differences(as_a_file_holds_it(loaded), as_a_file_holds_it(alive)) == []


def as_a_file_holds_it(graph: Graph) -> Graph:
    """A graph without what a split file and a live graph tell differently.

    That is regions, requires_grad, and the names of arguments: torch's split_module takes those of their nodes.
    """
    nodes = tuple(
        replace(node, region=None, target=node.name if node.kind is Kind.PLACEHOLDER else node.target)
        for node in graph.nodes
    )
    return fx_graphs.as_text_holds_it(replace(graph, form=Form.UNSPLIT, regions=(), nodes=nodes))
