"""Graphs as the cache keeps them: exactly as they were read, and nothing at all of bytes that are damaged."""

from __future__ import annotations

import hashlib
import inspect
import random
import struct
import sys
import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any, cast

import fx_graphs
import msgspec
import pytest
from building import graph_text
from conftest import PROJECT
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import fx

from opcov.cache.graphs import DEEPEST, MARK, decoded, encoded
from opcov.corpus import discover
from opcov.graph import (
    Argument,
    Compiler,
    ConstantMeta,
    Construct,
    DictArg,
    Form,
    Global,
    Graph,
    Kind,
    ListArg,
    Metadata,
    Node,
    Ref,
    Region,
    SequenceMeta,
    SliceArg,
    Source,
    SymbolMeta,
    TensorMeta,
)
from opcov.graphfile import read_body, read_companions
from opcov.loaders import available, by_name, load_text
from opcov.loaders.live import graph_of
from opcov.loaders.loader import Loaded, SavedFile
from opcov.problems import Problem, Slug

# --- what is exactly the same -----------------------------------------------------------------------------------------


def identity(value: object) -> object:
    """A value that is equal for what is the same to the last bit and in the same order, and for nothing else."""
    match value:
        case float():
            return type(value), struct.pack("d", value)
        case complex():
            return type(value), struct.pack("dd", value.real, value.imag)
        case tuple():
            return type(value), [identity(item) for item in value]
        case Mapping():
            return dict, [(identity(key), identity(item)) for key, item in value.items()]
        case Enum():
            return type(value), value.name
        case _ if is_dataclass(value):
            return type(value), [identity(getattr(value, field.name)) for field in fields(value) if field.init]
    assert value is None or value is ... or type(value) in (bool, int, str, bytes), f"not a value of graphs: {value!r}"
    return type(value), value


def kept(loaded: Loaded) -> bytes:
    content = encoded(loaded)
    assert content is not None
    return content


def assert_comes_back(loaded: Loaded) -> None:
    again = decoded(kept(loaded))
    assert again is not None
    assert identity(again) == identity(loaded)


def graph(*args: Argument, meta: Metadata | None = None, **changes: Any) -> Graph:
    """A graph of one node with these arguments."""
    return Graph("G", Form.UNSPLIT, (Node("a", Kind.CALL_FUNCTION, "f", "f", args, meta=meta),), **changes)


def holding(*args: Argument, **changes: Any) -> Loaded:
    return (graph(*args, **changes),), ()


# --- random graphs ----------------------------------------------------------------------------------------------------

names = st.one_of(st.sampled_from(["x", "torch.add", "", "é\0\n"]), st.text(max_size=5))  # no lone surrogates
doubles = st.one_of(st.floats(), st.sampled_from([0.0, -0.0, float("nan"), -float("nan"), float("inf"), 1.0]))
whole = st.integers(-(2**63), 2**64 - 1)
literals = st.one_of(
    st.none(), st.booleans(), st.sampled_from([0, 1]), whole, st.integers(), st.integers(-(2**9000), 2**9000), doubles,
    st.builds(complex, doubles, doubles), names, st.binary(max_size=5), st.just(...),
)  # fmt: skip
leaves = st.one_of(literals, st.builds(Ref, names), st.builds(Global, names))


def compounds(inner: st.SearchStrategy[Argument]) -> st.SearchStrategy[Argument]:
    several = st.lists(inner, max_size=3).map(tuple)
    keywords = st.lists(st.tuples(names, inner), max_size=2).map(tuple)
    return st.one_of(
        several,
        st.builds(ListArg, several),
        st.builds(DictArg, st.lists(st.tuples(inner, inner), max_size=2).map(tuple)),
        st.builds(SliceArg, inner, inner, inner),
        st.builds(Construct, names, several, keywords),
    )


arguments: st.SearchStrategy[Argument] = st.recursive(leaves, compounds, max_leaves=8)
sizes = st.lists(st.one_of(whole, names), max_size=4).map(tuple)
tensors = st.builds(
    TensorMeta, names, sizes, st.none() | sizes, st.none() | names, st.none() | names, st.booleans(),
    st.one_of(st.none(), st.sampled_from([0, 1, 0.0, -0.0, 1.0]), whole, doubles),
)  # fmt: skip
metas: st.SearchStrategy[Metadata] = st.recursive(
    st.one_of(tensors, st.builds(SymbolMeta, names), st.builds(ConstantMeta, arguments)),
    lambda inner: st.builds(SequenceMeta, names, st.lists(st.none() | inner, max_size=3).map(tuple), st.booleans()),
    max_leaves=4,
)
regions = st.builds(Region, whole, st.sampled_from(Compiler))
problems = st.lists(st.builds(Problem, names, whole, st.sampled_from(Slug), names), max_size=2).map(tuple)
nodes = st.builds(
    Node, names, st.sampled_from(Kind), names, names, st.lists(arguments, max_size=3).map(tuple),
    st.lists(st.tuples(names, arguments), max_size=2).map(tuple), st.none() | metas, whole, names, st.none() | regions,
    st.none() | st.builds(Source, names, whole, names, names),
)  # fmt: skip


def graphs_with(bodies: st.SearchStrategy[dict[str, Graph]]) -> st.SearchStrategy[Graph]:
    return st.builds(
        Graph, names, st.sampled_from(Form), st.lists(nodes, max_size=4).map(tuple),
        st.lists(regions, max_size=2).map(tuple), bodies, st.booleans(), problems,
        st.dictionaries(names, st.integers() | doubles, max_size=3),
    )  # fmt: skip


graphs = st.recursive(
    graphs_with(st.just({})), lambda inner: graphs_with(st.dictionaries(names, inner, max_size=2)), max_leaves=3
)
files: st.SearchStrategy[Loaded] = st.tuples(st.lists(graphs, max_size=2).map(tuple), problems)


# --- what is kept comes back ------------------------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(arguments)
@example(ListArg(()))
@example(())
@example(((1, True, 1.0), (0, False, 0.0, -0.0)))
@example(complex(-0.0, float("nan")))
@example(2**64)
@example(2**64 - 1)
@example(-(2**63))
@example(-(2**63) - 1)
@example((b"a", "a", b"", ""))
def test_an_argument_comes_back_as_it_was(argument: Argument) -> None:
    assert_comes_back(holding(argument))


@settings(max_examples=150, deadline=None)
@given(files)
def test_a_random_file_comes_back_as_it_was(loaded: Loaded) -> None:
    assert_comes_back(loaded)


@settings(max_examples=40, deadline=None)
@given(fx_graphs.annotated_graphs())
def test_a_graph_of_this_process_comes_back_as_it_was(made: fx.Graph) -> None:
    assert_comes_back(((graph_of(fx.GraphModule(fx_graphs.root(), made)),), ()))


def test_equal_metadata_of_different_types_is_kept_apart() -> None:
    values: list[int | float | None] = [None, 0, 0.0, -0.0, 1, 1.0]
    found: list[Metadata] = [TensorMeta("f32", (), value=value) for value in values]
    found += [ConstantMeta(value) for value in (0, False, 0.0, -0.0, (1,), (True,), (1.0,), ListArg((1,)))]
    assert_comes_back((tuple(graph(meta=meta) for meta in found), ()))


def test_values_of_symbols_come_back_although_equality_leaves_them_out() -> None:
    hints = {"s1": 4, "s0": 4.0, "zuf0": float("inf"), "u0": 2**70}
    again = decoded(kept(holding(hints=hints)))
    assert again is not None
    assert [(name, type(value), value) for name, value in again[0][0].hints.items()] == [
        (name, type(value), value) for name, value in hints.items()
    ]


def test_bodies_keep_their_order() -> None:
    bodies = {"z": graph(1), "a": graph(2, bodies={"y": graph(), "b": graph()})}
    again = decoded(kept(holding(bodies=bodies)))
    assert again is not None
    assert [*again[0][0].bodies, *again[0][0].bodies["a"].bodies] == ["z", "a", "y", "b"]


def test_what_a_graph_has_worked_out_is_not_kept() -> None:
    (fresh,), _ = holding(Ref("x"))
    before = kept(((fresh,), ()))
    assert fresh.users and fresh.calls
    assert kept(((fresh,), ())) == before
    again = decoded(before)
    assert again is not None
    assert vars(again[0][0]).keys() == {field.name for field in fields(Graph)}


def test_nodes_that_read_one_value_share_it() -> None:
    again = decoded(kept(holding(Ref("x"), Ref("x"))))
    assert again is not None
    one, other = again[0][0].nodes[0].args
    assert one is other


def assert_all_come_back(root: Path) -> int:
    """Reads every distinct graph file below a folder; how many there are."""
    corpus = discover(root, available())
    for found in corpus.bodies().values():
        file = found[0]
        saved = SavedFile(file.name, read_body(corpus.root, file), read_companions(corpus.root, file))
        loaded = by_name(file.claimed_by[0]).load(saved)
        content = kept(loaded)
        again = decoded(content)
        assert again is not None, file.path
        assert identity(again) == identity(loaded), file.path
        assert repr(again) == repr(loaded), file.path
        assert kept(again) == content, file.path
    return len(corpus.bodies())


@pytest.mark.parametrize("name", ["gm", "graphnet", "scripts", "folder", "export"])
def test_every_fixture_comes_back_as_it_was(name: str) -> None:
    assert assert_all_come_back(PROJECT / "fixtures" / name) > 0


@pytest.mark.parametrize("name", ["gm", "graphnet"])
def test_every_graph_of_the_large_corpus_comes_back_as_it_was(shared: Path, name: str) -> None:
    assert assert_all_come_back(shared / name) > 0


# --- what cannot be kept ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "loaded",
    [
        holding("\ud800"),
        holding(Ref("\ud800")),
        holding(meta=TensorMeta("f32", (2**64,))),
        ((replace(graph(), nodes=(replace(graph().nodes[0], line=2**64),)),), ()),
        holding(cast("Argument", [1])),
        holding(cast("Argument", fx_graphs.Pair(1, 2))),
        holding(cast("Argument", Kind.OUTPUT)),
        holding(meta=TensorMeta("f32", cast("Any", [1]))),
        holding(meta=TensorMeta("f32", (cast("Any", 1.5),))),
        holding(meta=cast("Any", "f32[4]")),
        holding(hints={"s0": cast("Any", "4")}),
        holding(annotated=cast("Any", 1)),
        ((graph(),), (Problem("", cast("Any", "1"), Slug.EMPTY, ""),)),
        (cast("Any", [graph()]), ()),
        (cast("Any", (None,)), ()),
    ],
    ids=[
        "surrogate", "surrogate name", "size", "line", "list", "namedtuple", "enum", "listed sizes", "broken size",
        "no metadata", "hint", "annotated", "problem", "listed graphs", "no graph",
    ],
)  # fmt: skip
def test_what_would_not_come_back_is_not_kept(loaded: Loaded) -> None:
    assert encoded(loaded) is None


NESTED: dict[str, Callable[[Any], Argument]] = {
    "tuple": lambda inner: (inner,),
    "list": lambda inner: ListArg((inner,)),
    "dict key": lambda inner: DictArg(((inner, 0),)),
    "dict value": lambda inner: DictArg(((0, inner),)),
    "slice": lambda inner: SliceArg(None, inner, None),
    "keyword": lambda inner: Construct("c", (), (("k", inner),)),
}


def nested(wrap: Callable[[Any], Any], times: int, inner: Any = 0) -> Any:
    for _ in range(times):
        inner = wrap(inner)
    return inner


@pytest.mark.parametrize("wrap", NESTED.values(), ids=NESTED)
def test_arguments_nest_deep(wrap: Callable[[Any], Argument]) -> None:
    assert_comes_back(holding(nested(wrap, DEEPEST)))


@pytest.mark.parametrize("times", [DEEPEST + 2, 50_000])
@pytest.mark.parametrize("wrap", NESTED.values(), ids=NESTED)
def test_arguments_that_nest_too_deep_are_not_kept(wrap: Callable[[Any], Argument], times: int) -> None:
    assert encoded(holding(nested(wrap, times))) is None


@pytest.mark.parametrize("times", [DEEPEST + 2, 50_000])
def test_metadata_that_nests_too_deep_is_not_kept(times: int) -> None:
    meta = nested(lambda inner: SequenceMeta("tuple", (inner,)), times, None)
    assert encoded(holding(meta=meta)) is None


@pytest.mark.parametrize("times", [DEEPEST + 2, 20_000])
def test_bodies_that_nest_too_deep_are_not_kept(times: int) -> None:
    deep = nested(lambda inner: graph(bodies={"b": inner}), times, graph())
    assert encoded(((deep,), ())) is None


def test_a_stack_that_is_nearly_full_makes_neither_raise() -> None:
    loaded = holding(nested(NESTED["list"], DEEPEST))
    content = kept(loaded)

    def below(frames: int) -> list[object]:
        if frames > 0:
            return below(frames - 1)
        return [encoded(loaded), decoded(content)]

    used = len(inspect.stack(0))
    assert below(sys.getrecursionlimit() - used - 40) == [None, None]


# --- damaged and foreign bytes ----------------------------------------------------------------------------------------

SAMPLE: Loaded = (
    (
        graph(
            Ref("x"), 1, -2.5, "text", b"bytes", ..., 1j, 2**70, (None, True), ListArg((Ref("x"),)),
            SliceArg(None, 3, None), DictArg((("k", 1),)), Global("torch.float16"),
            Construct("device", (2,), (("type", "cpu"),)),
            meta=SequenceMeta("tuple", (TensorMeta("f32", (4, "s0"), (1, 1), "cpu"), SymbolMeta("s"), ConstantMeta(3))),
            bodies={"body": graph(Ref("y"))}, hints={"s0": 4}, problems=(Problem("", 3, Slug.SYNTAX, "why"),),
        ),
        *load_text(graph_text('a: "f32[4]" = torch.relu(x);  x = None', result="a"))[0],
    ),
    (Problem("", 0, Slug.EMPTY, "nothing"),),
)  # fmt: skip
CONTENT = kept(SAMPLE)
PAYLOAD = CONTENT[len(MARK) + 8 :]


def sealed(payload: bytes) -> bytes:
    """Bytes with the mark and a digest that fits."""
    return MARK + hashlib.blake2b(payload, digest_size=8).digest() + payload


def sealed_values(*tables: object) -> bytes:
    return sealed(msgspec.msgpack.encode(tables))


def test_the_tests_seal_as_the_code_does() -> None:
    assert sealed(PAYLOAD) == CONTENT


def test_cut_bytes_are_nothing() -> None:
    assert {decoded(CONTENT[:end]) for end in range(len(CONTENT))} == {None}


def test_bytes_with_one_changed_are_nothing() -> None:
    random_ = random.Random(0)
    for place in range(len(CONTENT)):
        damaged = bytearray(CONTENT)
        damaged[place] ^= random_.randint(1, 255)
        assert decoded(bytes(damaged)) is None, place


def damaged(payload: bytes, number: int) -> bytes:
    """A mutation of a payload, the same for the same number."""
    random_ = random.Random(number)
    changed = bytearray(payload)
    for _ in range(random_.choice((1, 1, 2, 4))):
        place = random_.randrange(len(changed))
        match random_.randrange(4):
            case 0:
                changed[place] = random_.randrange(256)
            case 1:
                del changed[place : place + random_.randint(1, 4)]
            case 2:
                start = random_.randrange(len(changed))
                changed[place:place] = changed[start : start + random_.randint(1, 9)]
            case _:
                changed[place] = (changed[place] + random_.choice((-1, 1))) % 256
    return bytes(changed)


def test_damage_below_a_fitting_digest_gives_nothing_or_well_formed_graphs() -> None:
    refused = 0
    for number in range(6000):
        loaded = decoded(sealed(damaged(PAYLOAD, number)))
        if loaded is None:
            refused += 1
        else:
            assert_comes_back(loaded)
    assert 0 < refused < 6000  # else one of the two would be untested


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_foreign_bytes_are_nothing(content: bytes) -> None:
    assert decoded(content) is None
    loaded = decoded(sealed(content))
    assert loaded is None or encoded(loaded) is not None


def node_row(**changes: object) -> list[object]:
    row: dict[str, object] = {
        "name": 0, "kind": 2, "target": 0, "op": 0, "args": [], "kwargs": [], "meta": None, "line": 0,
        "expression": "", "region": None, "source": None,
    }  # fmt: skip
    return list({**row, **changes}.values())


def graph_row(*nodes: object, bodies: object = (), hints: object = ()) -> list[object]:
    return ["G", "unsplit", nodes, [], bodies, True, [], hints]


def file_of(*rows: object, metas: object = ()) -> bytes:
    return sealed_values(["a"], [], [], metas, rows, [])


def test_rows_that_are_whole_are_read() -> None:
    expected = Graph("G", Form.UNSPLIT, (Node("a", Kind.CALL_FUNCTION, "a", "a"),))
    assert decoded(file_of(graph_row(node_row()))) == ((expected,), ())


REFUSED = {
    "name behind the end": graph_row(node_row(name=1)),
    "name before the start": graph_row(node_row(name=-1)),
    "name that is true": graph_row(node_row(name=False)),
    "kind behind the end": graph_row(node_row(kind=6)),
    "metadata behind the end": graph_row(node_row(meta=0)),
    "region before the start": graph_row(node_row(region=-1)),
    "source behind the end": graph_row(node_row(source=0)),
    "value behind the end": graph_row(node_row(args=[[0, 1]])),
    "value before the start": graph_row(node_row(args=[[0, -1]])),
    "keyword behind the end": graph_row(node_row(kwargs=[[1, 0]])),
    "unknown tag": graph_row(node_row(args=[[11]])),
    "no tag": graph_row(node_row(args=[[]])),
    "a map": graph_row(node_row(args=[{}])),
    "untagged bytes": graph_row(node_row(args=[b"a"])),
    "a point in time": graph_row(node_row(args=[msgspec.msgpack.Ext(-1, b"\0\0\0\0")])),
    "an extension": graph_row(node_row(args=[msgspec.msgpack.Ext(5, b"a")])),
    "one item too many": graph_row([*node_row(), 0]),
    "one item too few": graph_row(node_row()[:-1]),
    "a small integer as a large one": graph_row(node_row(args=[[10, b"\x05"]])),
    "no bytes as a large integer": graph_row(node_row(args=[[10, b""]])),
    "a hint twice": graph_row(hints=[["s0", 1], ["s0", 2]]),
    "a body twice": graph_row(bodies=[["b", graph_row()], ["b", graph_row()]]),
    "deep arguments": graph_row(node_row(args=[nested(lambda inner: [1, [inner]], DEEPEST + 2)])),
    "deep bodies": nested(lambda inner: graph_row(bodies=[["b", inner]]), DEEPEST + 2, graph_row()),
}


@pytest.mark.parametrize("row", REFUSED.values(), ids=REFUSED)
def test_rows_that_were_never_written_are_refused(row: object) -> None:
    assert decoded(file_of(row)) is None


def test_metadata_that_nests_deeper_than_it_is_written_is_refused() -> None:
    assert decoded(file_of(metas=[nested(lambda inner: [2, "tuple", [inner], False], 50)])) is None  # ends in 0
    assert decoded(file_of(metas=[nested(lambda inner: [2, "tuple", [inner], False], 50, None)])) is not None
    assert decoded(file_of(metas=[nested(lambda inner: [2, "tuple", [inner], False], DEEPEST + 3, None)])) is None


def test_every_field_of_a_node_and_a_graph_is_in_its_row() -> None:
    whole = inspect.signature(Node).parameters, inspect.signature(Graph).parameters
    assert tuple(map(len, whole)) == (len(node_row()), len(graph_row()))


def test_bytes_behind_the_end_are_refused() -> None:
    assert decoded(sealed(PAYLOAD + b"\xc0")) is None


HOSTILE = {
    "a list of 4 billion": b"\xdd\xff\xff\xff\xff",
    "names of 4 billion": b"\x96\xdd\xff\xff\xff\xff\xa1a",
    "a name of 4 GB": b"\x96\x91\xdb\xff\xff\xff\xffa",
    "a map of 4 billion": b"\xdf\xff\xff\xff\xff",
    "100,000 lists in one another": b"\x91" * 100_000,
    "100,000 lists of 4 billion in one another": b"\xdd\xff\xff\xff\xff" * 100_000,
    "arguments 100,000 deep": file_of(graph_row(node_row(args=["here"])))[len(MARK) + 8 :].replace(
        b"\xa4here", b"\x92\x01\x91" * 100_000 + b"\xc0"
    ),
    "lists of 4 billion 300 deep": file_of(graph_row(node_row(args=["here"])))[len(MARK) + 8 :].replace(
        b"\xa4here", b"\x92\x01\xdd\xff\xff\xff\xff" * 300
    ),
    "bodies 100,000 deep": file_of(graph_row(bodies="here"))[len(MARK) + 8 :].replace(
        b"\xa4here", b"\x91\x92\xa1b\x98\xa1G\xa7unsplit\x90\x90" * 100_000
    ),
}


@pytest.mark.parametrize("payload", HOSTILE.values(), ids=HOSTILE)
def test_hostile_sizes_take_no_more_memory_than_they_have_bytes(payload: bytes) -> None:
    content = sealed(payload)
    assert decoded(b"") is None  # what is made once is made before
    decoded(CONTENT)
    tracemalloc.start()
    try:
        assert decoded(content) is None
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000 + 10 * len(content)
