"""Short texts that several reports share: source paths without library prefixes, file names folded for a shell."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable

from opcov.graphfile import natural_key, printable

_PREFIX = re.compile(r"^.*/(?:site-packages|dist-packages|python|src|lib/python\d[\d.]*)/")
_RANKED = re.compile(r"(?P<folder>.*?)rank(?P<rank>\d+)_(?P<index>\d+)\.py", re.DOTALL)
_NUMBERED = re.compile(r"(?P<folder>.*?)graph_module_(?P<number>\d+)\.py", re.DOTALL)
_SAFE = re.compile(r"[\w@%+=:,./-]*")
_FENCES = re.compile("`+")
_LONGEST_CELL = 160
"""Characters of a code span: a name beyond that is cut, so that no dump can fill a page with one of them."""


def short_source(file: str) -> str:
    """A recorded source path below its library: `sglang/srt/layers/layernorm.py`.

    >>> short_source("/usr/lib/python3/dist-packages/torch/nn/functional.py")
    'torch/nn/functional.py'
    """
    return _PREFIX.sub("", file) or file


def source_place(file: str, line: int, function: str) -> str:
    """Where a node comes from, as far as it is known: `<file>:<line> in <function>`, library prefixes cut.

    >>> source_place("/usr/lib/python3/dist-packages/torch/nn/functional.py", 7, "silu"), source_place("a.py", 0, "")
    ('torch/nn/functional.py:7 in silu', 'a.py')
    """
    place = one_line(short_source(file))
    if line:
        place += f":{line}"
    return f"{place} in {one_line(function)}" if function else place


def fold_files(paths: Iterable[str]) -> list[str]:
    """Paths with ranks and indices folded, so that bash expands each to the files it stands for.

    Ranks with the same indices share one entry, so a fold never names a file that is not there. Names that a shell
    would take apart are quoted.

    >>> fold_files(["m/rank0_0.py", "m/rank0_21.py", "m/rank1_0.py", "m/rank1_21.py", "m/rank2_5.py"])
    ['m/rank{0,1}_{0,21}.py', 'm/rank2_5.py']
    >>> fold_files(["my model/rank0_0.py", "my model/rank1_0.py"])
    ["'my model/'rank{0,1}_0.py"]
    """
    indices: dict[str, dict[int, set[int]]] = {}
    numbers: dict[str, set[int]] = {}
    names: list[tuple[str, str, str]] = []
    for path in paths:
        ranked, numbered = _RANKED.fullmatch(path), _NUMBERED.fullmatch(path)
        # rank0_01.py is no rank0_1.py: what a fold could not give back stays as it is.
        if ranked and path == f"{ranked['folder']}rank{int(ranked['rank'])}_{int(ranked['index'])}.py":
            indices.setdefault(ranked["folder"], {}).setdefault(int(ranked["rank"]), set()).add(int(ranked["index"]))
        elif numbered and path == f"{numbered['folder']}graph_module_{int(numbered['number'])}.py":
            numbers.setdefault(numbered["folder"], set()).add(int(numbered["number"]))
        else:
            names.append((path, path, ""))
    for folder, by_rank in indices.items():
        ranks_with: dict[frozenset[int], list[int]] = {}
        for rank in sorted(by_rank):
            ranks_with.setdefault(frozenset(by_rank[rank]), []).append(rank)
        for shared, ranks in ranks_with.items():
            first = f"{folder}rank{ranks[0]}_{min(shared)}.py"
            names.append((first, folder, f"rank{_braces(ranks)}_{_braces(shared)}.py"))
    for folder, found in numbers.items():
        names.append((f"{folder}graph_module_{min(found)}.py", folder, f"graph_module_{_braces(found)}.py"))
    names.sort(key=lambda name: natural_key(name[0]))
    return [f"{_quoted(start)}{folded}" for _, start, folded in names]


def unfold_files(folded: str) -> list[str]:
    """The paths that an entry of `fold_files` stands for, ranks first.

    >>> unfold_files("'my model/'rank{0,1}_{0,21}.py")
    ['my model/rank0_0.py', 'my model/rank0_21.py', 'my model/rank1_0.py', 'my model/rank1_21.py']
    """
    # What was quoted is a name and never a fold, so its braces are kept apart.
    pieces: list[str] = []
    quoted: list[str] = []
    place = 0
    while place < len(folded):
        match = _PIECE.match(folded, place)
        if match is None:
            return [folded]  # written by a person: a lone quotation mark
        place = match.end()
        if match["plain"] is not None:
            pieces.append(match["plain"])
        else:
            pieces.append("\0")
            quoted.append(_unquoted(match))
    paths = [""]
    names = iter(quoted)
    for piece in pieces:
        choices: list[list[str]] = [[next(names)]] if piece == "\0" else _choices(piece)
        for choice in choices:
            if len(paths) * len(choice) > _MOST_UNFOLDED:
                return [folded]
            paths = [path + name for path in paths for name in choice]
    return paths


_MOST_UNFOLDED = 100_000
"""Files in one fold; what says that it stands for more was not written by `fold_files`."""


_PIECE = re.compile(
    r"""\$'(?P<escaped>(?:[^'\\]|\\.)*)'|'(?P<single>[^']*)'|"(?P<double>[^"]*)"|(?P<plain>[^'"$\0]+)"""
)
_FOLD = re.compile(r"\{(\d+(?:,\d+)+)\}")
_SPELLED = re.compile(rb"\\([0-7]{3}|.)", re.DOTALL)


def _unquoted(match: re.Match[str]) -> str:
    """A quoted part of a path, as `GraphFile.path` has it."""
    if match["escaped"] is None:
        return match["single"] if match["single"] is not None else match["double"]
    real = _SPELLED.sub(
        lambda found: found[1] if len(found[1]) == 1 else bytes([int(found[1], 8) & 0xFF]), match["escaped"].encode()
    )
    return printable(os.fsdecode(real))


def _choices(text: str) -> list[list[str]]:
    """The texts that a text with folds is made of: `rank{0,1}_` is `rank`, then `0` or `1`, then `_`."""
    return [part.split(",") if place % 2 else [part] for place, part in enumerate(_FOLD.split(text))]


def _quoted(path: str) -> str:
    """A path of the corpus for bash, as it is on disk: `GraphFile.path` has what cannot be printed escaped."""
    if "\\" not in path:
        return path if _SAFE.fullmatch(path) else shlex.quote(path)
    real = _ESCAPE.sub(lambda found: _ESCAPED.get(found[1]) or chr(int(found[1][1:], 16)), path)
    # bash reads \x as one byte, so all that is not plain ASCII is spelled byte by byte.
    return "$'" + "".join(_spelled(byte) for byte in os.fsencode(real)) + "'"


_ESCAPE = re.compile(r"\\(\\|n|r|t|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")
_ESCAPED = {"\\": "\\", "n": "\n", "r": "\r", "t": "\t"}


def _spelled(byte: int) -> str:
    character = chr(byte)
    if character in "\\'":
        return f"\\{character}"
    return character if 0x20 <= byte < 0x7F else f"\\{byte:03o}"


def _braces(numbers: Iterable[int]) -> str:
    texts = [str(number) for number in sorted(numbers)]
    return texts[0] if len(texts) == 1 else "{" + ",".join(texts) + "}"


def one_line(text: str) -> str:
    """The text on one line, without characters that a terminal or an editor would act on."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


_LOG_COMMAND = re.compile(r"^(\s*:)(?=:)|(##)(?=(?:vso|teamcity)?\[)", re.MULTILINE)


def inert(text: str) -> str:
    """The text for a log: no CI system takes a line that begins with `::`, or `##[` anywhere, for a command.

    https://docs.github.com/actions/reference/workflow-commands-for-github-actions,
    https://learn.microsoft.com/azure/devops/pipelines/scripts/logging-commands

    >>> inert("  ::error::x"), inert("a ##[group]"), inert("torch::f")
    ('  : :error::x', 'a ## [group]', 'torch::f')
    """
    return _LOG_COMMAND.sub(lambda found: f"{found[0]} ", text)


def code(text: str, longest: int = _LONGEST_CELL) -> str:
    """A text as a code span that GitHub shows as it is, on one line; "" of nothing.

    >>> code("a*b*"), code("`x"), code("")
    ('`a*b*`', '`` `x ``', '')
    """
    text = one_line(text)
    if len(text) > longest:
        text = text[: longest - 1] + "…"
    if not text:
        return ""
    lengths = {len(found) for found in _FENCES.findall(text)}
    fence = "`" * next(length for length in range(1, len(lengths) + 2) if length not in lengths)
    # One blank on each side is taken off again; without it the text's own backtick would be part of the fence.
    padding = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{padding}{text}{padding}{fence}"


def counted(number: int, noun: str) -> str:
    """A number with its noun, which takes an s for the plural.

    >>> counted(1, "file"), counted(2, "file")
    ('1 file', '2 files')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
