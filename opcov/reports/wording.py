"""Short texts that several reports share: source paths without library prefixes, file names folded for a shell."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

from opcov.corpus import natural_key

_PREFIX = re.compile(r"^.*/(?:site-packages|dist-packages|python|src|lib/python\d[\d.]*)/")
_RANKED = re.compile(r"(?P<folder>.*?)rank(?P<rank>\d+)_(?P<index>\d+)\.py", re.DOTALL)
_NUMBERED = re.compile(r"(?P<folder>.*?)graph_module_(?P<number>\d+)\.py", re.DOTALL)
_SAFE = re.compile(r"[\w@%+=:,./-]*")


def short_source(file: str) -> str:
    """A recorded source path below its library: `sglang/srt/layers/layernorm.py`.

    >>> short_source("/usr/lib/python3/dist-packages/torch/nn/functional.py")
    'torch/nn/functional.py'
    """
    return _PREFIX.sub("", file) or file


def fold_files(paths: Iterable[str]) -> list[str]:
    """Paths with ranks and indices folded, so that a shell with braces expands each to the files it stands for.

    Ranks with the same indices share one entry, so a fold never names a file that is not there.

    >>> fold_files(["m/rank0_0.py", "m/rank0_21.py", "m/rank1_0.py", "m/rank1_21.py", "m/rank2_5.py"])
    ['m/rank{0,1}_{0,21}.py', 'm/rank2_5.py']
    """
    indices: dict[str, dict[int, set[int]]] = {}
    numbers: dict[str, set[int]] = {}
    folded: list[str] = []
    for path in paths:
        ranked, numbered = _RANKED.fullmatch(path), _NUMBERED.fullmatch(path)
        if not _SAFE.fullmatch(path):
            folded.append(shlex.quote(path))
        elif ranked and path == f"{ranked['folder']}rank{int(ranked['rank'])}_{int(ranked['index'])}.py":
            indices.setdefault(ranked["folder"], {}).setdefault(int(ranked["rank"]), set()).add(int(ranked["index"]))
        elif numbered and path == f"{numbered['folder']}graph_module_{int(numbered['number'])}.py":
            numbers.setdefault(numbered["folder"], set()).add(int(numbered["number"]))
        else:
            folded.append(path)
    for folder, by_rank in indices.items():
        ranks_with: dict[frozenset[int], list[int]] = {}
        for rank in sorted(by_rank):
            ranks_with.setdefault(frozenset(by_rank[rank]), []).append(rank)
        folded += [f"{folder}rank{_braces(ranks)}_{_braces(shared)}.py" for shared, ranks in ranks_with.items()]
    folded += [f"{folder}graph_module_{_braces(found)}.py" for folder, found in numbers.items()]
    return sorted(folded, key=natural_key)


def _braces(numbers: Iterable[int]) -> str:
    texts = [str(number) for number in sorted(numbers)]
    return texts[0] if len(texts) == 1 else "{" + ",".join(texts) + "}"


def one_line(text: str) -> str:
    """The text on one line, without characters that a terminal or an editor would act on."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())
