"""Several launchers, one a rank, write one model: one log, one record, whoever comes first, fails or never answers."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from capture_runs import PROJECT, environment, found, launcher

import opcov
from opcov.corpus.health import Health
from opcov.reports.html.ranks import Change, rank_differences


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "gm" / "org" / "model"


def rank_of_run(
    folder: Path, rank: int, program: str = "save()", size: int = 3, run: str = "one", **setting: object
) -> subprocess.Popen[str]:
    """A launcher that torchrun would have started."""
    own = environment(RANK=str(rank), WORLD_SIZE=str(size), TORCHELASTIC_RUN_ID=run, MASTER_PORT="29500")
    command = launcher(folder, program, ranks=size, rank=rank, setting={"rank": rank, **setting})
    return subprocess.Popen(command, env=own, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(*processes: subprocess.Popen[str]) -> list[int]:
    for process in processes:
        process.communicate(timeout=60)
    return [process.returncode for process in processes]


def test_ranks_that_end_well_have_one_log_and_one_record(folder: Path) -> None:
    codes = ended(*[rank_of_run(folder, rank, f"save(); print('I am {rank}')") for rank in range(3)])
    left = found(folder)
    assert codes == [0, 0, 0]
    assert left.names == ("rank0_0.py", "rank1_0.py", "rank2_0.py")
    assert (left.status, left.diagnosis.health, left.others) == ("ok", Health.OK, ())
    assert all(f"I am {rank}\n" in left.log for rank in range(3))
    assert left.log.count("debug info saved to") == 1
    assert left.record is not None
    assert ([part.rank for part in left.record.parts], left.record.ranks) == ([0, 1, 2], 3)


@pytest.mark.parametrize("order", [(2, 1, 0), (0, 2, 1)])
def test_ranks_that_come_one_after_another_are_one_run(folder: Path, order: tuple[int, ...]) -> None:
    for rank in order:
        assert ended(rank_of_run(folder, rank)) == [0]
    left = found(folder)
    assert left.names == ("rank0_0.py", "rank1_0.py", "rank2_0.py")
    assert (left.status, left.diagnosis.health, left.others) == ("ok", Health.OK, ())


def test_an_earlier_capture_of_the_same_launcher_is_replaced(folder: Path) -> None:
    for _ in range(2):
        assert ended(*[rank_of_run(folder, rank) for rank in range(3)]) == [0, 0, 0]
    left = found(folder)
    assert left.names == ("rank0_0.py", "rank1_0.py", "rank2_0.py")
    assert left.log.count("begin.") == 3


def test_an_earlier_capture_that_lacks_a_rank_is_replaced(folder: Path) -> None:
    ended(rank_of_run(folder, 0, "save(); save()", size=2, run="earlier"))
    assert found(folder).status == "failed"
    assert ended(*[rank_of_run(folder, rank, size=2) for rank in (1, 0)]) == [0, 0]
    left = found(folder)
    assert (left.names, left.status) == (("rank0_0.py", "rank1_0.py"), "ok")


def test_a_rank_that_fails_makes_the_run_fail_and_the_others_are_kept(folder: Path) -> None:
    codes = ended(*[rank_of_run(folder, rank, "save()" + "; os._exit(3)" * (rank == 1)) for rank in range(3)])
    left = found(folder)
    assert codes == [0, 1, 0]
    assert left.names == ("rank0_0.py", "rank1_0.py", "rank2_0.py")
    assert (left.status, left.failures) == ("failed", ["it exited with 3"])
    assert left.diagnosis.health is Health.PARTIAL
    assert "the capture failed: rank 1: it exited with 3" in left.diagnosis.reasons


def test_a_rank_that_saves_nothing_fails_alone(folder: Path) -> None:
    codes = ended(*[rank_of_run(folder, rank, "pass" if rank == 2 else "save()") for rank in range(3)])
    left = found(folder)
    assert codes == [0, 0, 1]
    assert left.failures == ["rank 2 saved no graph"]


def test_a_rank_that_never_comes_makes_the_run_fail(folder: Path) -> None:
    assert ended(*[rank_of_run(folder, rank) for rank in (0, 2)]) == [0, 0]
    left = found(folder)
    assert (left.status, left.failures) == ("failed", ["it has not come"])
    assert "no graphs of rank 1 of 3" in left.diagnosis.reasons


def test_a_rank_that_is_killed_makes_the_run_fail(folder: Path, tmp_path: Path) -> None:
    here = tmp_path / "here"
    hanging = rank_of_run(folder, 1, f"save(); open({str(here)!r}, 'w'); time.sleep(600)", size=2)
    end = time.monotonic() + 20
    while not here.exists():
        assert time.monotonic() < end
        time.sleep(0.02)
    hanging.send_signal(signal.SIGKILL)
    ended(hanging)
    assert ended(rank_of_run(folder, 0, size=2)) == [0]
    left = found(folder)
    assert left.names == ("rank0_0.py", "rank1_0.py")
    assert (left.status, left.failures) == ("failed", ["it ended without a word"])
    assert left.diagnosis.health is Health.PARTIAL


def test_a_reproducible_log_has_the_ranks_in_their_order(folder: Path) -> None:
    for rank in (2, 0, 1):
        ended(rank_of_run(folder, rank, f"save(); print('I am {rank}')", reproducible=True))
    left = found(folder)
    said = [line for line in left.log.splitlines() if line.startswith(("I am", "[opcov]"))]
    assert said == [
        line
        for rank in range(3)
        for line in (
            f"[opcov] Capture of rank {rank} begin. tp_size=3",
            f"I am {rank}",
            f"[opcov] Capture of rank {rank} end.",
        )
    ]
    assert (left.status, left.others, left.diagnosis.health) == ("ok", (), Health.OK)


EMBEDDING = """
import torch
import torch.distributed as distributed

distributed.init_process_group("gloo")
rank = distributed.get_rank()

class Embedding(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.start, self.end = rank * 8, (rank + 1) * 8
        self.weight = torch.nn.Parameter(torch.ones(8, 4))

    def forward(self, ids):
        mask = (ids >= self.start) & (ids < self.end)
        out = torch.nn.functional.embedding(mask * (ids - self.start), self.weight)
        return out.masked_fill((~mask).unsqueeze(-1), 0)

out = torch.compile(Embedding())(torch.arange(32))
distributed.all_reduce(out)
assert out.sum() == 32 * 4
torch.compile(lambda x: torch.sinc(x) + 1)(torch.ones(2))
print(f"rank {rank} is there")
distributed.destroy_process_group()
"""


def test_four_ranks_of_torchrun_are_captured_and_a_scan_explains_how_they_differ(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "embedding.py").write_text(EMBEDDING)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "4"]
    command += ["-m", "opcov", "capture", "script", str(tmp_path / "embedding.py"), "--out", str(folder)]
    own = environment(OMP_NUM_THREADS="1", GLOO_SOCKET_IFNAME="lo")
    result = subprocess.run(command, env=own, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    left = found(folder)
    assert left.names == tuple(f"rank{rank}_{index}.py" for rank in range(4) for index in range(2))
    assert (left.status, left.diagnosis.health, left.others) == ("ok", Health.OK, ())
    assert all(f"rank {rank} is there" in left.log for rank in range(4))
    scan = opcov.scan(folder, cache=False)
    (model,) = scan.coverage.models.values()
    (difference,) = rank_differences(model, scan._findings)
    assert difference.index == 0
    assert difference.changes == (Change.INTEGERS,)
    assert [ranks for ranks, _ in difference.groups] == [(0,), (1,), (2,), (3,)]
