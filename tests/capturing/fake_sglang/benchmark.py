"""Stands for SGLang's benchmark of one batch, whose main does not ask how its processes ended."""

import argparse
import dataclasses
import multiprocessing
import os
import signal
import sys
import time

import torch
from sglang.srt.model import Model
from sglang.srt.patching import apart_from_the_model, patch_model


@dataclasses.dataclass
class ServerArgs:
    model_path: str
    tp_size: int
    load_format: str
    log_level: str = "info"

    @staticmethod
    def add_cli_args(parser):
        parser.add_argument("--model-path")
        parser.add_argument("--tp-size", type=int)
        parser.add_argument("--load-format")
        for ignored in ("--device", "--attention-backend", "--max-total-tokens", "--torch-compile-max-bs"):
            parser.add_argument(ignored)
        parser.add_argument("--enable-torch-compile", action="store_true")

    @classmethod
    def from_cli_args(cls, arguments):
        return cls(arguments.model_path, arguments.tp_size, arguments.load_format)


@dataclasses.dataclass
class BenchArgs:
    trouble: str

    @staticmethod
    def add_cli_args(parser):
        parser.add_argument("--result-filename")
        parser.add_argument("--trouble", default="")

    @classmethod
    def from_cli_args(cls, arguments):
        return cls(arguments.trouble)


class Runner:
    def __init__(self):
        self.model = Model()

    def extend(self, x):
        return apart_from_the_model(self.model(x))

    def capture(self):
        with patch_model(self.model, True, 1, None) as forward:
            self.compiled = forward
            self.decode(torch.ones(1, 8))

    def decode(self, x):
        return self.compiled(x)


def get_tokenizer():
    raise OSError("there is no tokenizer")


def latency_test(server_args, port_args, bench_args, *rank):
    what, _, where = bench_args.trouble.partition(":")
    sys.stdout.write(f"TP{rank[-1]} loads with {server_args.load_format}\n")
    get_tokenizer()
    if where == str(rank[-1]):
        if what == "raise":
            raise RuntimeError("out of memory")
        if what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "exit":
            sys.exit(3)
        if what == "hang":
            time.sleep(600)
        if what == "silent":
            return
    runner = Runner()
    runner.capture()
    runner.extend(torch.ones(4, 8))
    for _ in range(3):
        runner.decode(torch.ones(1, 8))


def kill_process_tree(parent_pid, include_parent):
    sys.stdout.write("the rest is killed\n")


def main(server_args, bench_args):
    multiprocessing.set_start_method("spawn", force=True)
    if server_args.tp_size == 1:
        latency_test(server_args, None, bench_args, 0)
        return
    processes = [
        multiprocessing.Process(target=latency_test, args=(server_args, None, bench_args, rank))
        for rank in range(server_args.tp_size)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    ServerArgs.add_cli_args(parser)
    BenchArgs.add_cli_args(parser)
    parsed = parser.parse_args()
    main(ServerArgs.from_cli_args(parsed), BenchArgs.from_cli_args(parsed))
