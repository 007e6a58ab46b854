"""The torch.compile backend that saves every graph as ThunderFX's debug runs do, and lets the run go on."""

from __future__ import annotations

import copy
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import torch

from opcov.capturing.printing import split_text, unsplit_text
from opcov.capturing.records import GraphRecord
from opcov.capturing.session import Session, current
from opcov.capturing.splitting import compiled_by_thunderfx, prepared, split, verdicts

Runner = Callable[..., Any]


class Backend:
    """`torch.compile(model, backend=Backend())`; `backend="opcov"` is one without a transformation.

    Each graph is saved before Thunder's splitter sees it, and replaced by the split one when that has come to its end.
    """

    saves_graphs = True

    def __init__(self, prepare: Callable[[torch.fx.GraphModule], None] | None = None) -> None:
        """Keeps the transformation.

        Args:
            prepare: changes a graph, in place, before it is saved and Thunder sees it; what runs is the graph as Dynamo
                made it.
        """
        self._prepare = prepare

    def __call__(self, graph_module: torch.fx.GraphModule, sample_args: Sequence[Any], **_: Any) -> Runner:
        """Saves a graph.

        Args:
            graph_module: what Dynamo made.
            sample_args: its inputs, fake or symbolic.

        Returns:
            What runs it.

        Raises:
            UsageError: nothing says where to save it.
            Exception: what Thunder's splitter raised, where the run is to end with it.
        """
        session = current()
        eager = copy.deepcopy(graph_module)
        prepare = self._prepare or session.prepare
        if prepare is not None:
            prepare(graph_module)
        session.note_device(_device(sample_args))
        try:
            graph_module = prepared(graph_module)
            record = _saved(session, graph_module)
        except Exception as error:  # noqa: BLE001 - the run need not end for it: the record and the exit code tell
            _note(session, "a graph could not be saved", error)
            return eager.forward
        return _counted(session, record, _split(session, graph_module, sample_args, eager, record, prepare is None))


def opcov(graph_module: torch.fx.GraphModule, sample_args: Sequence[Any], **options: Any) -> Runner:
    """The backend that torch.compile finds under the name `opcov`."""
    return Backend()(graph_module, sample_args, **options)


def _saved(session: Session, graph_module: torch.fx.GraphModule) -> GraphRecord:
    calls = sum(node.op.startswith("call_") for node in graph_module.graph.nodes)
    return session.save_before(unsplit_text(graph_module), calls)


def _split(
    session: Session,
    graph_module: torch.fx.GraphModule,
    sample_args: Sequence[Any],
    eager: torch.fx.GraphModule,
    record: GraphRecord,
    eager_is_saved: bool,
) -> Runner:
    """Splits a graph that is saved, and saves it anew.

    Args:
        session: of this process.
        graph_module: the graph as it was saved.
        sample_args: its inputs.
        eager: the graph that is to run.
        record: of the graph.
        eager_is_saved: whether both are the same graph.

    Returns:
        What runs it.

    Raises:
        Exception: what Thunder's splitter raised, where the run is to end with it; what ThunderFX raised, where it is
            to run the graph.
    """
    found = verdicts(graph_module) if session.setting.keeps_verdicts else []
    record.verdicts = session.verdicts(found)
    start = time.perf_counter()
    try:
        parts, places = split(graph_module, sample_args)
    except Exception as error:  # whatever it raises, a run with ThunderFX ends here
        record.crash = session.shown(f"{type(error).__name__}: {error}")
        session.flush()
        if session.setting.stops:
            raise
        session.say(traceback.format_exc())
        session.say(f"opcov: Thunder's splitter raised on {record.file}; it is run eagerly\n")
        return eager.forward
    if not session.setting.reproducible:
        record.seconds = round(time.perf_counter() - start, 4)
    for verdict in found:
        verdict.partition = places.get(verdict.name)
    try:
        session.save_split(record, split_text(parts, record.rank, record.index))
    except Exception as error:  # noqa: BLE001 - as above
        _note(session, f"{record.file} could not be replaced by the split graph", error)
    if session.setting.run != "thunderfx":
        return eager.forward
    _, others, run = compiled_by_thunderfx(eager, sample_args)
    if others != places and eager_is_saved:
        _note(session, record.file, RuntimeError("ThunderFX places nodes otherwise than its splitter alone"))
    return run


def _device(sample_args: Sequence[Any]) -> str:
    """Where a graph runs."""
    return next((str(value.device) for value in sample_args if isinstance(value, torch.Tensor)), "")


def _counted(session: Session, record: GraphRecord, run: Runner) -> Runner:
    """What runs a graph, and counts how often it does."""

    def counted(*args: Any, **kwargs: Any) -> Any:
        session.count(record)
        return run(*args, **kwargs)

    return counted


def _note(session: Session, what: str, error: Exception) -> None:
    """Records that something could not be saved, and says it in the run log."""
    if isinstance(error, OSError):
        what = f"{what}: {error.strerror or error}"
    else:
        session.say(traceback.format_exc())
        what = f"{what}: {type(error).__name__}: {error}"
    session.say(f"opcov: {what}\n")
    session.note_failure(what)
