"""The gate on the large recorded corpus: it fails for what is new or lost, says what and where, and never for noise."""

# ruff: noqa: N802 - libcst finds visitors by the names of its types
from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import libcst
import pytest
from building import FakeRegistry, verdict

import opcov
from opcov.baseline import Baseline, parse_baseline, read_baseline
from opcov.corpus.health import Health
from opcov.coverage import Coverage
from opcov.gate import Judgement, Level, Rules, judge
from opcov.gate.changes import Change, HealthFell, Known, ModelLost, NewOp, NewVariant, NoModelFacts, OpFacts
from opcov.graph import Form
from opcov.registries.thunder import ThunderRegistry
from opcov.reports.all_ops import render
from opcov.verdict import Status

TODAY = dt.date(2027, 1, 15)
ROUTER = "torch.ops.sgl_kernel.dsv3_router_gemm"
SMALL = "Qwen/Qwen3-0.6B"


@pytest.fixture(scope="module")
def gm(shared: Path) -> Path:
    folder = shared / "gm"
    if not folder.is_dir():
        pytest.skip("the large recorded corpus (../shared/gm) is not beside this checkout")
    return folder


@pytest.fixture(scope="module")
def scan(gm: Path) -> Callable[[Path], Coverage]:
    """Scans a corpus; what Thunder was asked before it is not asked again."""
    thunder = ThunderRegistry()
    return lambda folder: opcov.scan(folder, registry=thunder).coverage


@pytest.fixture(scope="module")
def whole(gm: Path, scan: Callable[[Path], Coverage]) -> Coverage:
    return scan(gm)


@pytest.fixture(scope="module")
def fresh(whole: Coverage) -> Baseline:
    """The baseline that the corpus itself makes, read back from its text."""
    return parse_baseline(render(whole))


def linked(gm: Path, folder: Path, *, without: Callable[[str], bool]) -> Path:
    """The corpus as links, without some paths from its root."""
    target = folder / "gm"

    def ignored(where: str, names: list[str]) -> set[str]:
        return {name for name in names if without(Path(where, name).relative_to(gm).as_posix())}

    def link(source: str, copy: str) -> None:
        Path(copy).symlink_to(Path(source).resolve())

    shutil.copytree(gm, target, ignore=ignored, copy_function=link)
    return target


def held(baseline: Baseline, found: Coverage, rules: Rules = Rules(), *, partial: bool = False) -> Judgement:  # noqa: B008
    return judge(baseline, found, rules, TODAY, partial=partial)


def is_silent(found: Judgement) -> bool:
    """Whether all is as the baseline says."""
    return not found.failures and not found.notes and {type(change) for change in found.known} == {Known}


STRICT = Rules(per_model=True, strict=True)


def test_fresh_list_passes_and_leaves_nothing_to_say(fresh: Baseline, whole: Coverage) -> None:
    assert is_silent(held(fresh, whole, STRICT))


def test_op_that_is_taken_off_the_list_is_all_that_fails_and_is_shown_in_its_file(gm: Path, whole: Coverage) -> None:
    entries = render(whole).split("\n\n")
    kept = [entry for entry in entries if f"\n{ROUTER}(" not in entry]
    assert len(kept) == len(entries) - 1
    found = held(parse_baseline("\n\n".join(kept)), whole)
    (new,) = found.failures
    assert isinstance(new, NewOp)
    assert (new.facts.op, new.facts.models) == (ROUTER, ("deepseek-ai/DeepSeek-V3.1",))
    line = (gm / new.facts.place.file).read_text().splitlines()[new.facts.place.line - 1]
    assert new.facts.place.expression.startswith(f"{ROUTER}(")
    assert ROUTER in line
    assert found.notes == ()


def test_other_number_of_ranks_passes(
    gm: Path, scan: Callable[[Path], Coverage], fresh: Baseline, tmp_path: Path
) -> None:
    corpus = linked(gm, tmp_path, without=lambda path: path.rpartition("/")[2].startswith("rank3_"))
    now = scan(corpus)
    assert any(model.diagnosis.only_ranks for model in now.models.values())
    assert is_silent(held(fresh, now, STRICT))


def test_model_that_has_only_its_log_left_fails_as_a_worse_capture(
    gm: Path, scan: Callable[[Path], Coverage], fresh: Baseline, tmp_path: Path
) -> None:
    corpus = linked(gm, tmp_path, without=lambda path: path.startswith(SMALL) and path.endswith(".py"))
    found = held(fresh, scan(corpus))
    (failure,) = found.failures
    assert isinstance(failure, HealthFell)
    assert (failure.model, failure.before, failure.after) == (SMALL, Health.OK, Health.FAILED)
    assert found.notes == ()


def test_model_that_is_gone_fails_unless_it_may_be_lost(
    gm: Path, scan: Callable[[Path], Coverage], fresh: Baseline, tmp_path: Path
) -> None:
    now = scan(linked(gm, tmp_path, without=lambda path: path == "deepseek-ai"))
    lost = (ModelLost("deepseek-ai/DeepSeek-V3.1"),)
    # Its ops are in no other model: that they are gone is no improvement either.
    assert held(fresh, now).failures == lost
    assert held(fresh, now).notes == ()
    allowed = held(fresh, now, Rules(allow_lost=True, strict=True))
    assert (allowed.failures, allowed.notes) == ((), lost)


def test_partial_scan_passes_and_says_nothing_of_other_models(fresh: Baseline, whole: Coverage) -> None:
    assert is_silent(held(fresh, whole.of_model(SMALL), STRICT, partial=True))


@pytest.mark.parametrize("name", [SMALL, "Qwen", "deepseek-ai/DeepSeek-V3.1"])
def test_folder_of_the_corpus_that_is_scanned_by_itself_passes(
    gm: Path, scan: Callable[[Path], Coverage], fresh: Baseline, name: str
) -> None:
    assert is_silent(held(fresh, scan(gm / name), STRICT))


def test_partial_scan_still_finds_what_is_not_listed(whole: Coverage, fresh: Baseline) -> None:
    listed = tuple(entry for entry in fresh.entries if entry.op != ROUTER)
    baseline = Baseline(fresh.name, fresh.versions, fresh.models, listed)
    found = held(baseline, whole.of_model("deepseek-ai/DeepSeek-V3.1"), partial=True)
    assert [change.slug for change in found.failures] == ["new-op"]


# --- the list made by hand --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def by_hand(gm: Path) -> Baseline:
    return read_baseline(gm / "all_ops.py")


def facts_in(change: Change) -> OpFacts:
    assert isinstance(change, (NewOp, NewVariant))
    return change.facts


@pytest.mark.parametrize("level", list(Level))
def test_list_made_by_hand_lacks_only_what_no_split_file_shows(
    by_hand: Baseline, whole: Coverage, level: Level
) -> None:
    """It was collected from the files that Thunder's splitter wrote.

    So what it lacks has to be in files of graphs that the splitter never got through, and all that split files record
    as Inductor's must be listed.
    """
    found = held(by_hand, whole, Rules(level))
    assert found.failures
    for change in found.failures:
        facts = facts_in(change)
        files = {
            file.form
            for digest, files in whole.files_by_body.items()
            for _, file in files
            for node in whole.bodies[digest].nodes
            if node.op == facts.op and facts.variant in ("", node.variant) and node.status is Status.UNSUPPORTED
        }
        assert files == {Form.UNSPLIT}


def test_list_made_by_hand_lacks_two_ops(by_hand: Baseline, whole: Coverage) -> None:
    # Both are the device guards around a Triton launch, which only graphs from before the split show.
    found = held(by_hand, whole, Rules(Level.OP))
    assert [facts_in(change).op for change in found.failures] == [
        "torch._C._cuda_exchangeDevice",
        "torch._C._cuda_maybeExchangeDevice",
    ]


def test_list_made_by_hand_says_once_that_it_knows_nothing_of_captures(by_hand: Baseline, whole: Coverage) -> None:
    assert sum(isinstance(change, NoModelFacts) for change in held(by_hand, whole).notes) == 1


# --- noise ------------------------------------------------------------------------------------------------------------


class Noise(libcst.CSTTransformer):
    """Renames every local of a graph and shifts lines; where asked, also every integer that a call is given."""

    def __init__(self, *, integers: bool) -> None:
        self.integers = integers
        self.depth = 0

    def visit_Call(self, node: libcst.Call) -> None:
        self.depth += 1

    def leave_Call(self, original_node: libcst.Call, updated_node: libcst.Call) -> libcst.Call:
        self.depth -= 1
        return updated_node

    def leave_Integer(self, original_node: libcst.Integer, updated_node: libcst.Integer) -> libcst.Integer:
        if not self.integers or not self.depth:
            return updated_node
        return updated_node.with_changes(value=str(int(updated_node.value, 0) + 1))

    def leave_Name(self, original_node: libcst.Name, updated_node: libcst.Name) -> libcst.Name:
        return updated_node.with_changes(value=self.names.get(updated_node.value, updated_node.value))

    def leave_Attribute(self, original_node: libcst.Attribute, updated_node: libcst.Attribute) -> libcst.Attribute:
        return updated_node.with_changes(attr=original_node.attr)

    def leave_Arg(self, original_node: libcst.Arg, updated_node: libcst.Arg) -> libcst.Arg:
        return updated_node.with_changes(keyword=original_node.keyword)

    def visit_Module(self, node: libcst.Module) -> None:
        found = Locals()
        node.visit(found)
        self.names: Mapping[str, str] = {name: f"{name}_renamed" for name in found.names - {"self"}}

    def leave_ClassDef(self, original_node: libcst.ClassDef, updated_node: libcst.ClassDef) -> libcst.ClassDef:
        # A region is called as an attribute of its graph.
        return updated_node.with_changes(name=original_node.name)

    def leave_FunctionDef(
        self, original_node: libcst.FunctionDef, updated_node: libcst.FunctionDef
    ) -> libcst.FunctionDef:
        return updated_node.with_changes(name=original_node.name)

    def leave_Module(self, original_node: libcst.Module, updated_node: libcst.Module) -> libcst.Module:
        # Behind the comment that names the rank, where there is one.
        return updated_node.with_changes(header=[*updated_node.header, *[libcst.EmptyLine()] * 7])


class Locals(libcst.CSTVisitor):
    """The parameters and the assigned names of a file."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def visit_Param(self, node: libcst.Param) -> None:
        self.names.add(node.name.value)

    def visit_AssignTarget(self, node: libcst.AssignTarget) -> None:
        self._keep(node.target)

    def visit_AnnAssign(self, node: libcst.AnnAssign) -> None:
        self._keep(node.target)

    def _keep(self, target: libcst.BaseExpression) -> None:
        if isinstance(target, libcst.Name):
            self.names.add(target.value)


NOISY = ("Qwen/Qwen3-Next-80B-A3B-Instruct", "deepseek-ai/DeepSeek-V3.1", "openai/gpt-oss-20b")
"""Models whose graphs are split and unsplit and hold kernels, streams and numbers of all kinds."""


def written(gm: Path, folder: Path, change: Callable[[str], str]) -> Path:
    """The first rank of some models, each graph changed."""
    for model in NOISY:
        target = folder / model
        target.mkdir(parents=True)
        for path in [*(gm / model).glob("rank0_*.py"), *(gm / model).glob("graph_module_*.py")]:
            (target / path.name).write_text(change(path.read_text()))
        (target / "log.txt").symlink_to((gm / model / "log.txt").resolve())
    return folder


def numbers(found: Coverage) -> object:
    """What has to be the same where graphs were changed without damage."""
    return found.counts, found.files, len(found.bodies), [problem.slug for problem in found.problems]


def noisy(*, integers: bool) -> Callable[[str], str]:
    return lambda text: libcst.parse_module(text).visit(Noise(integers=integers)).code


def test_renamed_locals_and_shifted_lines_pass(gm: Path, scan: Callable[[Path], Coverage], tmp_path: Path) -> None:
    before = scan(written(gm, tmp_path / "before", str))
    after = scan(written(gm, tmp_path / "after", noisy(integers=False)))
    (router,) = (row for row in after.variant_rows if row.op == ROUTER)
    assert router.example.count("_renamed") == 3
    assert numbers(after) == numbers(before)
    assert is_silent(held(parse_baseline(render(before)), after, STRICT))


def test_other_integers_pass(gm: Path, whole: Coverage, tmp_path: Path) -> None:
    """Thunder's own answers may depend on numbers, such as dimensions, so a judge is asked that knows ops alone."""
    ops = {row.op for row in whole.op_rows if row.counts.not_supported}
    registry = FakeRegistry({op: verdict(Status.UNSUPPORTED) for op in ops})
    before, after = (
        opcov.scan(written(gm, tmp_path / name, change), registry=registry).coverage
        for name, change in (("before", str), ("after", noisy(integers=True)))
    )
    sizes = [{row.example for row in one.variant_rows if row.op == "torch.Tensor.new_empty"} for one in (before, after)]
    assert all(sizes)
    assert sizes[0].isdisjoint({example.replace("_renamed", "") for example in sizes[1]})
    assert numbers(after) == numbers(before)
    assert is_silent(held(parse_baseline(render(before)), after, STRICT))
