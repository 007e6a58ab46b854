"""Other names under which Thunder knows an op."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from opcov.registries.thunder import ThunderRegistry
from opcov.registries.thunder_siblings import registered_siblings, spellings


@pytest.fixture(scope="module")
def registry() -> ThunderRegistry:
    return ThunderRegistry()


def knowing(*ops: str) -> Callable[[str], bool]:
    """A judge that has operations for these ops."""
    return frozenset(ops).__contains__


@pytest.mark.parametrize(
    ("op", "other"),
    [
        ("torch.functional.split", "torch.Tensor.split"),
        ("torch.Tensor.softmax", "torch.nn.functional.softmax"),
        ("torch._C._nn.silu", "torch.nn.functional.silu"),
        ("torch.ops.aten.add.Tensor", "torch.add"),
        ("torch.ops.aten.to.dtype", "torch.Tensor.to"),
        ("torch.Tensor.add_", "torch.Tensor.add"),
        ("torch.Tensor.masked_fill", "torch.Tensor.masked_fill_"),
        ("torch.Tensor.__and__", "operator.and_"),
        ("operator.and_", "torch.Tensor.__and__"),
        ("operator.ior", "operator.or_"),
        ("operator.mul", "torch.mul"),
        ("torch.concat", "torch.cat"),
        ("torch.cat", "torch.concatenate"),
        ("torch.Tensor.absolute", "torch.abs"),
        ("torch.Tensor.clip", "torch.Tensor.clamp"),
        ("torch.swapdims", "torch.transpose"),
        ("torch.Tensor.arccos_", "torch.acos"),
        ("torch.special.expit", "torch.sigmoid"),
        ("torch._C._special.special_logit", "torch.logit"),
        ("torch.linalg.inv", "torch.inverse"),
    ],
)
def test_other_spellings_of_a_computation_are_siblings(op: str, other: str) -> None:
    assert registered_siblings(op, knowing(other)) == (other,)


@pytest.mark.parametrize(
    ("op", "other"),
    [
        ("torch.qr", "torch._C._linalg.linalg_qr"),  # their results differ in form
        ("torch.nn.functional.unfold", "torch.Tensor.unfold"),  # im2col and a sliding window
        ("torch.Tensor.bernoulli_", "torch.bernoulli"),  # one takes the probability, one has it in its elements
        ("operator.concat", "torch.concat"),  # for sequences
        ("operator.index", "torch.ops.aten.index"),
        ("torch.true_divide", "torch.floor_divide"),
        ("torch.ops.serving.add", "torch.add"),
        ("torch.Tensor.is_cpu", "torch.Tensor.is_cuda"),
        ("__main__.cat", "torch.cat"),
    ],
)
def test_what_only_looks_alike_is_no_sibling(op: str, other: str) -> None:
    assert registered_siblings(op, knowing(other)) == ()


def test_an_op_that_is_registered_itself_has_no_siblings() -> None:
    assert registered_siblings("torch.transpose", knowing("torch.transpose", "torch.Tensor.transpose")) == ()


def test_siblings_are_sorted() -> None:
    known = knowing("torch.mul", "operator.mul", "torch.Tensor.mul")
    assert registered_siblings("torch.multiply", known) == ("operator.mul", "torch.Tensor.mul", "torch.mul")


def test_an_in_place_form_is_named_for_an_op_that_is_not_only_where_there_is_nothing_else() -> None:
    assert registered_siblings("torch.absolute", knowing("torch.abs_", "torch.abs")) == ("torch.abs",)
    assert registered_siblings("torch.absolute", knowing("torch.abs_")) == ("torch.abs_",)


def test_an_op_in_place_has_both_forms_as_siblings() -> None:
    both = ("torch.Tensor.abs", "torch.Tensor.abs_")
    assert registered_siblings("torch.Tensor.absolute_", knowing(*both)) == both


@pytest.mark.parametrize(
    "op", ["", "torch", "torch.", "torch.ops.aten.", "torch.Tensor.", "operator.", "torch.Tensor.\n"]
)
def test_a_name_that_names_nothing_has_no_spellings(op: str) -> None:
    assert op not in spellings(op)
    assert registered_siblings(op, lambda _: False) == ()


def torch_names() -> list[str]:
    """Functions and methods of torch by the names that graphs have."""
    functions = [f"torch.{name}" for name in dir(torch) if not name.startswith("_")]
    methods = [f"torch.Tensor.{name}" for name in dir(torch.Tensor) if not name.startswith("__")]
    neural = [f"torch._C._nn.{name}" for name in dir(torch._C._nn) if not name.startswith("_")]
    return functions + methods + neural


def test_every_sibling_of_what_thunder_does_not_have_is_registered(registry: ThunderRegistry) -> None:
    found = {op: registry.siblings(op) for op in torch_names() if not registry.has_own(op)}
    siblings = {name for names in found.values() for name in names}
    assert len(siblings) > 50
    assert [name for name in sorted(siblings) if not registry.has_own(name)] == []


def test_nothing_that_thunder_has_is_given_a_sibling(registry: ThunderRegistry) -> None:
    assert [op for op in torch_names() if registry.has_own(op) and registry.siblings(op)] == []


def test_an_automatic_fallback_is_no_sibling(registry: ThunderRegistry) -> None:
    assert not registry.has_own("torch.detach")
    assert registry.siblings("torch.Tensor.detach") == ()


@pytest.mark.parametrize(
    ("op", "other"),
    [
        ("torch.absolute", "torch.abs"),
        ("torch.clip", "torch.clamp"),
        ("torch.multiply", "torch.mul"),
        ("torch.Tensor.absolute", "torch.Tensor.abs"),
        ("torch.ops.aten.split.Tensor", "torch.Tensor.split"),
    ],
)
def test_thunder_has_documented_aliases_under_their_other_name(registry: ThunderRegistry, op: str, other: str) -> None:
    if registry.has_own(op):
        pytest.skip("this Thunder has the op itself")
    assert other in registry.siblings(op)


def test_what_has_a_name_but_no_function_has_no_operation(registry: ThunderRegistry) -> None:
    assert not registry.has_own("torch.Tensor.no_such_method")
    assert not registry.has_own("torch.ops.serving.norm")
