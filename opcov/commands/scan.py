"""The command without a name: scans a corpus, writes its reports, and holds it against a baseline."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opcov.commands import scan_options
from opcov.commands.cache import cache_from
from opcov.commands.problems import say_incomplete, say_problems
from opcov.commands.progress import ProgressBar
from opcov.commands.streams import EXIT_COULD_NOT, EXIT_FINE, EXIT_GATE, printing, say, wants_no_color
from opcov.problems import OutputError, UsageError

if TYPE_CHECKING:
    from opcov.api import Scan
    from opcov.baseline import Baseline
    from opcov.commands.scan_options import Options
    from opcov.config import Config
    from opcov.coverage.agreement import SelfCheck
    from opcov.gate import Judgement
    from opcov.reports.report import Content

_MOST_UNEXPLAINED = 5
_SUMMARY = "GITHUB_STEP_SUMMARY"
"""The variable in which GitHub names the file that a job's summary is appended to."""


def run(arguments: Sequence[str]) -> int:
    """Scans and tells.

    Args:
        arguments: of the process, without its name.

    Returns:
        The exit code.

    Raises:
        OpcovError: the job cannot be done.
        SystemExit: argparse has printed the help, the version or an error.
    """
    options = scan_options.read(arguments)
    from opcov import api

    settings = options.settings
    files, printed = _destinations(settings)
    api.check_outputs(files if options.update is None else [*files, ("all_ops", options.update)])
    baseline = _baseline(options, files)
    progress = ProgressBar(sys.stderr, quiet=settings.quiet, no_color=wants_no_color(settings.no_color))
    try:
        scan = api.scan(
            options.corpus,
            include=settings.include,
            exclude=settings.exclude,
            requires_grad=settings.requires_grad,
            progress=progress.update,
            cache=cache_from(settings),
            jobs=settings.jobs,
            engine=settings.engine,
            scheduler=settings.scheduler,
        )
    finally:
        progress.close()
    judgement = scan.check(baseline, today=options.today, **_rules(settings)) if _is_judged(settings) else None
    written = scan.write_all(files)
    if printed is not None:
        _print_report(scan.render(printed))
    told = _entry_files(files, written)
    _tell(scan, judgement, told, printed, settings, is_update=options.update is not None)
    if any(kind == "github" for kind in (printed, *(kind for kind, _ in files))):
        _append_summary(scan)
    failures = say_problems(scan, verbose=settings.verbose)
    if options.update is not None and not failures:
        _update(scan, options.update, settings, is_printed=printed is not None)
    unexplained = () if scan.agrees else scan.self_check.unexplained
    if not scan.agrees:
        _say_disagreements(scan.self_check, settings)
    if settings.verbose:
        for line in scan.tally.lines():
            say(line)
    if not failures:
        found = (unexplained and settings.strict) or (judgement is not None and not judgement.passes)
        return EXIT_GATE if found else EXIT_FINE
    kept = f"{options.update} is left as it was" if options.update is not None else "the results hold all the rest"
    say_incomplete(failures, kept)
    return EXIT_COULD_NOT


def _destinations(settings: Config) -> tuple[list[tuple[str, Path]], str | None]:
    """The reports that go to files, as kind and place, and the kind of the one that is printed.

    Raises:
        UsageError: a kind is not known, has to be told its place, or a second one is to be printed.
    """
    from opcov import reports

    files = [
        (kind, place)
        for kind, place in (("all_ops", settings.out), ("csv", settings.csv), ("html", settings.html))
        if place is not None
    ]
    printed = None
    for chosen in settings.format:
        kind, colon, place = chosen.partition(":")
        is_folder = reports.is_folder(kind)
        if colon and not place:
            # An empty place comes from an unset variable of a shell, as an empty path does.
            raise UsageError(f"--format {chosen} names no place: write {kind}:FILE, or {kind}:- for stdout")
        if place not in ("", "-"):
            files.append((kind, Path(place)))
        elif is_folder:
            raise UsageError(f"a report of kind {kind} is a folder of files: say where with --format {kind}:DIR")
        elif printed is not None:
            raise UsageError(f"{printed} and {kind} are both to be printed: give one of them a file")
        else:
            printed = kind
    return files, printed


# --- the gate ---------------------------------------------------------------------------------------------------------


def _baseline(options: Options, files: Sequence[tuple[str, Path]]) -> Baseline | None:
    """The baseline to check against, read before a scan; that to update and all rules are looked at as well.

    Raises:
        BaselineError: it cannot be used.
        UsageError: there is none, a report would take its place, or a rule means nothing.
    """
    if options.update is None and not _is_judged(options.settings):
        return None
    from opcov.views import review

    review.rules_from(**_rules(options.settings))
    if options.today is None:
        review.day_of_judgement()
    if options.update is not None:
        review.check_updatable(options.update)
    if options.settings.check is None:
        return None
    baseline = review.read(options.settings.check)
    place = os.path.realpath(options.settings.check)
    if any(os.path.realpath(path) == place for _, path in files):
        raise UsageError(
            f"{options.settings.check} is to be checked against, and a report would be written over it, with what "
            "people wrote into it; use --update for that, or another name"
        )
    return baseline


def _is_judged(settings: Config) -> bool:
    return settings.check is not None or settings.fail_under is not None or settings.max_unsupported is not None


def _rules(settings: Config) -> dict[str, Any]:
    names = ("level", "per_model", "allow_lost", "strict", "fail_under", "max_unsupported")
    return {name: getattr(settings, name) for name in names}


def _update(scan: Scan, path: Path, settings: Config, *, is_printed: bool) -> None:
    """Accepts what is, and says what that changed: on stderr where a report has stdout for itself."""
    from opcov.commands import gate_text

    line = gate_text.told(scan.update(path))
    if is_printed:
        say(line.text.removeprefix("opcov: "))
    elif not settings.quiet:
        with printing("what was updated"):
            gate_text.print_lines([line], no_color=wants_no_color(settings.no_color))


def _append_summary(scan: Scan) -> None:
    """Shows the scan on the page of a job of GitHub Actions. That it cannot be shown does not change the answer."""
    place = os.environ.get(_SUMMARY)
    if not place:
        return
    from opcov import api

    try:
        if not api.add_step_summary(scan, place):
            say("the job's summary is full; the table of opcov is not in it")
    except OutputError as error:
        say(str(error))


# --- what is told -----------------------------------------------------------------------------------------------------


def _tell(
    scan: Scan,
    judgement: Judgement | None,
    written: Sequence[str],
    printed: str | None,
    settings: Config,
    *,
    is_update: bool,
) -> None:
    """Says what was found: on stdout, or on stderr where a report has that for itself."""
    no_color = wants_no_color(settings.no_color)
    if printed is not None:
        if judgement is None or (settings.quiet and judgement.passes):
            return
        from opcov.commands import gate_text

        told = gate_text.lines_of(judgement, verbose=settings.verbose, quiet=True) or [
            gate_text.Line(gate_text.closing_line(judgement))
        ]
        # Annotations are the failures already, and a log shows both streams.
        for line in told[-1:] if printed == "github" else told:
            say(line.text.removeprefix("opcov: "))
        return
    with printing("the summary"):
        # Who judges or accepts has asked for that; numbers alone are read beside the summary.
        if not settings.quiet and not is_update and (judgement is None or not judgement.baseline):
            _print_summary(scan, no_color=no_color)
            if judgement is not None:
                print()
        if judgement is not None:
            from opcov.commands import gate_text

            lines = gate_text.lines_of(judgement, verbose=settings.verbose, quiet=settings.quiet)
            gate_text.print_lines(lines, no_color=no_color)
        if written and not settings.quiet:
            print(f"\nWritten: {', '.join(written)}")


def _entry_files(files: Sequence[tuple[str, Path]], written: Sequence[Path]) -> list[str]:
    """What was written, told by the file of each report that its reader opens: that of a folder is the first in it."""
    groups: dict[Path, list[Path]] = {place: [] for _, place in files}
    for path in written:
        # A folder of tables may lie in that of the site.
        around = [place for place in groups if place in (path, *path.parents)]
        groups.setdefault(max(around, key=lambda place: len(place.parts), default=path), []).append(path)
    told = []
    for first, *others in filter(None, groups.values()):
        told.append(str(first))
        if others:
            from opcov.wording import counted

            told[-1] += f" and {counted(len(others), 'more file')}"
    return told


def _print_summary(scan: Scan, *, no_color: bool) -> None:
    if sys.stdout.isatty():
        from rich.console import Console

        from opcov.reports import terminal

        terminal.print_rich(scan.coverage, Console(file=sys.stdout, no_color=no_color, highlight=False))
    else:
        sys.stdout.write(str(scan.render("text")))


def _print_report(content: Content) -> None:
    from opcov.reports.files import pieces

    with printing("the report"):
        # The bytes that a file would have, whatever the encoding of the terminal.
        sys.stdout.buffer.writelines(pieces(content))


def _say_disagreements(check: SelfCheck, settings: Config) -> None:
    """Names the placements that differ from the recorded ones: all of them if asked, else some unexplained ones."""
    shown = check.disagreements if settings.verbose else check.unexplained[:_MOST_UNEXPLAINED]
    for found in shown:
        row = found.row
        say(f"{row.file}:{row.node.line}: {row.node.name}: {found.explanation} [{found.kind.value}]")
    if not settings.verbose and len(check.unexplained) > len(shown):
        say(f"{len(check.unexplained) - len(shown)} more placements differ unexplained; --verbose names them all")
