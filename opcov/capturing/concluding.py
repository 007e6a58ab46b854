"""Says at the end of a run what became of it, in its log and in capture.json: both tell the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from opcov.capturing import gathering, records
from opcov.capturing.log import Log, files_text
from opcov.capturing.neutral import MODEL_FOLDER, neutral
from opcov.capturing.records import LAUNCH, PARTS, Capture, Launch
from opcov.capturing.room import Room
from opcov.capturing.session import Setting
from opcov.corpus import LOG_NAME
from opcov.problems import UsageError


@dataclass(frozen=True, slots=True)
class Account:
    """What is known of a run from its beginning on.

    Attributes:
        setting: how graphs are captured, and where.
        told: the command as its user gave it.
        about: what is captured.
        options: of the capture.
        ranks: that have to write graphs.
        rank: that this process writes for, under a launcher such as torchrun; None where it is the whole run.
    """

    setting: Setting
    told: Sequence[str]
    about: str = ""
    options: dict[str, str] = field(default_factory=dict)
    ranks: int = 1
    rank: int | None = None

    @property
    def folder(self) -> Path:
        """Of the model."""
        return Path(self.setting.folder)

    @property
    def title(self) -> str:
        """What the run log calls this."""
        return "Capture" if self.rank is None else f"Capture of rank {self.rank}"

    def shown(self, text: str) -> str:
        """A text as it may be written: without this machine, where the same bytes are to come again."""
        if not self.setting.reproducible:
            return text
        return neutral(text, {**self.setting.places, self.setting.folder: MODEL_FOLDER})


def opened_log(account: Account, *, echoes: bool = True) -> Log:
    """The run log, to be written; ranks that are to be put in order have a copy each.

    Raises:
        UsageError: it cannot be opened.
    """
    copy = _copy_of(account, account.rank) if account.setting.reproducible and account.rank is not None else None
    return Log(account.folder / LOG_NAME, copy, echoes=echoes, whole_lines=account.rank is not None)


def begin(account: Account, room: Room, log: Log) -> None:
    """Writes that the run has begun.

    Raises:
        UsageError: it cannot be written.
    """
    log.say(f"[opcov] {account.title} begin. tp_size={account.ranks}")
    try:
        with room.alone():
            room.reserve()
            _write_launch(account, Launch(account.rank or 0))
            records.write(account.folder / records.FILE, _put_together(account, room))
    except OSError as error:
        raise UsageError(f"cannot capture into {account.folder}: {error.strerror or error}") from error
    if log.failure:
        raise UsageError(f"cannot capture into {account.folder}: {log.failure}")


def conclude(account: Account, room: Room, log: Log, how: str, failures: Sequence[str]) -> tuple[Capture, list[str]]:
    """Writes how the run has ended.

    capture.json is first written beside its place, then the log ends, then it is moved: that takes no room on a disk
    that is full by then.

    Args:
        account: of the run.
        room: its folder.
        log: its log.
        how: it ended, in plain words.
        failures: what is known to have gone wrong.

    Returns:
        The record, and all that went wrong.
    """
    with room.alone():
        room.release()
        found = gathering.parts(account.folder)
        ranks = range(account.ranks) if account.rank is None else [account.rank]
        wrong = [*failures, *gathering.shortcomings(account.folder, found, ranks, account.rank)]
        wrong += [log.failure] if log.failure else []
        record = _Staged(account, room, how, wrong)
        wrong += record.failures
        for failure in wrong:
            log.say(f"[opcov] {account.title} failed: {account.shown(failure)}")
        if not wrong:
            log.say(f"[opcov] {account.title} end.")
        if record.capture.status != "running":
            _end_log(account, log)
        if log.failure and log.failure not in wrong:
            record.drop()
            wrong.append(log.failure)
            record = _Staged(account, room, how, wrong)
        record.move()
        wrong += [failure for failure in record.failures if failure not in wrong]
        if record.is_there and room.is_done(range(_expected(account))):
            room.leave()
    return record.capture, wrong


class _Staged:
    """The record of a run, written beside its place."""

    def __init__(self, account: Account, room: Room, how: str, wrong: Sequence[str]) -> None:
        self._path = account.folder / records.FILE
        self._temporary: Path | None = None
        self.failures: list[str] = []
        self.is_there = False
        told = [account.shown(failure) for failure in wrong]
        launched = Launch(account.rank or 0, account.shown(how), not wrong, told)
        try:
            _write_launch(account, launched)
        except OSError as error:
            self._fail(error)
        self.capture = _put_together(account, room)
        if not self.failures:
            try:
                self._temporary = records.staged(self._path, records.encoded(self.capture))
            except OSError as error:
                self._fail(error)

    def drop(self) -> None:
        """Removes it."""
        if self._temporary is not None:
            self._temporary.unlink(missing_ok=True)

    def move(self) -> None:
        """Puts it in its place."""
        if self._temporary is not None:
            try:
                self._temporary.replace(self._path)
            except OSError as error:
                self._fail(error)
            else:
                self.is_there = True

    def _fail(self, error: OSError) -> None:
        self.failures.append(f"{records.FILE} cannot be written: {error.strerror or error}")


def _expected(account: Account) -> int:
    """How many processes tell how a run ended."""
    return 1 if account.rank is None else account.ranks


def _write_launch(account: Account, launched: Launch) -> None:
    records.write(account.folder / PARTS / f"{LAUNCH}{launched.rank}.json", launched)


def _put_together(account: Account, room: Room) -> Capture:
    known = {one.rank: one for one in gathering.launches(account.folder)}
    launches = []
    is_running = False
    for rank in range(_expected(account)):
        launched = known.get(rank)
        if launched is None or not launched.exit:
            is_running = is_running or room.lives(rank)
            if launched is not None and room.lives(rank):
                launches.append(launched)
                continue
            silent = "it has not come" if launched is None else "it ended without a word"
            launched = Launch(rank, silent, False, [silent])
        launches.append(launched)
    status = "running" if is_running else "ok" if all(one.is_ok for one in launches) else "failed"
    return Capture(
        records.VERSION,
        account.about,
        [account.shown(word) for word in account.told],
        gathering.versions(),
        {name: account.shown(value) for name, value in account.options.items()},
        status,
        launches,
        account.ranks,
        gathering.parts(account.folder),
    )


def _end_log(account: Account, log: Log) -> None:
    """Ends the log with the list of graphs; what is to be the same in every run is written anew."""
    trailer = files_text(account.folder)
    if not account.setting.reproducible:
        log.say(trailer)
        return
    path = account.folder / LOG_NAME
    try:
        if account.rank is None:
            content = path.read_bytes()
        else:
            copies = [_copy_of(account, rank) for rank in range(account.ranks)]
            content = b"".join(copy.read_bytes() for copy in copies if copy.exists())
        text = account.shown(content.decode("utf-8", errors="surrogateescape"))
        records.put(path, f"{text}{trailer}\n".encode("utf-8", errors="surrogateescape"))
    except OSError as error:
        log.fail(error)


def _copy_of(account: Account, rank: int) -> Path:
    return account.folder / PARTS / f"log{rank}.txt"
