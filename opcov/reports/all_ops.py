"""The list of unsupported ops as one Python file: report, review artefact and baseline at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from opcov.baseline import Baseline, BaselineError, Entry, Key, ModelFacts, facts_of, resolve_models
from opcov.baseline.comments import (
    COMMAND,
    FILES,
    FIXED,
    MODELS,
    OP,
    REGENERATE,
    SOURCE,
    VARIANT,
    heading,
    op_of_heading,
    written,
)
from opcov.coverage import Coverage, OpRow
from opcov.graphfile import natural_key, printable
from opcov.loaders.text.calls import read_call
from opcov.reports.report import FileReport
from opcov.wording import counted, fold_files, one_line, source_place

_MAX_SOURCES = 3
_LONGEST = 10_000
"""Characters of an expression; a longer one stands in a comment, since reading it as Python would take seconds."""


def render(coverage: Coverage) -> str:
    """The text of all_ops.py: valid Python; a header, how the models stood, an entry a variant that Thunder refuses.

    Entries: most models first, then most nodes, then the name. Nothing in it depends on where the corpus lies, on the
    order of its files or on the time. `opcov.baseline.parse_baseline` reads it back.
    """
    return update(Baseline(), coverage, partial=False)


def update(baseline: Baseline, coverage: Coverage, *, partial: bool) -> str:
    """The text of all_ops.py for a scan, with what people wrote into the one before.

    Their lines (`#: ...`) stay at their entries, right above the expression. Those of an entry that is unsupported no
    more stay at the end under its name, and go back to it should it return; those of no entry stay below the header.

    Args:
        baseline: the file as it is.
        coverage: what a scan found.
        partial: whether it is a scan of some models of the corpus: then nothing is said anew of the others.

    Raises:
        BaselineError: a partial scan by other versions than those that the file tells of.
    """
    people = _people(baseline)
    entries = [_entry(row) for row in coverage.variant_rows if row.counts.not_supported]
    if partial:
        return _updated_in_part(baseline, coverage, entries, people)
    body = _body(facts_of(coverage), baseline.notes, entries, people)
    return _text(_header(coverage.versions, _summary(coverage, entries)), body)


def _people(baseline: Baseline) -> dict[Key, tuple[str, ...]]:
    """What people wrote, by entry."""
    found: dict[Key, tuple[str, ...]] = {}
    for entry in baseline.entries:
        found[entry.key] = (*found.get(entry.key, ()), *entry.notes)
    for key, lines in baseline.fixed.items():
        found[key] = (*found.get(key, ()), *lines)
    return found


# --- text -------------------------------------------------------------------------------------------------------------


def _text(header: str, body: Sequence[str]) -> str:
    return "\n\n".join([header, *body]) + "\n"


def _header(versions: Mapping[str, str], summary: str) -> str:
    judges = one_line(", ".join(f"{name} {version}" for name, version in sorted(versions.items())))
    return f"# {judges}. {summary}\n{REGENERATE}{COMMAND}"


def _summary(coverage: Coverage, entries: Sequence[Entry]) -> str:
    counts = coverage.counts
    return (
        f"{counts.not_supported} of {counted(counts.nodes, 'node')} not supported: {_ops_and_variants(entries)}, "
        f"{counted(counts.unknown, 'node')} unknown; "
        f"{counted(len(coverage.files_by_body), 'distinct graph')} in {counted(coverage.files, 'file')} of "
        f"{counted(len(coverage.models), 'model')}"
    )


def _ops_and_variants(entries: Sequence[Entry]) -> str:
    ops = len({entry.op for entry in entries})
    return f"{counted(ops, 'op')} in {counted(len(entries), 'variant')}"


def _body(
    facts: Mapping[str, ModelFacts] | None,
    notes: Sequence[str],
    entries: Sequence[Entry],
    people: Mapping[Key, Sequence[str]],
) -> list[str]:
    """The paragraphs below the header."""
    found = []
    if facts is not None:
        found.append("\n".join([MODELS, *(_fact(facts[name]) for name in sorted(facts, key=natural_key))]))
    if notes:
        found.append("\n".join(notes))
    found += [_entry_text(entry, people.get(entry.key, ())) for entry in entries]
    listed = {entry.key for entry in entries}
    found += [_fixed(*key, people[key]) for key in sorted(people) if key not in listed and people[key]]
    return found


def _fact(facts: ModelFacts) -> str:
    return f"#  {facts.health.value}, {facts.graphs}, {facts.unknown}, {facts.lost}: {written(facts.model)}"


def _fixed(op: str, variant: str, people: Sequence[str]) -> str:
    lines = [f"{FIXED}{written(variant)}"]
    if variant.partition("(")[0] != op:
        lines.append(f"{OP}{written(op)}")
    return "\n".join([*lines, *people])


def _entry_text(entry: Entry, people: Sequence[str]) -> str:
    first = heading(entry.op, entry.reason, entry.detail)
    expression = _expression(entry.expression)
    lines = [first]
    if read_call(expression) != entry.key:
        # A reader of the expression alone would take it for another call.
        if op_of_heading(first) != entry.op:
            lines.append(f"{OP}{written(entry.op)}")
        lines.append(f"{VARIANT}{written(entry.variant)}")
    names = ", ".join(written(name, listed=True) for name in entry.models)
    lines.append(f"#  models: {len(entry.models)}: {names}")
    lines += [f"{SOURCE}{source}" for source in entry.sources]
    lines += [f"{FILES}{names if names.isprintable() else printable(names)}" for names in fold_files(entry.files)]
    return "\n".join([*lines, *people, expression])


def _expression(text: str) -> str:
    """The expression as printed; one that is no call by itself becomes a comment, so that the file stays valid.

    It is a call from its first to its last character: what comes from a dump is never taken for what a person wrote.
    """
    if not text.isprintable():
        text = one_line(text)
    if len(text) > _LONGEST:
        return f"# {text.strip()}"
    return text if read_call(text) is not None else f"# {text.strip()}".rstrip()


def _entry(row: OpRow) -> Entry:
    return Entry(
        row.op,
        row.variant,
        row.reasons[0].value if row.reasons else row.status.value,
        row.models,
        detail=one_line(row.detail),
        sources=tuple(source_place(source.file, source.line, source.function) for source in row.sources[:_MAX_SOURCES]),
        files=row.files,
        expression=row.example,
    )


# --- some models only -------------------------------------------------------------------------------------------------


def _updated_in_part(
    baseline: Baseline, coverage: Coverage, found: Sequence[Entry], people: Mapping[Key, Sequence[str]]
) -> str:
    is_new = not baseline.entries and not baseline.models
    if not is_new and dict(baseline.versions) != dict(coverage.versions):
        before, after = _versions(baseline.versions), _versions(coverage.versions)
        raise BaselineError(
            f"{baseline.name}: it was written with {before}, and this is {after}; scan the whole corpus to update it"
        )
    names = resolve_models(coverage.models, baseline.known_models)
    now = {entry.key: entry for entry in _renamed(found, coverage, names)}
    before_merge = _joined(baseline.entries)
    entries = []
    for entry in before_merge:
        kept = _kept(entry, set(names.values()), now.pop(entry.key, None))
        if kept is not None:
            entries.append(kept)
    entries = _widest_first([*entries, *now.values()])
    facts: Mapping[str, ModelFacts] | None = baseline.models
    if facts is not None or is_new:
        seen = {names[name]: replace(one, model=names[name]) for name, one in facts_of(coverage).items()}
        facts = {**(facts or {}), **seen}
    body = _body(facts, baseline.notes, entries, people)
    if body == _body(baseline.models, baseline.notes, _widest_first(before_merge), people):
        summary = baseline.summary
    else:
        summary = f"{_ops_and_variants(entries)} not supported"
        if facts is not None:
            summary += f"; {counted(len(facts), 'model')}"
        summary += ", not all scanned at once"
    return _text(_header(coverage.versions, summary), body)


def _versions(versions: Mapping[str, str]) -> str:
    return (
        ", ".join(f"{name} {version}" for name, version in sorted(versions.items())) or "versions that it does not name"
    )


def _renamed(entries: Iterable[Entry], coverage: Coverage, names: Mapping[str, str]) -> list[Entry]:
    """Entries of a scan under the names that the whole corpus has for the models and their files."""
    paths = {}
    for name, model in coverage.models.items():
        for file in model.files:
            # A model that is the corpus root itself has its files directly there.
            paths[file.path] = f"{names[name]}/{file.path.removeprefix(f'{name}/')}"
    return [
        replace(
            entry,
            models=tuple(names[name] for name in entry.models),
            files=tuple(paths.get(path, path) for path in entry.files),
        )
        for entry in entries
    ]


def _joined(entries: Iterable[Entry]) -> list[Entry]:
    """One entry a key, where the first of the key stands."""
    found: dict[Key, Entry] = {}
    for entry in entries:
        one = found.get(entry.key)
        found[entry.key] = entry if one is None else _with(one, entry.models, entry.files, entry.sources)
    return list(found.values())


def _with(entry: Entry, models: Iterable[str], files: Iterable[str], sources: Iterable[str]) -> Entry:
    return replace(
        entry,
        models=tuple(sorted({*entry.models, *models}, key=natural_key)),
        files=tuple(sorted({*entry.files, *files}, key=natural_key)),
        sources=tuple(dict.fromkeys([*entry.sources, *sources]))[:_MAX_SOURCES],
    )


def _kept(entry: Entry, seen: set[str], now: Entry | None) -> Entry | None:
    """What an entry is after a scan of some models; None where none of the others has it and they have it no more."""
    left = tuple(name for name in entry.models if name not in seen)
    if entry.models and not left:
        return now
    models = {*entry.models, *seen}
    files = tuple(path for path in entry.files if _model_of(path, models) not in seen)
    kept = replace(entry, models=left, files=files)
    return kept if now is None else _with(kept, now.models, now.files, now.sources)


def _model_of(path: str, models: set[str]) -> str:
    """The innermost of the models' folders in which a file lies."""
    folder = path
    while "/" in folder:
        folder = folder.rpartition("/")[0]
        if folder in models:
            return folder
    return ""


def _widest_first(entries: Iterable[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: -len(entry.models))


REPORT = FileReport("all_ops", "unsupported ops as a Python file (all_ops.py)", lambda found: render(found.coverage))
