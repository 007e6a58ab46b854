"""Scans that remember nothing, against (b), the imports, and (c), one question to Thunder a node without a memo."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from processes import answer, baselines, run, scan, told

if TYPE_CHECKING:
    from conftest import Timing

GRAIN = 2.1
"""Seconds after which the cache takes a file's status for its content."""


def bench_cold_scan(timing: Timing, corpus: Path, tmp_path: Path) -> None:
    """A first scan: how much it takes beyond the imports, and how many nodes a second it then judges."""
    first = scan(corpus, "--out", tmp_path / "all_ops.py")
    found = timing("cold scan", first, {"(b)": baselines(corpus)["(b)"]})
    beyond = found["cold scan"].median - found["(b)"].median
    plain = answer("plain.py", corpus)
    inside = answer("inside.py", corpus)
    timing.say(f"    (c) takes {plain['seconds']} s for {plain['nodes']} nodes: {plain['nodes/s']} nodes/s")
    spent = {"beyond the imports": beyond, "in a process that has imported all": inside["seconds"]}
    for name, seconds in spent.items():
        # The imports of a scan may take less than they do by themselves, since it pauses Python's collector meanwhile.
        told_of = (
            f"{plain['nodes'] / seconds:.0f} nodes/s, {plain['seconds'] / seconds:.1f} x (c)" if seconds > 0 else ""
        )
        timing.say(f"    {name}: {seconds:.2f} s  {told_of}")
    timing.note(plain=plain, inside=inside, beyond=beyond, phases=told(first))


def bench_one_changed_file(timing: Timing, corpus: Path, cache: Path, tmp_path: Path) -> None:
    """A changed file costs a warm scan and its own share; another Thunder judges all again and parses nothing."""
    changing = tmp_path / "gm"
    shutil.copytree(corpus, changing)
    time.sleep(GRAIN)
    again = scan(changing, "--out", tmp_path / "all_ops.py", cache=cache)
    run(again)
    file = next(path for path in sorted(changing.rglob("rank*.py")) if b"thunder_0" in path.read_bytes())
    alone = tmp_path / "alone"
    alone.mkdir()
    changes = iter(range(1_000_000))

    def edit(name: str) -> None:
        text = re.sub(r"\n# changed \d+\n\Z", "\n", file.read_text(encoding="utf-8")).rstrip("\n")
        text += f"\n\n# changed {next(changes)}\n"
        (alone / file.name).write_text(text, encoding="utf-8")
        if name == "one changed file":
            file.write_text(text, encoding="utf-8")

    others = {"nothing changed": again, "that file alone, cold": scan(alone, "--out", tmp_path / "alone.py")}
    found = timing("one changed file", again, others, before=edit)
    share = sum(found[name].median for name in others)
    timing.say(f"    {found['one changed file'].median / share:.2f} x of both others together")
    judged = told(again, THUNDER_BENCHMARK="another")["judge"]  # a variable that the fingerprint counts
    timing.say(f"    another Thunder: {judged}")
    timing.note(share=share, another_thunder=judged)
