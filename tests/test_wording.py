"""Short texts: file names that a shell expands again, sources, single lines."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from building import FakeRegistry, graph_text, write_corpus
from hypothesis import given, settings
from hypothesis import strategies as st

from opcov.corpus import discover
from opcov.engine import InProcess, scan_corpus
from opcov.graphfile import printable
from opcov.loaders import available
from opcov.wording import fold_files, one_line, short_source, source_place, unfold_files


def expand(folded: list[str]) -> list[bytes]:
    """The names that bash makes of a fold."""
    command = "printf '%s\\0' " + " ".join(folded)
    result = subprocess.run(["bash", "-c", command], capture_output=True, check=True)
    return result.stdout.split(b"\0")[:-1]


def test_fold_joins_ranks_that_have_the_same_indices() -> None:
    paths = [f"org/model/rank{rank}_{index}.py" for rank in range(4) for index in (0, 21)]
    assert fold_files(paths) == ["org/model/rank{0,1,2,3}_{0,21}.py"]


def test_fold_never_names_a_file_that_is_not_there() -> None:
    # rank 1 lacks graph 1, so {0,1}_{0,1} would name a file too many.
    paths = ["m/rank0_0.py", "m/rank0_1.py", "m/rank1_0.py"]
    assert fold_files(paths) == ["m/rank0_{0,1}.py", "m/rank1_0.py"]


def test_fold_keeps_numbers_with_leading_zeros_apart() -> None:
    assert fold_files(["m/rank0_01.py", "m/rank0_1.py"]) == ["m/rank0_01.py", "m/rank0_1.py"]


def test_fold_joins_graphs_saved_before_the_split() -> None:
    assert fold_files(["m/graph_module_12.py", "m/graph_module_7.py"]) == ["m/graph_module_{7,12}.py"]


@settings(max_examples=30, deadline=None)
@given(
    st.sets(
        st.builds(
            "{}/{}".format,
            st.sampled_from(["m", "a b", "it's", "$HOME", "{x,y}", "`id`", "ä/日本", "~", "-n", "a*b", "a\\\\b"]),
            st.one_of(
                st.builds("rank{}_{}.py".format, st.integers(0, 3), st.integers(0, 3)),
                st.builds("graph_module_{}.py".format, st.integers(0, 3)),
                st.just("other.py"),
            ),
        ),
        min_size=1,
    )
)
def test_fold_expands_in_bash_to_exactly_the_files(paths: set[str]) -> None:
    # A path of the corpus has each backslash doubled.
    assert sorted(expand(fold_files(paths))) == sorted(path.replace("\\\\", "\\").encode() for path in paths)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_strangest_names_on_disk_come_back_from_bash(tmp_path: Path) -> None:
    names = [b"new\nline", b"tab\there", b"back\\slash", b"q\"u'o", b"\xff\xfe raw", "zero\u200bwidth".encode()]
    for name in names:
        folder = os.fsencode(tmp_path) + b"/" + name
        os.mkdir(folder)  # noqa: PTH102 - a name that is no text
        for rank in range(2):
            Path(os.fsdecode(folder + b"/rank%d_0.py" % rank)).write_text(graph_text("a = torch.relu(x)"))
    paths = [row.file.path for row in scan_corpus(discover(tmp_path, available()), InProcess(FakeRegistry)).file_rows()]
    assert all(path.isprintable() for path in paths)
    assert sorted(expand(fold_files(paths))) == sorted(name + b"/rank%d_0.py" % r for name in names for r in range(2))


@pytest.mark.parametrize(
    ("recorded", "short"),
    [
        ("/usr/lib/python3.11/site-packages/torch/nn/functional.py", "torch/nn/functional.py"),
        ("/sgl-workspace/sglang/python/sglang/srt/x.py", "sglang/srt/x.py"),
        ("model.py", "model.py"),
        ("/opt/net.py", "/opt/net.py"),  # no library prefix to cut
    ],
)
def test_library_prefix_of_a_source_is_cut(recorded: str, short: str) -> None:
    assert short_source(recorded) == short


def test_source_names_only_what_is_known() -> None:
    assert source_place("a.py", 3, "f") == "a.py:3 in f"
    assert source_place("a.py", 3, "") == "a.py:3"
    assert source_place("a.py", 0, "") == "a.py"


def test_one_line_drops_what_a_terminal_would_act_on() -> None:
    assert one_line("a\n\x1b[31mb\u2028c\td") == "a [31mb c d"


def test_small_corpus_folds_in_the_order_of_its_first_files(tmp_path: Path) -> None:
    write_corpus(tmp_path, {f"m/rank{r}_{i}.py": graph_text("a = torch.relu(x)") for r, i in ((0, 2), (0, 10), (1, 3))})
    paths = [file.path for file in discover(tmp_path, available()).files]
    assert fold_files(paths) == ["m/rank0_{2,10}.py", "m/rank1_3.py"]


@given(
    st.lists(
        st.builds(
            lambda folder, name: f"{printable(folder)}/{name}",
            st.text("ab {}'\"$,\\\n\u00e4\u2028", min_size=1, max_size=8),
            st.builds("rank{}_{}.py".format, st.integers(0, 2), st.integers(0, 12))
            | st.builds("graph_module_{}.py".format, st.integers(0, 3))
            | st.sampled_from(["model.pt2", "module.py"]),
        ),
        unique=True,
    )
)
def test_fold_unfolds_to_the_same_paths(paths: list[str]) -> None:
    assert sorted(path for folded in fold_files(paths) for path in unfold_files(folded)) == sorted(paths)


@pytest.mark.parametrize("text", ["it's/rank0_1.py", "$HOME/rank0_1.py", "{0,1}" * 40], ids=["quote", "dollar", "bomb"])
def test_what_no_fold_looks_like_stays_as_it_is(text: str) -> None:
    assert unfold_files(text) == [text]
