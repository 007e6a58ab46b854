"""The torch.compile backend that saves every graph as ThunderFX's debug runs do, and lets the run go on."""

from __future__ import annotations

import copy
import sys
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
        if self._prepare is not None:
            self._prepare(graph_module)
        try:
            record, run = _captured(session, graph_module, sample_args, eager)
        except OSError as error:
            # The run need not end for it: it is told by the record, and by the exit code.
            what = f"a graph could not be saved: {error.strerror or error}"
            _tell(what)
            session.note_failure(what)
            return eager.forward
        return _counted(record, run)


def opcov(graph_module: torch.fx.GraphModule, sample_args: Sequence[Any], **options: Any) -> Runner:
    """The backend that torch.compile finds under the name `opcov`."""
    return Backend()(graph_module, sample_args, **options)


def _captured(
    session: Session, graph_module: torch.fx.GraphModule, sample_args: Sequence[Any], eager: torch.fx.GraphModule
) -> tuple[GraphRecord, Runner]:
    graph_module = prepared(graph_module)
    calls = sum(node.op.startswith("call_") for node in graph_module.graph.nodes)
    record = session.save_before(unsplit_text(graph_module), calls)
    found = verdicts(graph_module) if session.setting.keeps_verdicts else []
    record.verdicts = session.verdicts(found)
    start = time.perf_counter()
    try:
        run: Runner = eager.forward
        if session.setting.run == "thunderfx":
            parts, places, run = compiled_by_thunderfx(graph_module, sample_args)
        else:
            parts, places = split(graph_module, sample_args)
    except Exception as error:  # whatever it raises, a run with ThunderFX ends here
        record.crash = f"{type(error).__name__}: {error}"
        session.flush()
        if session.setting.stops:
            raise
        traceback.print_exc()
        _tell(f"Thunder's splitter raised on {record.file}; it is run eagerly")
        return record, eager.forward
    if not session.setting.reproducible:
        record.seconds = round(time.perf_counter() - start, 4)
    for verdict in found:
        verdict.partition = places[verdict.name]
    session.save_split(record, split_text(parts, record.rank, record.index))
    session.flush()
    return record, run


def _counted(record: GraphRecord, run: Runner) -> Runner:
    """What runs a graph, and counts how often it does; the record is written when the process ends."""

    def counted(*args: Any, **kwargs: Any) -> Any:
        record.calls += 1
        return run(*args, **kwargs)

    return counted


def _tell(what: str) -> None:
    """Says something on the stream of errors, which is part of the run log."""
    sys.stderr.write(f"opcov: {what}\n")
    sys.stderr.flush()
