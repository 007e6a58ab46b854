"""Finding models and graph files in a tree, whatever state the tree is in."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest

from opcov import graphfile as graphfile_module
from opcov.corpus import Corpus, discover
from opcov.graph import Form
from opcov.graphfile import GraphFile, natural_key, read_body
from opcov.loaders import available
from opcov.problems import Slug, UsageError

BODY = "\nclass GraphModule(torch.nn.Module):\n    def forward(self):\n        return ()\n"


def write(root: Path, *paths: str, text: str = BODY) -> None:
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def names(corpus: Corpus) -> list[str]:
    return [model.name for model in corpus.models]


def paths(corpus: Corpus) -> list[str]:
    return [file.path for file in corpus.files]


def slugs(corpus: Corpus) -> list[tuple[str, Slug]]:
    return [(problem.file, problem.slug) for problem in corpus.problems]


def only_file(corpus: Corpus) -> GraphFile:
    (file,) = corpus.files
    return file


# --- what is a model, what is a graph ---------------------------------------------------------------------------------


def test_a_model_is_named_by_its_path_from_the_root(tmp_path: Path) -> None:
    write(tmp_path, "org/model/rank0_0.py", "other/deep/er/rank0_0.py")
    assert names(discover(tmp_path, available())) == ["org/model", "other/deep/er"]


def test_a_root_that_holds_graphs_itself_is_named_after_its_own_folder(tmp_path: Path) -> None:
    write(tmp_path / "Qwen3", "rank0_0.py")
    assert names(discover(tmp_path / "Qwen3", available())) == ["Qwen3"]


def test_a_root_given_as_the_current_folder_is_named_after_that_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "Qwen3", "rank0_0.py")
    monkeypatch.chdir(tmp_path / "Qwen3")
    assert names(discover(".", available())) == ["Qwen3"]


def test_a_root_whose_name_a_model_below_it_has_is_named_by_a_dot(tmp_path: Path) -> None:
    write(tmp_path / "gm", "rank0_0.py", "gm/rank0_0.py")
    assert names(discover(tmp_path / "gm", available())) == [".", "gm"]


def test_a_folder_with_a_run_log_only_is_a_model(tmp_path: Path) -> None:
    write(tmp_path, "org/failed/log.txt", text="no graphs here")
    (model,) = discover(tmp_path, available()).models
    assert (model.name, model.files, model.run_log) == ("org/failed", (), "org/failed/log.txt")


def test_a_folder_without_graphs_is_no_model(tmp_path: Path) -> None:
    write(tmp_path, "org/model/rank0_0.py")
    write(tmp_path, "org/notes/readme.txt", "org/code/run.py", text="print('hello')\n")
    assert names(discover(tmp_path, available())) == ["org/model"]


def test_a_ranked_file_says_rank_index_and_form_by_its_name(tmp_path: Path) -> None:
    write(tmp_path, "m/rank3_21.py")
    file = only_file(discover(tmp_path, available()))
    assert (file.path, file.name, file.rank, file.index, file.form) == (
        "m/rank3_21.py",
        "rank3_21.py",
        3,
        21,
        Form.SPLIT,
    )


def test_a_graph_module_file_with_two_numbers_tells_rank_and_number(tmp_path: Path) -> None:
    write(tmp_path, "m/graph_module_3_12.py")
    file = only_file(discover(tmp_path, available()))
    assert (file.rank, file.index, file.form) == (3, 12, Form.UNSPLIT)


def test_a_graph_module_file_is_unsplit_and_has_no_rank(tmp_path: Path) -> None:
    write(tmp_path, "m/graph_module_36912.py")
    file = only_file(discover(tmp_path, available()))
    assert (file.rank, file.index, file.form) == (None, None, Form.UNSPLIT)


@pytest.mark.parametrize("head", ["class GraphModule(torch.nn.Module):", "class <lambda>(torch.nn.Module):"])
def test_any_python_file_that_holds_a_printed_module_is_a_graph(tmp_path: Path, head: str) -> None:
    # Both are what print_readable writes: for a Dynamo graph and for one of make_fx.
    write(tmp_path, "m/decode.py", text=f"import torch\n\n{head}\n    pass\n")
    file = only_file(discover(tmp_path, available()))
    assert (file.path, file.form) == ("m/decode.py", None)


@pytest.mark.parametrize(
    "text",
    [
        "print('class GraphModule(torch.nn.Module):')\n",  # only a string
        "class GraphModuleError(Exception):\n    pass\n",  # another class
        "class Model(torch.nn.Module):\n    pass\n",  # hand-written code
    ],
)
def test_other_python_files_are_no_graphs(tmp_path: Path, text: str) -> None:
    write(tmp_path, "m/rank0_0.py")
    write(tmp_path, "m/run.py", text=text)
    assert paths(discover(tmp_path, available())) == ["m/rank0_0.py"]


def test_an_earlier_result_is_no_graph_even_if_it_holds_a_module(tmp_path: Path) -> None:
    write(tmp_path, "all_ops.py", "m/all_ops.py", "m/rank0_0.py")
    assert paths(discover(tmp_path, available())) == ["m/rank0_0.py"]


@pytest.mark.parametrize("content", [b"", b"\x00\xff\xfe\x80" * 100])
def test_a_file_named_like_a_graph_is_one_whatever_it_holds(tmp_path: Path, content: bytes) -> None:
    # It must end up as a row with a problem; that is for the loader to find out.
    (tmp_path / "rank0_0.py").write_bytes(content)
    file = only_file(discover(tmp_path, available()))
    assert (file.size, file.problem) == (len(content), None)


def test_hidden_folders_are_not_entered(tmp_path: Path) -> None:
    write(tmp_path, "m/rank0_0.py", ".git/rank0_0.py", ".venv/torch/rank0_0.py", "m/__pycache__/rank0_0.py")
    assert paths(discover(tmp_path, available())) == ["m/rank0_0.py"]


def test_one_file_is_a_model_named_after_its_folder(tmp_path: Path) -> None:
    write(tmp_path, "m/rank0_0.py", "m/rank0_1.py")
    corpus = discover(tmp_path / "m" / "rank0_1.py", available())
    (model,) = corpus.models
    assert (model.name, model.whole, paths(corpus)) == ("m", False, ["rank0_1.py"])


def test_one_run_log_is_a_model_without_graphs(tmp_path: Path) -> None:
    write(tmp_path, "m/log.txt", "m/rank0_0.py")
    (model,) = discover(tmp_path / "m" / "log.txt", available()).models
    assert (model.name, model.run_log, model.files) == ("m", "log.txt", ())


def test_a_file_asked_for_by_name_is_a_graph_under_any_name(tmp_path: Path) -> None:
    write(tmp_path, "m/dump.txt")
    assert paths(discover(tmp_path / "m" / "dump.txt", available())) == ["dump.txt"]


# --- order ------------------------------------------------------------------------------------------------------------


def test_numbers_are_ordered_by_value(tmp_path: Path) -> None:
    write(tmp_path, "m/rank0_10.py", "m/rank0_2.py", "m/rank10_0.py", "m/rank2_0.py")
    assert paths(discover(tmp_path, available())) == ["m/rank0_2.py", "m/rank0_10.py", "m/rank2_0.py", "m/rank10_0.py"]


def test_models_are_ordered_folder_by_folder() -> None:
    # As plain text "a-b/c" comes before "a/b", which would tear a's models apart.
    assert sorted(["a-b/c", "a/z", "a/b"], key=natural_key) == ["a/b", "a/z", "a-b/c"]


def test_names_that_differ_in_leading_zeros_only_have_a_fixed_order() -> None:
    assert natural_key("rank0_01.py") < natural_key("rank0_1.py")


def test_names_with_very_many_digits_can_be_ordered() -> None:
    # 200 digits are possible in a file name and more than a machine integer holds.
    assert natural_key("rank0_" + "9" * 200) > natural_key("rank0_10")


def test_the_result_does_not_depend_on_the_order_of_the_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(
        tmp_path, *(f"{org}/m{number}/rank0_{index}.py" for org in "ab" for number in (2, 10) for index in (1, 10, 2))
    )
    (tmp_path / "a" / "link").symlink_to(tmp_path / "b" / "m2")
    expected = discover(tmp_path, available())
    scandir = os.scandir

    class Shuffled:
        def __init__(self, path: str) -> None:
            with scandir(path) as listing:
                self.entries = list(listing)
            random.Random(7).shuffle(self.entries)

        def __enter__(self) -> list[os.DirEntry[str]]:
            return self.entries

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(os, "scandir", Shuffled)
    assert discover(tmp_path, available()) == expected


def test_a_copy_in_another_place_gives_an_equal_corpus(tmp_path: Path) -> None:
    write(tmp_path, "one/org/model/rank0_0.py", "one/org/model/log.txt", "one/b/graph_module_1.py")
    (tmp_path / "one" / "b" / "rank0_0.py").symlink_to("nowhere.py")
    shutil.copytree(tmp_path / "one", tmp_path / "two", symlinks=True)
    assert discover(tmp_path / "one", available()) == discover(tmp_path / "two", available())


# --- bodies -----------------------------------------------------------------------------------------------------------


def digest(tmp_path: Path, content: bytes) -> str:
    file = tmp_path / "rank0_0.py"
    file.write_bytes(content)
    return only_file(discover(file, available())).digest


@pytest.mark.parametrize(
    "content",
    [
        b"# Rank: 3, Graph 17\nx = 1\ny = 2\n",
        b"# Rank: 3, Graph 17\r\nx = 1\r\ny = 2\r\n",
        b"\xef\xbb\xbf# Rank: 0, Graph 0\nx = 1\ny = 2\n",
        b"x = 1\r\ny = 2\r\n",
    ],
)
def test_rank_comment_line_ends_and_byte_order_mark_do_not_change_the_digest(tmp_path: Path, content: bytes) -> None:
    assert digest(tmp_path, content) == digest(tmp_path, b"x = 1\ny = 2\n")


@pytest.mark.parametrize(
    "content",
    [
        b"x = 1\n# Rank: 3, Graph 17\ny = 2\n",  # not the first line
        b"# Rank 3\nx = 1\ny = 2\n",  # another comment
        b"# Rank: 3, Graph 17 x = 0\nx = 1\ny = 2\n",  # more than the comment
        b"x = 1\ny = 2",  # no line end at the end
        b"x = 1\n\ry = 2\n",  # a carriage return that ends no line
    ],
)
def test_any_other_difference_changes_the_digest(tmp_path: Path, content: bytes) -> None:
    assert digest(tmp_path, content) != digest(tmp_path, b"x = 1\ny = 2\n")


def test_a_file_of_the_rank_comment_only_has_the_body_of_an_empty_one(tmp_path: Path) -> None:
    assert digest(tmp_path, b"# Rank: 3, Graph 17") == digest(tmp_path, b"")


@pytest.mark.parametrize("chunk", [1, 2, 3, 7])
def test_a_line_end_across_two_chunks_is_still_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    # The lone carriage return before a line end stays: only the pair is a line end.
    content = b"ab\r\nc\n\r\r\nd\r\n"
    expected = digest(tmp_path, content)
    monkeypatch.setattr(graphfile_module, "_CHUNK", chunk)
    assert digest(tmp_path, content) == expected


def test_equal_bodies_are_grouped_over_ranks_and_models_with_the_first_file_in_front(tmp_path: Path) -> None:
    for rank in (10, 2):
        write(tmp_path, f"b/rank{rank}_0.py", f"a/rank{rank}_0.py", text=f"# Rank: {rank}, Graph 0\n{BODY}")
    write(tmp_path, "a/rank2_1.py", text="something else")
    groups = [[file.path for file in files] for files in discover(tmp_path, available()).bodies().values()]
    assert groups == [["a/rank2_0.py", "a/rank10_0.py", "b/rank2_0.py", "b/rank10_0.py"], ["a/rank2_1.py"]]


def test_files_that_cannot_be_read_share_no_body(tmp_path: Path) -> None:
    for index in range(2):
        (tmp_path / f"rank0_{index}.py").symlink_to("nowhere.py")
    assert discover(tmp_path, available()).bodies() == {}


def test_a_body_is_read_as_it_is_so_that_line_numbers_hold(tmp_path: Path) -> None:
    content = b"# Rank: 0, Graph 0\r\nx = 1\r\n"
    (tmp_path / "rank0_0.py").write_bytes(content)
    corpus = discover(tmp_path, available())
    assert read_body(corpus.root, only_file(corpus)) == content


# --- bad input --------------------------------------------------------------------------------------------------------


def test_a_path_that_does_not_exist_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"gone: no such file or folder; give a folder of models"):
        discover(tmp_path / "gone", available())


def test_a_path_that_is_no_path_is_the_users_mistake() -> None:
    with pytest.raises(UsageError, match="not a valid path"):
        discover("gm\0", available())


def test_an_empty_corpus_says_what_was_expected(tmp_path: Path) -> None:
    write(tmp_path, "code/run.py", text="print('hello')\n")
    with pytest.raises(UsageError, match=r"no graphs and no run logs below .*; expected gm/<org>/<model>/rank0_0\.py$"):
        discover(tmp_path, available())


def test_an_empty_corpus_says_what_could_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "org").symlink_to("nowhere")
    with pytest.raises(UsageError, match="1 could not be read, the first: org: the link cannot be followed"):
        discover(tmp_path, available())


def test_an_earlier_result_given_as_a_corpus_is_the_users_mistake(tmp_path: Path) -> None:
    write(tmp_path, "all_ops.py")
    with pytest.raises(UsageError, match="is a result, not a graph"):
        discover(tmp_path / "all_ops.py", available())


def deny(monkeypatch: pytest.MonkeyPatch, name: str, denied: Path) -> None:
    """Lets a function of os fail for one path; changing its mode would not stop a test that runs as root."""
    allowed = getattr(os, name)

    def guarded(path: str, *rest: int) -> object:
        if Path(path) == denied:
            raise PermissionError(13, "Permission denied", path)
        return allowed(path, *rest)

    monkeypatch.setattr(os, name, guarded)


def test_a_root_that_cannot_be_read_is_the_users_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deny(monkeypatch, "scandir", tmp_path)
    with pytest.raises(UsageError, match="permission denied"):
        discover(tmp_path, available())


def test_an_unreadable_folder_is_a_problem_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "a/rank0_0.py", "b/rank0_0.py")
    deny(monkeypatch, "scandir", tmp_path / "a")
    corpus = discover(tmp_path, available())
    assert (names(corpus), slugs(corpus)) == (["b"], [("a", Slug.UNREADABLE)])


def test_an_unreadable_graph_file_stays_a_row_with_its_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "m/rank0_0.py", "m/rank0_1.py")
    deny(monkeypatch, "open", tmp_path / "m" / "rank0_0.py")
    corpus = discover(tmp_path, available())
    first, second = corpus.files
    assert (first.path, first.digest, second.problem) == ("m/rank0_0.py", "", None)
    assert corpus.problems == (first.problem,)


def test_a_problem_names_no_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "m/rank0_0.py")
    deny(monkeypatch, "open", tmp_path / "m" / "rank0_0.py")
    assert str(tmp_path) not in str(discover(tmp_path, available()).problems)


def test_a_broken_link_named_like_a_graph_is_a_row_with_a_problem(tmp_path: Path) -> None:
    (tmp_path / "rank0_0.py").symlink_to("nowhere.py")
    corpus = discover(tmp_path, available())
    assert (paths(corpus), slugs(corpus)) == (["rank0_0.py"], [("rank0_0.py", Slug.UNREADABLE)])


def test_a_broken_link_to_a_folder_is_a_problem(tmp_path: Path) -> None:
    write(tmp_path, "m/rank0_0.py")
    (tmp_path / "lost").symlink_to("nowhere")
    assert slugs(discover(tmp_path, available())) == [("lost", Slug.UNREADABLE)]


def test_a_folder_named_like_a_graph_is_a_row_with_a_problem(tmp_path: Path) -> None:
    (tmp_path / "rank0_0.py").mkdir()
    file = only_file(discover(tmp_path, available()))
    assert file.problem is not None
    assert file.problem.message == "the file cannot be read: it is a folder"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("name", ["rank0_0.py", "log.txt"])
def test_a_pipe_does_not_block(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    assert slugs(discover(tmp_path, available())) == [(name, Slug.UNREADABLE)]


def test_a_run_log_that_cannot_be_opened_leaves_a_model_without_one(tmp_path: Path) -> None:
    (tmp_path / "m" / "log.txt").mkdir(parents=True)
    corpus = discover(tmp_path, available())
    (model,) = corpus.models
    assert (model.run_log, slugs(corpus)) == (None, [("m/log.txt", Slug.UNREADABLE)])


def test_a_linked_folder_is_a_model_under_the_name_of_the_link(tmp_path: Path) -> None:
    write(tmp_path, "elsewhere/rank0_0.py")
    (tmp_path / "gm").mkdir()
    (tmp_path / "gm" / "model").symlink_to(tmp_path / "elsewhere")
    corpus = discover(tmp_path / "gm", available())
    assert (paths(corpus), corpus.problems) == (["model/rank0_0.py"], ())


@pytest.mark.parametrize("target", [".", "..", "../.."])
def test_a_link_to_a_folder_above_it_is_not_followed(tmp_path: Path, target: str) -> None:
    # "../.." is above the corpus root: following it would read the whole file system.
    write(tmp_path, "gm/m/rank0_0.py")
    (tmp_path / "gm" / "m" / "loop").symlink_to(target)
    corpus = discover(tmp_path / "gm", available())
    assert (paths(corpus), slugs(corpus)) == (["m/rank0_0.py"], [("m/loop", Slug.LINK_LOOP)])


def test_a_link_that_loops_in_a_foreign_tree_is_not_followed(tmp_path: Path) -> None:
    write(tmp_path, "foreign/a/rank0_0.py", "foreign/b/rank0_0.py")
    (tmp_path / "foreign" / "a" / "up").symlink_to("..")
    (tmp_path / "gm").mkdir()
    (tmp_path / "gm" / "m").symlink_to(tmp_path / "foreign" / "a")
    corpus = discover(tmp_path / "gm", available())
    assert (paths(corpus), slugs(corpus)) == (["m/rank0_0.py"], [("m/up", Slug.LINK_LOOP)])


def test_a_link_to_itself_is_a_problem(tmp_path: Path) -> None:
    write(tmp_path, "m/rank0_0.py")
    (tmp_path / "m" / "self").symlink_to("self")
    assert slugs(discover(tmp_path, available())) == [("m/self", Slug.LINK_LOOP)]


def test_a_model_that_is_linked_as_well_keeps_its_own_name_and_counts_once(tmp_path: Path) -> None:
    write(tmp_path, "real/rank0_0.py")
    (tmp_path / "alias").symlink_to("real")  # comes first by name
    corpus = discover(tmp_path, available())
    assert (names(corpus), slugs(corpus)) == (["real"], [("alias", Slug.LINK_LOOP)])


def test_a_very_deep_tree_is_walked_to_its_end(tmp_path: Path) -> None:
    # Deeper than calls may nest below a test: Python allows 1,000.
    deep = "/".join("d" * 900)
    write(tmp_path, f"{deep}/rank0_0.py")
    assert names(discover(tmp_path, available())) == [deep]


@pytest.mark.skipif(os.name == "nt", reason="file names are text there")
def test_a_name_that_is_no_text_can_be_sorted_printed_and_read(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/m\xff"
    try:
        os.mkdir(folder)  # noqa: PTH102 - pathlib takes no bytes
    except OSError:
        pytest.skip("this file system holds no such names")
    with open(folder + b"/rank0_0.py", "wb") as file:  # noqa: PTH123
        file.write(b"x = 1\n")
    write(tmp_path, "a/rank0_0.py")
    corpus = discover(tmp_path, available())
    strange = list(corpus.files)[1]
    assert strange.path.encode("utf-8") == b"m\\udcff/rank0_0.py"
    assert read_body(corpus.root, strange) == b"x = 1\n"


def test_a_line_end_in_a_name_cannot_break_a_report(tmp_path: Path) -> None:
    write(tmp_path, "m\nimport os/rank0_0.py")
    assert paths(discover(tmp_path, available())) == [r"m\nimport os/rank0_0.py"]


def test_names_stay_distinct_when_escaped(tmp_path: Path) -> None:
    write(tmp_path, "m\n/rank0_0.py", r"m\n" + "/rank0_0.py")
    assert len(set(names(discover(tmp_path, available())))) == 2


# --- the measured corpus ----------------------------------------------------------------------------------------------


def test_the_measured_corpus_is_found_whole(shared: Path) -> None:
    corpus = discover(shared / "gm", available())
    assert (len(corpus.models), len(paths(corpus)), len(corpus.bodies()), corpus.problems) == (17, 1536, 548, ())


def test_in_the_measured_corpus_one_model_has_a_run_log_only(shared: Path) -> None:
    without = [model.name for model in discover(shared / "gm", available()).models if not model.files]
    assert without == ["meta-llama/Llama-4-Scout-17B-16E-Instruct"]


def test_file_with_weights_in_it_is_not_read_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphfile_module, "FILE_LIMIT", 100)
    (tmp_path / "rank0_0.py").write_bytes(b"#" * 101)
    (file,) = discover(tmp_path, available()).files
    with pytest.raises(OSError, match="larger than"):
        read_body(tmp_path, file)


def test_only_the_start_of_a_file_beside_a_graph_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphfile_module, "COMPANION_LIMIT", 5)
    (tmp_path / "model.py").write_text(
        "class GraphModule(torch.nn.Module):\n    def forward(self, x: torch.Tensor):\n        return x\n"
    )
    (tmp_path / "weight_meta.py").write_bytes(b"0123456789")
    (file,) = discover(tmp_path, available()).files
    assert graphfile_module.read_companions(tmp_path, file) == {"weight_meta.py": b"01234"}


def test_text_of_a_body_is_that_of_its_first_file_as_it_is(tmp_path: Path) -> None:
    for rank in (1, 0):
        write(tmp_path, f"m/rank{rank}_0.py", text=f"# Rank: {rank}, Graph 0\n{BODY}")
    found = discover(tmp_path, available())
    (digest,) = found.bodies()
    assert found.text_of(digest) == f"# Rank: 0, Graph 0\n{BODY}"


def test_text_that_has_changed_since_the_walk_is_not_shown(tmp_path: Path) -> None:
    write(tmp_path, "m/rank0_0.py")
    found = discover(tmp_path, available())
    write(tmp_path, "m/rank0_0.py", text=f"{BODY}# more\n")
    assert [found.text_of(digest) for digest in (*found.bodies(), "unheard")] == [None, None]
