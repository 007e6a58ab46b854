"""Every change explains itself to each reader, and no text from a dump gets through that does harm."""

from __future__ import annotations

import datetime as dt
from typing import get_args

import pytest

from opcov.corpus.health import Health
from opcov.gate.changes import (
    BelowThreshold,
    Change,
    GraphCrashes,
    GraphsLost,
    HealthFell,
    Known,
    KnownOpInNewModel,
    ModelLost,
    NewModel,
    NewOp,
    NewVariant,
    NoModelFacts,
    NotAllowed,
    OpFacts,
    OpFixed,
    Place,
    Style,
    UnknownRose,
    VersionChanged,
    Waived,
    WaiverExpired,
)

DAY = dt.date(2027, 3, 1)
FACTS = OpFacts(
    "torch.bmm", "torch.bmm(T, T, out=T)", "EXCEPTION_META_THUNDER_OP", "no out", ("org/a", "org/b"), 4,
    Place("org/a/rank0_1.py", 12, "torch.bmm(a, b, out = c)", "zoo/net.py:7 in forward"),
)  # fmt: skip


def samples(text: str) -> tuple[Change, ...]:
    """One change of each type, a text wherever one from a dump or a baseline can stand."""
    place = Place(text, 3, text, text)
    facts = OpFacts(text, text, "MISSING_OP_SUPPORT", text, (text, text), 2, place)
    return (
        NewOp(facts),
        NewVariant(facts),
        KnownOpInNewModel(facts),
        NotAllowed(facts, (text,), 4),
        WaiverExpired(facts, DAY, text, 4),
        Waived(facts, None, text, 4),
        Known(facts),
        OpFixed(text, text, (text,), 4),
        ModelLost(text),
        NewModel(text),
        GraphsLost(text, 3, 2),
        HealthFell(text, Health.OK, Health.PARTIAL, text),
        UnknownRose(text, 0, 2),
        GraphCrashes(text, 0, 1, text, place),
        VersionChanged(text, text, text, (text,)),
        NoModelFacts(text),
        BelowThreshold("node coverage", "85.9 %", "90 %"),
    )


PLAIN = samples("name")
BY_TYPE = pytest.mark.parametrize("change", PLAIN, ids=lambda change: change.slug)
HOSTILE = "x\n::error::y\r\n## `@all`](0) <b> \x1b[2J\u202e\ud800"


def test_samples_are_of_all_types() -> None:
    assert {type(change) for change in PLAIN} == set(get_args(Change))


def test_slugs_tell_types_apart() -> None:
    assert len({change.slug for change in PLAIN}) == len(PLAIN)


@BY_TYPE
@pytest.mark.parametrize("style", [Style.TEXT, Style.MARKDOWN])
def test_text_and_markdown_are_one_line(change: Change, style: Style) -> None:
    text = change.explain(style)
    assert len(text.splitlines()) == 1
    assert text == text.strip()


@BY_TYPE
def test_annotations_and_alerts_end_with_what_to_do(change: Change) -> None:
    for style in (Style.GITHUB, Style.SARIF):
        assert change.explain(style).endswith(change.what_to_do or "")


@pytest.mark.parametrize("style", list(Style))
@pytest.mark.parametrize("change", samples(HOSTILE), ids=lambda change: change.slug)
def test_hostile_text_stays_on_its_line_and_prints_nothing_odd(change: Change, style: Style) -> None:
    text = change.explain(style)
    plain = next(one for one in PLAIN if type(one) is type(change)).explain(style)
    assert len(text.splitlines()) == len(plain.splitlines())
    assert all(character.isprintable() for character in text.replace("\n", ""))
    text.encode()


@pytest.mark.parametrize("change", samples("@all"), ids=lambda change: change.slug)
def test_text_from_a_dump_stands_in_code_spans_in_markdown(change: Change) -> None:
    # What is left without the code spans mentions nobody.
    assert "@" not in "".join(change.explain(Style.MARKDOWN).split("`")[::2])


@pytest.mark.parametrize("change", samples("[x](0)"), ids=lambda change: change.slug)
def test_alerts_hold_no_links_from_a_dump(change: Change) -> None:
    assert "](" not in change.explain(Style.SARIF)


@pytest.mark.parametrize("style", list(Style))
@pytest.mark.parametrize("change", samples("x" * 100_000), ids=lambda change: change.slug)
def test_explanation_is_of_bounded_length(change: Change, style: Style) -> None:
    assert len(change.explain(style)) < 10_000


def test_new_op_tells_op_models_place_reason_and_source() -> None:
    assert NewOp(FACTS).explain(Style.TEXT) == (
        "new unsupported op torch.bmm(T, T, out=T): 4 nodes in 2 models: org/a, org/b; org/a/rank0_1.py:12; "
        "EXCEPTION_META_THUNDER_OP: no out; from zoo/net.py:7 in forward"
    )


def test_annotation_has_a_line_for_each_part() -> None:
    assert NewOp(FACTS).explain(Style.GITHUB).splitlines() == [
        "New unsupported op torch.bmm(T, T, out=T): 4 nodes in 2 models: org/a, org/b",
        "At org/a/rank0_1.py:12: torch.bmm(a, b, out = c)",
        "EXCEPTION_META_THUNDER_OP: no out",
        "From zoo/net.py:7 in forward",
        NewOp(FACTS).what_to_do,
    ]


def test_alert_is_made_of_sentences() -> None:
    text = NewOp(FACTS).explain(Style.SARIF)
    assert "org/b. At org/a/rank0_1.py:12: torch.bmm(a, b, out = c). EXCEPTION_META_THUNDER_OP: no out. From" in text


def test_op_is_named_where_ops_are_compared() -> None:
    facts = OpFacts("torch.bmm", "", "r", "", ("org/a",), 1, FACTS.place)
    assert NewOp(facts).explain(Style.TEXT).startswith("new unsupported op torch.bmm: 1 node in 1 model: org/a;")


def test_many_models_are_counted_and_the_first_named() -> None:
    models = tuple(f"org/m{number}" for number in range(16))
    facts = OpFacts("x", "x(T)", "r", "", models, 16, FACTS.place)
    text = NewOp(facts).explain(Style.TEXT)
    assert "in 16 models: org/m0, org/m1, org/m2, org/m3, org/m4 and 11 more" in text


def test_expired_waiver_tells_its_last_day_its_reason_and_its_line() -> None:
    text = WaiverExpired(FACTS, DAY, "#2600", 31).explain(Style.TEXT)
    assert "the waiver of torch.bmm(T, T, out=T) (#2600) expired after 2027-03-01 (baseline line 31)" in text


def test_waiver_that_does_not_extend_tells_the_models_that_it_is_for() -> None:
    text = NotAllowed(FACTS, ("org/c",), 31).explain(Style.TEXT)
    assert "torch.bmm(T, T, out=T) is allowed in org/c alone (baseline line 31): 4 nodes in 2 models: org/a" in text


def test_version_tells_both_and_how_much_may_come_from_it() -> None:
    change = VersionChanged("lightning-thunder", "0.2.5", "0.2.6", ("a(T)", "b(T)"))
    assert change.explain(Style.TEXT) == (
        "another version of lightning-thunder than in the baseline: 0.2.5 then, 0.2.6 now; "
        "2 other changes may come from that: a(T), b(T)"
    )
    assert VersionChanged("torch", "2.7", "2.8").explain(Style.TEXT).endswith("; no other changes may come from that")


def test_lost_capture_tells_numbers_and_reasons() -> None:
    assert GraphsLost("org/a", 14, 13).explain(Style.TEXT) == "model org/a has 13 graphs, and had 14"
    assert HealthFell("org/a", Health.OK, Health.FAILED, "no graphs").explain(Style.TEXT) == (
        "the capture of model org/a is failed, and was ok; no graphs"
    )
