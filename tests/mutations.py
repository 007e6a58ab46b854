"""Damages texts at random, the same way for the same seed: what a file goes through that nobody has checked."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

_TOKEN = re.compile(rb"\w+|\s+|[^\w\s]")
_WINDOW = 40

HOSTILE: tuple[bytes, ...] = (
    b"__import__('os').system('true')", b"torch.os.system('true')", b"torch.load('x')", b"torch.manual_seed(7)",
    b"torch.set_default_dtype(torch.float64)", b"torch.set_default_device('meta')", b"torch.set_grad_enabled(False)",
    b"torch._C._set_grad_enabled(False)", b"torch.inference_mode(True)", b"torch.use_deterministic_algorithms(True)",
    b"torch.amp.autocast_mode._enter_autocast('cpu', torch.bfloat16, True, None)",
    b"torch._C._functorch._vmap_increment_nesting(4, 'error')", b"torch._C._functorch._grad_increment_nesting()",
    b"torch._C._functorch._jvp_increment_nesting()", b"torch._C._set_fwd_grad_enabled(False)",
    b"torch._C._autograd._saved_tensors_hooks_disable('no')", b"torch.set_num_threads(1)", b"torch.rand(3, 4)",
    b"torch.cuda.set_stream(0)", b"torch.cuda.synchronize()", b"torch.seed()", b"torch.set_printoptions(precision=1)",
    b"torch.ops.load_library('x.so')", b"torch.ops.aten.sin.default(x)", b"torch._dynamo.reset()", b"exit()",
    b"torch.zeros(99999999999, 99999999999)", b"torch.arange(10**9)", b"x.repeat(9999999, 9999999)", b"x.tolist()",
    b"'a' * 9999999999", b"[x] * 9999999999", b"9 ** 9 ** 9 ** 9", b"1 << 99999999999", b"pow(9, 999999999)",
    b"range(10**18)", b"list(range(10**18))", b"max([x], key=print)", b"getattr(x, '__class__')",
    b"x.__class__.__mro__",
    b"x.wait_stream(x)", b"x.sin_()", b"x.requires_grad_()", b"x.backward()", b"x.set_(x)",
    b"x.resize_(9)", b"x.share_memory_()",
    b"x.register_hook(print)", b"x.numpy()", b"self.__class__", b"self.training", b"self", b"super().forward(x)",
    b"lambda: 0", b"(yield)", b"await x", b"*x", b"**x", b"x if x else x", b"[y for y in x]", b"f'{x}'", b"(x := 1)",
    b"...", b"-1 ** x", b"nan", b"-inf", b"1e999", b"0x" + b"f" * 5000, b"9" * 5000, b"(" * 150, b"[" * 90 + b"]" * 90,
    b"-" * 3000 + b"1", b"x" + b".a" * 2000, b'"f32[' + b"9" * 30 + b']"', b'"f32[s0 - 99]"', b'"f32[-1]"', b'"q7[4]"',
    b'"f32[' + b"2, " * 200 + b'2]"', b'"f32[2][9]"', b'"Sym(u0)"', b'"Sym(9**9**9)"', b'"Sym(' + b"(" * 200 + b')"',
    b'"Sym(s0/0)"', b'"f32[s0**s0**s0]"', b'"Sym(Eq(u0, 1))"', b'"Sym(zuf0)"', b'"Sym(ToFloat(u0))"',
    b'"bf16[2]nowhere:9"', b'"f32[2"',
    b'"Parameter(f32[2])"', b'"DTensor(f32[4, 4], S(0))"', b"\x00", b"\xff\xfe", b"\x1b[31m", b"\r",
    b"\x0c", b"\xe2\x80\xa8",
    b"\xed\xa0\x80", b"'''", b'"""', b"\\\n", b"# File: x:99999999999999999999 in f, code: x",
    b"class thunder_0(torch.nn.Module):",
    b"self.thunder_0(x)", b"self.inductor_999999999999(x)", b"def forward(self, x, x):", b"def forward(*a, **k):",
    b"return thunder_0[0]", b"import os", b"with x: pass", b"global torch", b"del torch", b"torch = x", b"self = x",
    b"a: int", b"a = b = c", b"a, b = x", b"x += x", b"x[0] = x", b"x @= 3;  y = x", b"while True: pass",
    b"torch.ops.higher_order.tag_activation_checkpoint(x)", b"torch.nn.functional.scaled_dot_product_attention(x)",
    b"torch.Tensor(size=[999999999999], dtype=float32)", b"device(type='nowhere')", b"device('cuda', 99)",
    b"torch.functional.einsum('" + b"a" * 3000 + b"', x)", b"torch.stack([x] )", b"torch.split(x, 0)",
    b"x.view(-1, -1)",
    b"operator.add(x)", b"_operator_attrgetter('a')", b"math_factorial(99999999)", b"builtins.print(x)", b"print(x)",
)  # fmt: skip
"""What a file should not hold: calls that change the process, numbers without bounds, broken syntax."""


class Mutator:
    """Makes mutated files.

    Args:
        files: what is mutated.
        seed: the same seed gives the same mutations.
    """

    def __init__(self, files: Sequence[bytes], seed: int = 0) -> None:
        self._files = [file.splitlines(keepends=True) for file in files]
        self._seed = seed

    def mutated(self, number: int) -> bytes:
        """The mutation of a number: an excerpt of a file, changed once to four times."""
        random_ = random.Random(f"{self._seed}/{number}")
        lines = self._excerpt(random_)
        for _ in range(random_.choice((1, 1, 2, 3, 4))):
            lines = random_.choice(_CHANGES)(lines, random_, self)
        return b"".join(lines)

    def _excerpt(self, random_: random.Random) -> list[bytes]:
        """A whole small file, or some lines of one below the head of its class: most of the time goes into reading."""
        lines = random_.choice(self._files)
        if len(lines) <= 2 * _WINDOW and random_.random() < 0.3:
            return list(lines)
        start = random_.randrange(len(lines))
        window = lines[start : start + random_.randint(3, _WINDOW)]
        if random_.random() < 0.5:
            return list(window)
        forward = next((place for place in range(start, -1, -1) if b"def forward" in lines[place]), 0)
        return [*lines[max(0, forward - 1) : forward + 1], *window]

    def lines(self, random_: random.Random) -> list[bytes]:
        """Some lines of any file."""
        lines = random_.choice(self._files)
        start = random_.randrange(len(lines))
        return lines[start : start + random_.randint(1, 8)]


_Change = Callable[[list[bytes], random.Random, Mutator], list[bytes]]


def _bytes(lines: list[bytes], random_: random.Random, _: Mutator) -> list[bytes]:
    text = bytearray(b"".join(lines))
    for _ in range(random_.randint(1, 4)):
        if text:
            place = random_.randrange(len(text))
            match random_.randrange(3):
                case 0:
                    text[place] = random_.randrange(256)
                case 1:
                    del text[place]
                case _:
                    text.insert(place, random_.choice(b"()[]{}\"'\\,;:=.#@-~ \n\t0189axT_"))
    return bytes(text).splitlines(keepends=True)


def _delete_lines(lines: list[bytes], random_: random.Random, _: Mutator) -> list[bytes]:
    start = random_.randrange(len(lines) + 1)
    return lines[:start] + lines[start + random_.randint(1, 5) :]


def _duplicate_lines(lines: list[bytes], random_: random.Random, _: Mutator) -> list[bytes]:
    start = random_.randrange(len(lines) + 1)
    part = lines[start : start + random_.randint(1, 5)]
    place = random_.randrange(len(lines) + 1)
    return lines[:place] + part * random_.choice((1, 1, 2, 9)) + lines[place:]


def _swap_lines(lines: list[bytes], random_: random.Random, _: Mutator) -> list[bytes]:
    changed = list(lines)
    if changed:
        one, other = random_.randrange(len(changed)), random_.randrange(len(changed))
        changed[one], changed[other] = changed[other], changed[one]
    return changed


def _truncate(lines: list[bytes], random_: random.Random, _: Mutator) -> list[bytes]:
    text = b"".join(lines)
    return text[: random_.randrange(len(text) + 1)].splitlines(keepends=True)


def _splice(lines: list[bytes], random_: random.Random, mutator: Mutator) -> list[bytes]:
    place = random_.randrange(len(lines) + 1)
    return lines[:place] + mutator.lines(random_) + lines[place:]


def _indent(lines: list[bytes], random_: random.Random, _: Mutator) -> list[bytes]:
    changed = list(lines)
    start = random_.randrange(len(lines) + 1)
    shift = random_.choice((b"    ", b" ", b"\t", b""))
    for place in range(start, min(len(lines), start + random_.randint(1, 9))):
        changed[place] = shift + (changed[place] if shift else changed[place].lstrip(b" "))
    return changed


def _tokens(lines: list[bytes], random_: random.Random, mutator: Mutator) -> list[bytes]:
    if not lines:
        return lines
    changed = list(lines)
    place = random_.randrange(len(lines))
    tokens = _TOKEN.findall(changed[place])
    if tokens:
        one, other = random_.randrange(len(tokens)), random_.randrange(len(tokens))
        match random_.randrange(4):
            case 0:
                tokens[one], tokens[other] = tokens[other], tokens[one]
            case 1:
                tokens[one] = random_.choice((b"0", b"-1", b"99999999999", b"4294967296", b"True", b"None", b"self"))
            case 2:
                tokens.insert(one, tokens[other])
            case _:
                foreign = _TOKEN.findall(random_.choice(mutator.lines(random_))) or [b"x"]
                tokens[one] = random_.choice(foreign)
    changed[place] = b"".join(tokens)
    return changed


def _hostile_line(lines: list[bytes], random_: random.Random, _: Mutator) -> list[bytes]:
    place = random_.randrange(len(lines) + 1)
    snippet = random_.choice(HOSTILE)
    indent = b" " * random_.choice((0, 4, 8, 8, 8, 12))
    if random_.random() < 0.6:
        snippet = random_.choice((b"y = ", b'y: "f32[2, 3]" = ', b"x = ", b"return ")) + snippet
    return [*lines[:place], indent + snippet + b"\n", *lines[place:]]


def _hostile_value(lines: list[bytes], random_: random.Random, _: Mutator) -> list[bytes]:
    """A hostile expression in place of one of a statement's, with a name of the file as its `x`."""
    places = [place for place, line in enumerate(lines) if b" = " in line]
    if not places:
        return lines
    place = random_.choice(places)
    name, _separator, value = lines[place].partition(b" = ")
    names = re.findall(rb"\b[a-z]\w*_\w*\b", value) or [b"x"]
    snippet = random_.choice(HOSTILE).replace(b"(x", b"(" + names[0]).replace(b"x.", names[0] + b".")
    value = snippet + b"\n" if random_.random() < 0.5 else value.replace(random_.choice(names), snippet, 1)
    return [*lines[:place], name + b" = " + value, *lines[place + 1 :]]


_CHANGES: tuple[_Change, ...] = (
    _bytes, _delete_lines, _duplicate_lines, _swap_lines, _truncate, _splice, _indent, _tokens, _tokens, _tokens,
    _hostile_line, _hostile_value, _hostile_value,
)  # fmt: skip
