"""Holds a scan against a committed baseline, and rewrites that file: what `Scan.check` and `Scan.update` do."""

from __future__ import annotations

import datetime as dt
import os
from dataclasses import dataclass, replace
from pathlib import Path

from opcov import baseline as baselines
from opcov.baseline import Baseline, Key
from opcov.corpus import Scope
from opcov.coverage import Coverage
from opcov.gate import Judgement, Level, Rules, judge, judge_numbers
from opcov.gate.changes import GraphsLost, HealthFell, ModelLost, OpFixed
from opcov.graphfile import natural_key
from opcov.problems import UsageError
from opcov.reports import all_ops
from opcov.reports.files import check_writable, write_files


@dataclass(frozen=True, slots=True)
class BaselineUpdate:
    """What an update did to a baseline.

    Attributes:
        path: of the file.
        created: whether there was none before.
        added: ops and variants that it lists now and did not before, sorted.
        removed: those that it listed and lists no more.
        kept: those that it listed before and still lists.
        lost_models: that it knew and does not know any more, by name, in natural order.
        other_models: that it knows otherwise than before: captured better or worse, with other graphs.
    """

    path: Path
    created: bool
    added: tuple[Key, ...]
    removed: tuple[Key, ...]
    kept: tuple[Key, ...]
    lost_models: tuple[str, ...] = ()
    other_models: tuple[str, ...] = ()


def read(path: Path) -> Baseline:
    """The baseline in a file.

    Raises:
        BaselineError: it cannot be read or used.
        UsageError: there is none.
    """
    if not os.path.lexists(path):
        raise UsageError(f"there is no baseline {path}; make it with --update {path}, look at it and commit it")
    return baselines.read_baseline(path)


def rules_from(
    *,
    level: str = Level.VARIANT,
    per_model: bool = False,
    allow_lost: bool = False,
    strict: bool = False,
    fail_under: float | None = None,
    max_unsupported: int | None = None,
) -> Rules:
    """The rules of a gate, looked at before a scan.

    Raises:
        UsageError: a level or a number means nothing.
    """
    if level not in (levels := [one.value for one in Level]):
        raise UsageError(f"no level is called {level!r}; there are: {', '.join(levels)}")
    if fail_under is not None and not 0 <= fail_under <= 100:
        raise UsageError(f"fail_under is a percentage from 0 to 100, not {fail_under}")
    if max_unsupported is not None and max_unsupported < 0:
        raise UsageError(f"max_unsupported is a number of ops, not {max_unsupported}")
    return Rules(Level(level), per_model, allow_lost, strict, fail_under, max_unsupported)


def review(coverage: Coverage, baseline: Baseline | None, rules: Rules, scope: Scope, today: dt.date) -> Judgement:
    """What the gate says of a scan.

    Args:
        coverage: what is.
        baseline: what is known; None for one that is held against the numbers in the rules alone.
        rules: what may pass.
        scope: which part of the corpus was looked at.
        today: decides which waivers have expired.
    """
    if baseline is None:
        return judge_numbers(coverage, rules)
    found = judge(baseline, coverage, rules, today, partial=scope.is_partial_to(baseline.models))
    if not scope.one_file:
        return found
    # One file of a model tells neither what the model has lost nor what is fixed in it.
    failures, notes = (
        tuple(change for change in changes if not isinstance(change, _OF_WHOLE_MODELS))
        for changes in (found.failures, found.notes)
    )
    return replace(found, failures=failures, notes=notes)


_OF_WHOLE_MODELS = (GraphsLost, HealthFell, ModelLost, OpFixed)


def check_updatable(path: Path) -> None:
    """Says before a scan whether a baseline could be updated, and changes nothing.

    Raises:
        BaselineError: what is there is no baseline.
        OutputError: the file cannot be written.
    """
    check_writable([path])
    if os.path.lexists(path):
        baselines.read_baseline(path)


def accept(coverage: Coverage, path: Path, scope: Scope) -> BaselineUpdate:
    """Rewrites a baseline to what a scan found, keeping people's lines; makes the file where there is none.

    Raises:
        BaselineError: what is there is no baseline; it stays as it is.
        UsageError: one file of a model was scanned, which does not tell what has become of the others, or a folder of
            the corpus from which nobody can tell which of its models are meant.
        OutputError: the file cannot be written; it stays as it is.
    """
    if scope.one_file:
        raise UsageError(f"{path} cannot be updated from one graph file: scan the folder of its model")
    check_writable([path])
    created = not os.path.lexists(path)
    before = Baseline(path.name) if created else baselines.read_baseline(path)
    text = all_ops.update(before, coverage, partial=_is_part(coverage, before, scope, path))
    after = baselines.parse_baseline(text, str(path))
    write_files({path: text})
    old, new = ({entry.key for entry in one.entries} for one in (before, after))
    then, now = before.models or {}, after.models or {}
    return BaselineUpdate(
        path,
        created,
        tuple(sorted(new - old)),
        tuple(sorted(old - new)),
        tuple(sorted(new & old)),
        tuple(sorted(then.keys() - now.keys(), key=natural_key)),
        tuple(sorted((name for name in then.keys() & now.keys() if then[name] != now[name]), key=natural_key)),
    )


def _is_part(coverage: Coverage, baseline: Baseline, scope: Scope, path: Path) -> bool:
    """Whether a baseline tells of models that were not looked at.

    Raises:
        UsageError: a folder of the corpus was scanned, and which of its models are meant cannot be told.
    """
    known = baseline.known_models
    names = baselines.resolve_models(coverage.models, known)
    if known and set(known).isdisjoint(coverage.models) and not scope.include and not scope.exclude:
        for name in (name for name, full in names.items() if name == full):
            meant = baselines.named_alike(name, known)
            # A model by itself, under a name that no other has, lies nobody knows where.
            if len(meant) > 1 or (scope.one_model and "/" not in name and all("/" in one for one in known)):
                may_be = f"may be {meant[0]} or {meant[1]}" if meant else "is no model that it knows"
                raise UsageError(f"{path} cannot be updated: {name} {may_be}; scan the corpus from its root")
    is_deeper = any(name != full for name, full in names.items())
    return is_deeper or scope.is_partial_to(baseline.models)


def day_of_judgement() -> dt.date:
    """Today in UTC, or the day that SOURCE_DATE_EPOCH names, so that a build can be made again.

    https://reproducible-builds.org/specs/source-date-epoch/

    Raises:
        UsageError: SOURCE_DATE_EPOCH is no number of seconds.
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    if not epoch:
        return dt.datetime.now(dt.timezone.utc).date()
    try:
        return dt.datetime.fromtimestamp(int(epoch), dt.timezone.utc).date()
    except (ValueError, OverflowError, OSError):
        raise UsageError(f"SOURCE_DATE_EPOCH is {epoch!r}, and no number of seconds since 1970") from None
