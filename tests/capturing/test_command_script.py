"""`opcov capture script` runs a program as Python would, and saves what it compiles."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from capture_runs import captured_script, environment, found

from opcov.corpus.health import Health
from opcov.loaders import load_text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "gm" / "org" / "model"


# setuptools, which torch.compile imports, adds a folder of its own to sys.path.
PROBE = """
import json, os, sys
print("PROBE", json.dumps({
    "argv": sys.argv, "name": __name__, "file": __file__, "main": sys.modules["__main__"].__dict__ is globals(),
    "names": sorted(globals()), "path": [one for one in sys.path if "setuptools" not in one],
    "cwd": os.getcwd(), "spec": getattr(__spec__, "name", None),
    "input": sys.stdin.read(), "package": __package__,
}))
"""


def probed(output: str) -> str:
    (line,) = [line for line in output.splitlines() if line.startswith("PROBE")]
    return line


def test_a_script_finds_what_python_gives_it(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "work").mkdir()
    script = tmp_path / "work" / "link.py"
    (tmp_path / "elsewhere" / "probe.py").write_text(PROBE)
    script.symlink_to(tmp_path / "elsewhere" / "probe.py")
    own = {"cwd": tmp_path / "work", "env": environment(), "input": "typed", "capture_output": True, "text": True}
    plain = subprocess.run([sys.executable, "link.py", "-x", "--", "y"], check=True, **own)
    command = [sys.executable, "-m", "opcov", "capture", "script", "link.py", "--out", tmp_path / "m", "--", "-x", "--"]
    result = subprocess.run([*command, "y"], check=False, **own)
    assert probed(result.stdout) == probed(plain.stdout)
    assert result.returncode == 1, "it saves no graph"


def test_a_module_finds_what_python_gives_it(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text(PROBE)
    own = {"cwd": tmp_path, "env": environment(), "input": "typed", "capture_output": True, "text": True}
    plain = subprocess.run([sys.executable, "-m", "package", "x"], check=True, **own)
    command = [sys.executable, "-m", "opcov", "capture", "script", "-m", "package", "--out", tmp_path / "m", "--", "x"]
    result = subprocess.run(command, check=False, **own)
    assert probed(result.stdout) == probed(plain.stdout)


def test_graphs_are_saved_split_whatever_backend_a_program_names(folder: Path) -> None:
    source = """
import torch
from thunder.dynamo import thunderfx
def f(x): return torch.sinc(x) + 1
def g(x): return torch.sinc(x) + 2
def h(x): return torch.sinc(x) + 3
for one in (torch.compile(f), torch.compile(g, backend="opcov"), thunderfx(h)):
    assert torch.equal(one(torch.zeros(2)), one(torch.zeros(2)))
"""
    result = captured_script(folder, source)
    left = found(folder)
    assert result.returncode == 0, result.stderr
    assert left.names == ("rank0_0.py", "rank0_1.py", "rank0_2.py")
    assert (left.status, left.diagnosis.health, left.others) == ("ok", Health.OK, ())
    assert left.record is not None
    (part,) = left.record.parts
    assert [graph.calls for graph in part.graphs] == [2, 2, 2]
    assert part.device == "cpu"
    assert [what.partition(":")[0] for what in part.replaced] == [
        "torch.compile's backend inductor",
        "torch.compile's backend ThunderCompiler",
    ]
    (graph,), _ = load_text((folder / "rank0_0.py").read_text())
    assert [(call.op, call.region and call.region.name) for call in graph.calls] == [
        ("torch.sinc", "inductor_0"),
        ("operator.add", "thunder_1"),
    ]


CRASHES = """
import sys
import torch

class Stream:
    pass

def lost(x):
    y = torch.sin(x)
    return y.sin() + 1

def raising(graph):
    for node in list(graph.graph.nodes):
        if node.target == "sin":
            node.target = "no_such_method"

from opcov.capturing.backend import Backend
sys.stderr = open("elsewhere.txt", "w")
torch.compile(lost, backend=Backend(prepare=raising))(torch.ones(2))
torch.compile(lambda x: x * 2)(torch.ones(2))
print("came to its end")
"""
"""A program with a graph on which Thunder's splitter raises: a method that torch.Tensor does not have."""


def test_a_crash_of_the_splitter_that_the_run_survived_makes_the_model_partial(folder: Path) -> None:
    result = captured_script(folder, CRASHES)
    left = found(folder)
    assert result.returncode == 0, result.stderr
    assert left.names == ("graph_module_0_0.py", "rank0_1.py")
    assert "came to its end" in left.log
    assert left.diagnosis.health is Health.PARTIAL
    assert any("Failed to find method no_such_method" in reason for reason in left.diagnosis.reasons)
    assert left.record is not None
    crashed, fine = left.record.parts[0].graphs
    assert (crashed.file, crashed.calls, fine.crash) == ("graph_module_0_0.py", 1, "")
    assert crashed.crash.startswith("AssertionError: Failed to find method no_such_method")
    assert "1 graph on which Thunder's splitter raised" in result.stderr


def test_a_crash_of_the_splitter_ends_the_run_where_that_is_asked_for(folder: Path) -> None:
    result = captured_script(folder, CRASHES, "--stop-on-crash")
    left = found(folder)
    assert result.returncode == 1
    assert left.names == ("graph_module_0_0.py",)
    assert (left.status, left.failures) == ("failed", ["it exited with 1"])
    assert left.diagnosis.health is Health.PARTIAL


PROCESSES = """
import multiprocessing, os, sys
import torch

def double(x):
    return torch.sinc(x) * 2

def work(number):
    torch.compile(double)(torch.ones(number + 2))

if __name__ == "__main__":
    method = sys.argv[1]
    work(0)
    context = multiprocessing.get_context(method)
    children = [context.Process(target=work, args=(number,)) for number in (1, 2)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0]
"""


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_processes_that_a_program_starts_are_captured_too(folder: Path, method: str) -> None:
    result = captured_script(folder, PROCESSES, arguments=[method])
    left = found(folder)
    assert result.returncode == 0, result.stdout + result.stderr
    assert left.names == ("rank0_0.py", "rank0_1.py", "rank0_2.py")
    assert left.record is not None
    assert [graph.calls for graph in left.record.parts[0].graphs] == [1, 1, 1]


def test_a_subprocess_is_logged_and_saves_what_it_compiles_with_the_backend(folder: Path) -> None:
    program = "import torch; torch.compile(torch.sinc, backend='opcov')(torch.ones(2)); print('below')"
    source = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {program!r}], check=True)"
    result = captured_script(folder, source)
    left = found(folder)
    assert (result.returncode, left.names) == (0, ("rank0_0.py",))
    assert "below" in left.log


def test_a_program_that_compiles_nothing_has_failed(folder: Path) -> None:
    result = captured_script(folder, "import torch; print(torch.ones(2) + 1)")
    left = found(folder)
    assert result.returncode == 1
    assert left.failures == ["rank 0 saved no graph"]
    assert left.diagnosis.health is Health.FAILED


def test_an_exception_is_shown_as_python_shows_it(folder: Path) -> None:
    source = "import torch\ntorch.compile(torch.sinc)(torch.ones(2))\nraise ValueError('no such weight')\n"
    result = captured_script(folder, source)
    script = folder.parent / "model.script.py"
    plain = subprocess.run([sys.executable, script], capture_output=True, text=True, env=environment(), check=False)
    left = found(folder)
    assert result.returncode == 1
    assert plain.stderr.splitlines()[0] == "Traceback (most recent call last):"
    assert plain.stderr in left.log
    assert left.names == ("rank0_0.py",)
    assert "1 traceback in the run log, the last: ValueError: no such weight" in left.diagnosis.reasons


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.py", "--out", "m"], "nowhere.py is no file"),
        (["--out", "m"], "required"),
        (["x.py"], "required: --out"),
        (["x.py", "--out", "m", "--timeout", "soon"], "no number of seconds"),
        (["x.py", "--out", "x.py/m"], "cannot capture into x.py/m: Not a directory"),
    ],
)
def test_what_cannot_be_captured_is_told_with_exit_code_2(tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "x.py").write_text("")
    command = [sys.executable, "-m", "opcov", "capture", "script", *arguments]
    result = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    assert result.returncode == 2
    assert message in result.stderr.replace(f"{os.path.realpath(tmp_path)}/", "")
    assert "Traceback" not in result.stderr


REPRODUCED = """
import sys, torch
print(__file__, torch.__file__, object(), file=sys.stderr)

def f(x):
    return torch.sinc(x) + 1

def g(x):
    return torch.sort(x)[0]

for one in (f, g):
    torch.compile(one)(torch.ones(3))
"""


def test_a_reproducible_capture_is_the_same_in_every_byte_and_free_of_this_machine(tmp_path: Path) -> None:
    contents = []
    for place in ("one", "another"):
        folder = tmp_path / place / "gm" / "org" / "model"
        result = captured_script(folder, REPRODUCED, "--reproducible", "--verdicts")
        assert result.returncode == 0, result.stderr
        contents.append({path.name: path.read_bytes() for path in sorted(folder.iterdir())})
    assert contents[0] == contents[1]
    assert sorted(contents[0]) == ["capture.json", "log.txt", "rank0_0.py", "rank0_1.py"]
    for content in contents[0].values():
        for place in (str(tmp_path), sys.prefix, str(Path.cwd())):
            assert place.encode() not in content
    assert b"/opt/project/model.script.py" in contents[0]["log.txt"]
    assert b"site-packages/torch/__init__.py <object object at 0x7f0000000000>" in contents[0]["log.txt"]


SPLITS = """
import torch

def f(x, w):
    y = torch.sinc(x @ w) + 1
    with torch.no_grad():
        z = torch.sinc(y).cos()
    return torch.topk(z, 1)[0] * y

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.up = torch.nn.Linear(4, 8)
        self.register_buffer("scale", torch.ones(8))
    def forward(self, x):
        y = torch.nn.functional.gelu(self.up(x)) * self.scale
        print("break")
        return torch.sinc(y).sum()

torch.compile(f)(torch.ones(2, 4), torch.ones(4, 4))
net = torch.compile(Net())
net(torch.ones(2, 4))
net(torch.ones(3, 4))
"""


def test_thunderfx_itself_places_nodes_as_the_splitter_alone_does(tmp_path: Path) -> None:
    texts = {}
    for run in ("eager", "thunderfx"):
        folder = tmp_path / run / "model"
        result = captured_script(folder, SPLITS, "--run", run, "--reproducible")
        assert result.returncode == 0, result.stdout + result.stderr
        texts[run] = {name: placements(folder / name) for name in found(folder).names}
    assert texts["eager"] == texts["thunderfx"]
    assert len(texts["eager"]) >= 4


def placements(path: Path) -> list[tuple[str, str, str | None]]:
    (graph,), _ = load_text(path.read_text(encoding="utf-8"))
    return [(call.name, call.op, call.region.name if call.region else None) for call in graph.calls]


def test_a_region_that_inductor_cannot_compile_is_one_clear_failure(folder: Path) -> None:
    source = "import torch\ntorch.compile(lambda x: torch.sinc(x) + 1)(torch.ones(2))\n"
    own = environment(CXX="/nowhere/compiler", TORCHINDUCTOR_CACHE_DIR=str(folder.parent / "cache"))
    result = captured_script(folder, source, "--run", "thunderfx", env=own)
    left = found(folder)
    assert result.returncode == 1
    assert (left.names, left.status, left.failures) == (("rank0_0.py",), "failed", ["it exited with 1"])
    assert "/nowhere/compiler" in left.log
    assert left.diagnosis.health is Health.PARTIAL
