"""How far a model's graphs can be trusted to be all of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from opcov.corpus import Model, discover
from opcov.corpus.health import Diagnosis, Health, diagnose
from opcov.graphfile import GraphFile
from opcov.loaders import available
from opcov.loaders.runlog import RunException, RunLog, read_run_log
from opcov.problems import Problem, Slug


def ranked(rank: int, index: int, problem: Problem | None = None) -> GraphFile:
    return GraphFile(f"m/rank{rank}_{index}.py", rank, index, None, "d", 1, problem)


def unsplit(number: int) -> GraphFile:
    return GraphFile(f"m/graph_module_{number}.py", None, None, None, "d", 1)


def model(*files: GraphFile, whole: bool = True) -> Model:
    return Model("m", files, whole=whole)


def reasons(files: list[GraphFile], run_log: RunLog | None = None) -> tuple[str, ...]:
    diagnosis = diagnose(model(*files), run_log)
    assert diagnosis.health is Health.PARTIAL
    return diagnosis.reasons


def before_the_split(rank: int, index: int) -> GraphFile:
    return GraphFile(f"m/graph_module_{rank}_{index}.py", rank, index, None, "d", 1)


FULL = [ranked(rank, index) for rank in range(2) for index in range(3)]


@pytest.mark.parametrize(
    "run_log",
    [
        None,
        RunLog(),  # a log that says nothing
        RunLog(finished=True, expected_ranks=2, ranks_seen=(0, 1)),
        RunLog(listed_files=("log.txt", *(file.name for file in FULL))),
    ],
)
def test_a_model_with_all_its_graphs_is_ok(run_log: RunLog | None) -> None:
    assert diagnose(model(*FULL), run_log) == Diagnosis(Health.OK)


def test_a_graph_that_was_never_split_is_there_where_its_name_tells_which_it_is() -> None:
    assert diagnose(model(before_the_split(0, 0), ranked(0, 1)), None) == Diagnosis(Health.OK)
    assert reasons([before_the_split(0, 1), ranked(0, 2)]) == ("graph 0 missing",)


def test_a_model_without_graphs_is_failed_and_says_why() -> None:
    log = RunLog(RunException("KeyError", "1", None, 4), tracebacks=4, finished=False)
    assert diagnose(model(), log) == Diagnosis(
        Health.FAILED, ("no graphs", "4 tracebacks in the run log, the last: KeyError: 1")
    )


def test_a_model_without_graphs_is_failed_even_if_its_run_finished() -> None:
    assert diagnose(model(), RunLog(finished=True)).health is Health.FAILED


def test_a_model_whose_graphs_cannot_be_read_is_failed() -> None:
    problem = Problem("m/rank0_0.py", 0, Slug.UNREADABLE, "the file cannot be read")
    assert diagnose(model(ranked(0, 0, problem)), None) == Diagnosis(
        Health.FAILED, ("no graphs", "cannot be read: rank0_0.py")
    )


def test_tracebacks_make_a_model_partial_even_if_the_run_finished() -> None:
    assert reasons(FULL, RunLog(tracebacks=1, finished=True)) == ("1 traceback in the run log",)


def test_a_run_that_ended_without_a_word_makes_a_model_partial() -> None:
    assert reasons(FULL, RunLog(finished=False)) == ("the run did not finish",)


def test_an_unreadable_graph_makes_a_model_partial() -> None:
    problem = Problem("m/rank0_1.py", 0, Slug.UNREADABLE, "the file cannot be read")
    assert reasons([ranked(0, 0), ranked(0, 1, problem)]) == ("cannot be read: rank0_1.py",)


@pytest.mark.parametrize("run_log", [RunLog(expected_ranks=4), RunLog(ranks_seen=(0, 3))])
def test_a_rank_that_the_log_speaks_of_must_have_graphs(run_log: RunLog) -> None:
    assert reasons(FULL, run_log) == ("no graphs of ranks 2-3 of 4",)


def test_a_rank_below_another_must_have_graphs() -> None:
    assert reasons([ranked(0, 0), ranked(2, 0)]) == ("no graphs of rank 1 of 3",)


def test_graphs_saved_before_the_split_have_no_rank_to_miss() -> None:
    assert diagnose(model(unsplit(1), unsplit(2)), RunLog(expected_ranks=4)).health is Health.OK


def test_an_index_that_no_rank_has_is_a_gap() -> None:
    assert reasons([ranked(rank, index) for rank in range(2) for index in (0, 2)]) == ("graph 1 missing",)


def test_a_rank_that_has_fewer_graphs_than_another_lacks_them() -> None:
    assert reasons([*FULL, ranked(0, 3), ranked(0, 4)]) == ("rank 1 lacks graphs 3-4",)


def test_only_the_first_gaps_are_named() -> None:
    files = [ranked(0, index) for index in range(0, 12, 2)]
    assert reasons(files) == ("graphs 1, 3, 5 and 2 more missing",)


def test_an_absurd_index_or_rank_costs_no_time() -> None:
    files = [ranked(0, 0), ranked(0, 10**200), ranked(10**200, 0)]
    assert len(reasons(files, RunLog(expected_ranks=999_999))) == 2


def test_graphs_that_the_log_lists_must_be_there() -> None:
    listed = ("log.txt", "notes.py", *(f"rank0_{index}.py" for index in (10, 9, 2, 1, 0)))
    # In natural order; what is no graph by name is no matter.
    assert reasons([ranked(0, 0)], RunLog(listed_files=listed)) == (
        "listed in the run log, but not there: rank0_1.py, rank0_2.py, rank0_9.py and 1 more",
    )


def test_a_failed_model_says_which_graphs_were_lost() -> None:
    assert diagnose(model(), RunLog(listed_files=("rank0_0.py",))).reasons == (
        "no graphs",
        "listed in the run log, but not there: rank0_0.py",
    )


def test_graphs_that_are_in_no_list_come_from_another_run() -> None:
    assert reasons(FULL, RunLog(listed_files=("log.txt",))) == (
        "no graph is in the list of the run log: they come from another run",
    )


def test_of_one_file_that_was_asked_for_no_others_are_missed() -> None:
    assert diagnose(model(ranked(3, 5), whole=False), None).health is Health.OK


def test_the_measured_models_are_as_healthy_as_their_logs_say(shared: Path) -> None:
    corpus = discover(shared / "gm", available())
    found = {}
    for entry in corpus.models:
        assert entry.log_location is not None
        found[entry.name] = diagnose(entry, read_run_log(corpus.root / entry.log_location)).health
    # 7 of 17 logs hold tracebacks, one of them belongs to the model without graphs.
    assert Counter(found.values()) == {Health.OK: 10, Health.PARTIAL: 6, Health.FAILED: 1}
