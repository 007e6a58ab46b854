"""Reading run logs: interleaved, coloured, cut off, binary, endless."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path

import pytest

from opcov.loaders.runlog import Frame, RunException, RunLog, parse_run_log, read_run_log

HEADER = "Traceback (most recent call last):\n"
TRAILER = "ThunderFX debug info saved to: /somewhere\nFiles:\n  - log.txt (1 bytes)\n"


def parse(text: str | bytes) -> RunLog:
    return parse_run_log(io.BytesIO(text.encode() if isinstance(text, str) else text))


def final(text: str | bytes) -> RunException:
    exception = parse(text).final_exception
    assert exception is not None
    return exception


# --- exceptions -------------------------------------------------------------------------------------------------------


def test_an_empty_log_says_nothing() -> None:
    assert parse("") == RunLog()


def test_the_final_exception_has_type_message_and_innermost_frame() -> None:
    log = (
        HEADER
        + '  File "/opt/run.py", line 3, in main\n    load(path)\n    ~~~~^^^^^^\n'
        + '  File "/opt/load.py", line 9, in <module>\n    import missing\n'
        + "ModuleNotFoundError: No module named 'missing'\n"
    )
    assert parse(log).final_exception == RunException(
        "ModuleNotFoundError", "No module named 'missing'", Frame("/opt/load.py", 9, "<module>"), 1
    )


def test_a_frame_prints_as_file_line_and_function() -> None:
    assert str(Frame("a.py", 3, "forward")) == "a.py:3 in forward"


def test_an_exception_without_a_message_is_its_type() -> None:
    exception = final(HEADER + '  File "a.py", line 1, in f\n    assert x\nAssertionError\n')
    assert (exception.type, exception.message, str(exception)) == ("AssertionError", "", "AssertionError")


def test_a_dotted_type_is_kept_as_printed() -> None:
    log = HEADER + '  File "a.py", line 1, in f\ntriton.runtime.errors.OutOfResources: out of resource: shared memory\n'
    assert final(log).type == "triton.runtime.errors.OutOfResources"


def test_a_type_with_an_unusual_name_counts_right_below_a_traceback() -> None:
    # A class of __main__ is printed without its module.
    assert final(HEADER + '  File "a.py", line 1, in f\n    go()\nOutOfLuck: seven\n').type == "OutOfLuck"


@pytest.mark.parametrize("line", ["WARNING: low memory", "Loading: 5%", "ValueError: not in a traceback"])
def test_a_line_that_only_looks_like_an_exception_is_none(line: str) -> None:
    assert parse(f"{line}\n").final_exception is None


def test_a_log_level_below_a_traceback_is_no_exception() -> None:
    log = HEADER + '  File "a.py", line 1, in f\n    go()\nERROR: from another process\nKeyError: 3\n'
    assert [exception.type for exception in parse(log).exceptions] == ["KeyError"]


def test_an_exception_that_reports_another_is_replaced_by_it() -> None:
    log = (
        HEADER
        + '  File "utils.py", line 402, in check\n    assert target is not None\n'
        + "torch._dynamo.exc.BackendCompilerFailed: backend='<C object at 0xf7f002f4bce0>' raised:\n"
        + "AssertionError: Failed to find method wait_stream\n"
    )
    assert final(log) == RunException(
        "AssertionError", "Failed to find method wait_stream", Frame("utils.py", 402, "check"), 1
    )


def test_a_report_without_its_cause_stands_for_itself() -> None:
    # The log was cut off after the first line of the message.
    log = HEADER + "  File \"a.py\", line 1, in f\ntorch._dynamo.exc.BackendCompilerFailed: backend='x' raised:\n"
    assert final(log).type == "torch._dynamo.exc.BackendCompilerFailed"


def test_a_message_that_begins_on_the_next_line_is_found() -> None:
    log = HEADER + '  File "a.py", line 1, in f\nRuntimeError: \nCUDA driver not found, at all\n'
    assert final(log).message == "CUDA driver not found, at all"


def test_memory_addresses_are_cut_from_messages() -> None:
    assert final(HEADER + "TypeError: <Node object at 0x7f132db09880> is none\n").message == (
        "<Node object at 0x…> is none"
    )


def test_short_hexadecimal_numbers_are_no_addresses() -> None:
    assert final(HEADER + "ValueError: flag 0x1f is unknown\n").message == "flag 0x1f is unknown"


def test_a_very_long_message_is_cut() -> None:
    message = final(HEADER + f"ValueError: {'x' * 3000}\n").message
    assert (len(message), message[-2:]) == (500, "x…")


def test_of_chained_exceptions_the_last_one_is_final() -> None:
    log = (
        HEADER
        + '  File "inner.py", line 1, in f\n    raise KeyError(1)\nKeyError: 1\n\n'
        + "During handling of the above exception, another exception occurred:\n\n"
        + HEADER
        + '  File "outer.py", line 2, in g\n    raise ValueError(2)\nValueError: 2\n'
    )
    result = parse(log)
    assert [(str(exception), str(exception.frame)) for exception in result.exceptions] == [
        ("KeyError: 1", "inner.py:1 in f"),
        ("ValueError: 2", "outer.py:2 in g"),
    ]
    assert (str(result.final_exception), result.tracebacks) == ("ValueError: 2", 2)


def test_a_frame_of_an_earlier_traceback_is_not_taken_for_a_later_one() -> None:
    log = (
        f'{HEADER}  File "early.py", line 1, in f\n    raise ValueError(1)\nValueError: 1\n'
        f'Warmup ...\n{HEADER}  File "late.py", line 2, in g\n    int("x")\nValueError: 2\n'
    )
    assert str(final(log).frame) == "late.py:2 in g"


def test_interleaved_tracebacks_find_the_frame_that_raises() -> None:
    # Two ranks print at the same time: the last frame before the exception belongs to the other one.
    log = (
        HEADER
        + '  File "run.py", line 1, in main\n    check(node)\n'
        + HEADER
        + '  File "utils.py", line 402, in check\n    assert target is not None, "no method"\n           ^^^^^^\n'
        + '  File "run.py", line 1, in main\n    check(node)\n'
        + "AssertionError: no method\n"
        + '  File "utils.py", line 402, in check\n    assert target is not None, "no method"\n'
        + "AssertionError: no method\n"
    )
    assert parse(log).exceptions == (RunException("AssertionError", "no method", Frame("utils.py", 402, "check"), 2),)


def test_an_exception_reported_again_at_an_outer_level_keeps_its_first_frame() -> None:
    log = (
        f'{HEADER}  File "utils.py", line 402, in check\n    assert x\nAssertionError: no method\n\n'
        "During handling of the above exception, another exception occurred:\n\n"
        f'{HEADER}  File "runner.py", line 7, in start\n    raise Exception(\n'
        "Exception: Capture failed: backend='x' raised:\nAssertionError: no method\n"
    )
    assert final(log) == RunException("AssertionError", "no method", Frame("utils.py", 402, "check"), 2)


def test_a_syntax_error_names_file_and_line() -> None:
    log = HEADER + '  File "a.py", line 3\n    x = = 1\n        ^\nSyntaxError: invalid syntax\n'
    assert str(final(log).frame) == "a.py:3"


def test_an_exception_group_is_read_through_its_frame_marks() -> None:
    log = (
        "  + Exception Group Traceback (most recent call last):\n"
        '  |   File "a.py", line 3, in main\n  |     raise ExceptionGroup("many", errors)\n'
        "  | ExceptionGroup: many (1 sub-exception)\n"
        "  +-+---------------- 1 ----------------\n"
        '    | Traceback (most recent call last):\n    |   File "b.py", line 9, in work\n    |     work()\n'
        "    | KeyError: 7\n    +------------------------------------\n"
    )
    assert [str(exception) for exception in parse(log).exceptions] == [
        "ExceptionGroup: many (1 sub-exception)",
        "KeyError: 7",
    ]


@pytest.mark.parametrize("prefix", ["[rank3]: ", "(Worker rank=3 pid=77) ", "3: "])
def test_launchers_may_put_a_prefix_before_each_line(prefix: str) -> None:
    lines = [HEADER.strip(), '  File "a.py", line 1, in f', "    go()", "ValueError: 1"]
    exception = final("".join(f"{prefix}{line}\n" for line in lines))
    assert (str(exception), str(exception.frame)) == ("ValueError: 1", "a.py:1 in f")


def test_a_traceback_may_begin_behind_a_progress_bar() -> None:
    log = f'  0%|   | 0/1\r 50%|#  | 1/2 {HEADER}  File "a.py", line 1, in f\nValueError: 1\n'
    assert (parse(log).tracebacks, str(final(log))) == (1, "ValueError: 1")


def test_windows_line_ends_are_line_ends() -> None:
    assert str(final(f'{HEADER}  File "a.py", line 1, in f\nValueError: 1\n'.replace("\n", "\r\n"))) == "ValueError: 1"


def test_colours_are_cut() -> None:
    log = (
        HEADER
        + '  File \x1b[35m"a.py"\x1b[0m, line \x1b[35m1\x1b[0m, in \x1b[35mf\x1b[0m\n'
        + "\x1b[1;35mValueError\x1b[0m: \x1b[35mbad\x1b[0m\n"
    )
    assert (str(final(log)), str(final(log).frame)) == ("ValueError: bad", "a.py:1 in f")


def test_what_could_steer_a_terminal_or_break_a_line_is_cut_from_messages() -> None:
    log = f"{HEADER}ValueError: a\x1b]8;;http://x\x07b\x08c\u2028d\x00e\n"
    assert final(log).message == "abcde"


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert final(HEADER.encode() + b"ValueError: \xff\xfe\n").message == "\ufffd\ufffd"


def test_distinct_exceptions_are_bounded_and_the_last_is_still_final() -> None:
    result = parse("".join(f"{HEADER}ValueError: number {number}\n" for number in range(80)))
    assert (len(result.exceptions), result.tracebacks, str(result.final_exception)) == (
        50,
        80,
        "ValueError: number 79",
    )


# --- ranks ------------------------------------------------------------------------------------------------------------


def test_ranks_are_seen_by_their_prefix_and_by_their_connection() -> None:
    log = (
        "[2025-10-20 23:45:36 TP2] Load weight begin.\n"
        "[rank10]:[W1020 23:46:00 ProcessGroup.cpp:1] Guessing device\n"
        "[Gloo] Rank 1 is connected to 3 peer ranks. Expected number of connected peer ranks is : 3\n"
    )
    assert parse(log).ranks_seen == (1, 2, 10)


def test_the_largest_group_tells_how_many_ranks_are_expected() -> None:
    # A rank on its own is announced as a group too: with 0 peers.
    lines = [
        f"[Gloo] Rank 0 is connected to {peers} peer ranks. Expected number of connected peer ranks is : {peers}\n"
        for peers in (0, 3, 0)
    ]
    assert parse("".join(lines)).expected_ranks == 4


@pytest.mark.parametrize(
    "line",
    [
        "server_args=ServerArgs(model_path='x', tp_size=8, pp_size=1)",
        "$ python -m bench --tp-size 8 --batch 1",
        "$ python -m bench --tp 8",
        "$ vllm serve x --tensor-parallel-size=8",
        "LLM(model='x', tensor_parallel_size=8)",
    ],
)
def test_without_connections_the_stated_tensor_parallel_size_is_expected(line: str) -> None:
    assert parse(line).expected_ranks == 8


def test_later_statements_of_the_size_may_be_advice_and_do_not_count() -> None:
    assert parse("bench --tp-size 2\nOut of memory, try --tp-size 8\n").expected_ranks == 2


def test_a_log_that_says_nothing_of_its_size_expects_none() -> None:
    assert parse("Warmup ...\nhttps://example.org/tp\n").expected_ranks is None


# --- the end ----------------------------------------------------------------------------------------------------------

WARM = "Warmup ...\nTotal. latency:  1.929 s\n"
DONE = WARM + "Benchmark ...\nTotal. latency:  0.089 s\n"
CRASH = HEADER + "KeyError: 1\n"


@pytest.mark.parametrize(
    ("log", "finished"),
    [
        (DONE, True),
        (DONE + TRAILER, True),
        (CRASH + DONE, True),  # handled, the run went on
        (DONE + CRASH, False),  # another rank failed afterwards
        (WARM, False),  # the totals of the warm-up are not those of the run
        (WARM + TRAILER, False),
        (WARM + "Benchmark ...\n", False),
        (TRAILER, True),
        (CRASH + TRAILER, False),  # failed runs write the trailer as well
        ("[2025-10-20 23:45:39 TP0] Load weight begin. avail mem=273.81 GB\n" + TRAILER, False),
        ("[x TP0] Load weight begin. avail\n[x TP0] Load weight end. type\n" + TRAILER, True),
        ("Killed\n" + TRAILER, False),
        ("run.sh: line 12: 4711 Segmentation fault      (core dumped) python bench.py\n" + TRAILER, False),
        ("Fatal Python error: Aborted\n", False),
        ("Killed by curiosity is no end\n" + TRAILER, True),
        ("hello\n", None),
    ],
)
def test_whether_the_run_finished(log: str, finished: bool | None) -> None:
    assert parse(log).finished is finished


def test_the_trailer_lists_the_saved_files() -> None:
    log = "ThunderFX debug info saved to: /x\nFiles:\n  - log.txt (13,769 bytes)\n  - rank0_0.py (9,937 bytes)\n=====\n"
    assert parse(log).listed_files == ("log.txt", "rank0_0.py")


def test_a_log_without_a_trailer_lists_nothing() -> None:
    assert parse("  - rank0_0.py (9,937 bytes)\n").listed_files is None


def test_of_two_trailers_the_last_counts() -> None:
    # A second run was appended to the log of the first.
    first = "debug info saved to: /x\nFiles:\n  - rank0_7.py (1 bytes)\n"
    assert parse(first + TRAILER).listed_files == ("log.txt",)


# --- size and noise ---------------------------------------------------------------------------------------------------


class Endless(io.RawIOBase):
    """A stream of a given size that repeats one piece of text and is never in memory as a whole."""

    def __init__(self, piece: bytes, size: int) -> None:
        self.piece = piece
        self.left = size

    def read(self, size: int = -1) -> bytes:
        size = min(size, self.left)
        self.left -= size
        return (self.piece * (size // len(self.piece) + 1))[:size]


@pytest.mark.parametrize(
    "piece",
    [
        b"x",  # one line without an end
        b"\r100%|##########| 1/1 [00:17<00:00, 17.63s/it]",  # one line that is rewritten over and over
        b"Traceback (most recent call last):\nValueError: 1\n",
        bytes(range(256)),
        b"\n",
    ],
    ids=["no-line-end", "progress-bar", "tracebacks", "binary", "blank"],
)
def test_a_large_log_takes_little_memory(piece: bytes) -> None:
    stream = Endless(piece, 4 << 20)
    tracemalloc.start()
    try:
        parse_run_log(stream)  # type: ignore[arg-type]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # A chunk of 64 KiB, and some multiples of it while it is cut into lines.
    assert (stream.left, peak < 2 << 20) == (0, True)


def test_what_follows_a_line_without_end_is_still_read() -> None:
    log = b"x" * 1_000_000 + f"\n{HEADER}ValueError: 1\n".encode()
    assert str(final(log)) == "ValueError: 1"


def test_listed_files_and_ranks_are_bounded() -> None:
    ranks = "".join(f"[rank{rank}]: hello\n" for rank in range(5000))
    files = "".join(f"  - rank0_{index}.py (1 bytes)\n" for index in range(100_001))
    result = parse(f"{ranks}ThunderFX debug info saved to: /x\n{files}")
    assert result.listed_files is not None
    assert (len(result.ranks_seen), len(result.listed_files)) == (4096, 100_000)


def test_a_log_is_read_from_a_path(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_text(DONE)
    assert read_run_log(tmp_path / "log.txt").finished is True


def test_a_log_that_is_gone_raises_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_run_log(tmp_path / "log.txt")


# --- the measured corpus ----------------------------------------------------------------------------------------------

NO_METHOD = "AssertionError: Failed to find method wait_stream"
NO_FUNCTION = "AttributeError: module 'triton.language' has no attribute 'constexpr_function'"
MEASURED = {
    "Qwen/Qwen3-Next-80B-A3B-Instruct": (
        16,  # 8 ranks, each with a second traceback while it handles the first
        "NotImplementedError: argument of type: <class 'torch.cuda.streams.Stream'>",
        "torch/fx/proxy.py:403 in create_arg",
    ),
    "Qwen/Qwen3-Next-80B-A3B-Instruct-FP8": (
        8,
        NO_METHOD,
        "thunder/dynamo/utils.py:402 in is_node_supported_by_thunder",
    ),
    "Qwen/Qwen3-Next-80B-A3B-Thinking": (8, NO_METHOD, "thunder/dynamo/utils.py:402 in is_node_supported_by_thunder"),
    "meta-llama/Llama-4-Maverick-17B-128E-Instruct": (4, NO_FUNCTION, "numerics_details/flexpoint.py:55 in <module>"),
    "meta-llama/Llama-4-Scout-17B-16E-Instruct": (4, NO_FUNCTION, "numerics_details/flexpoint.py:55 in <module>"),
    "mistralai/Magistral-Small-2509": (
        4,
        "KeyError: <class 'transformers.models.mistral3.configuration_mistral3.Mistral3Config'>",
        "models/auto/auto_factory.py:815 in __getitem__",
    ),
    "unsloth/Qwen3-30B-A3B-GGUF": (4, NO_FUNCTION, "numerics_details/flexpoint.py:55 in <module>"),
}


@pytest.mark.parametrize("model", MEASURED)
def test_a_measured_failure_is_told_with_its_cause(shared: Path, model: str) -> None:
    log = read_run_log(shared / "gm" / model / "log.txt")
    tracebacks, exception, frame = MEASURED[model]
    assert log.final_exception is not None
    assert (log.tracebacks, str(log.final_exception)) == (tracebacks, exception)
    assert str(log.final_exception.frame).endswith(frame)


def test_every_measured_traceback_is_closed_by_an_exception(shared: Path) -> None:
    for path in sorted((shared / "gm").glob("*/*/log.txt")):
        log = read_run_log(path)
        assert sum(exception.count for exception in log.exceptions) == log.tracebacks, path.parent.name


def test_the_measured_runs_finished_exactly_where_nothing_failed(shared: Path) -> None:
    unfinished = [
        path.parent.relative_to(shared / "gm").as_posix()
        for path in sorted((shared / "gm").glob("*/*/log.txt"))
        if read_run_log(path).finished is not True
    ]
    assert unfinished == list(MEASURED)


def test_the_measured_logs_show_all_their_ranks(shared: Path) -> None:
    for path in sorted((shared / "gm").glob("*/*/log.txt")):
        log = read_run_log(path)
        size = 8 if path.parent.name == "Qwen3-Next-80B-A3B-Instruct" else 4
        assert (log.expected_ranks, log.ranks_seen) == (size, tuple(range(size))), path.parent.name


# --- captures by opcov ------------------------------------------------------------------------------------------------


FILES = "ThunderFX debug info saved to: m\nFiles:\n  - rank0_0.py (9 bytes)\n"
TWO_RANKS = "[opcov] Capture of rank 0 begin.\n[opcov] Capture of rank 1 begin.\n"


@pytest.mark.parametrize(
    ("text", "finished", "failures"),
    [
        (f"[opcov] Capture begin. tp_size=1\n[opcov] Capture end.\n{FILES}", True, ()),
        (f"[opcov] Capture begin. tp_size=1\n{FILES}", False, ()),
        ("[opcov] Capture begin. tp_size=1\nBenchmark ...\nTotal. latency: 1\n", False, ()),
        (f"[opcov] Capture begin.\n[opcov] Capture failed: it exited with 3\n{FILES}", False, ("it exited with 3",)),
        (f"{TWO_RANKS}[opcov] Capture of rank 0 end.\n{FILES}", False, ()),
        ("[opcov] Capture of rank 1 begin.\n50%|# [opcov] Capture of rank 1 failed: gone\n", False, ("rank 1: gone",)),
        (f"[opcov] Capture begin.\n100%|### [opcov] Capture end.\n{FILES}", True, ()),
    ],
    ids=["ended", "killed", "killed behind a benchmark", "failed", "one rank killed", "one rank failed", "glued"],
)  # fmt: skip
def test_a_capture_has_finished_when_all_of_it_has_ended_and_nothing_failed(
    text: str, finished: bool, failures: tuple[str, ...]
) -> None:
    log = parse_run_log(io.BytesIO(text.encode()))
    assert (log.finished, log.capture_failures) == (finished, failures)
