"""What CI systems are told: how grave each change is, where it points to, and what stays the same between two scans."""

from __future__ import annotations

import pytest
from building import OK, body, coverage, node
from judgements import FILE, altered, every_change, facts, judged, scanned

from opcov import explanations
from opcov.gate import Judgement
from opcov.gate.changes import ModelLost, NewOp, NewVariant, Place, Style, WaiverExpired
from opcov.reports.alerts import Weight, alerts, rules, shortened
from opcov.reports.report import Findings


def test_each_change_is_told_once_and_only_waivers_of_what_is_known() -> None:
    found = every_change()
    told = alerts(judged(found[:5], found[7:], found[5:7]))
    assert sorted(alert.slug for alert in told) == sorted(change.slug for change in found if change.slug != "known")


def test_gravest_come_first() -> None:
    found = every_change()
    order = [list(Weight).index(alert.weight) for alert in alerts(judged(found[:3], found[3:]))]
    assert order == sorted(order)
    assert order.count(0) == 3


def test_note_that_something_is_worse_is_a_warning_and_good_news_is_none() -> None:
    weights = {alert.slug: alert.weight for alert in alerts(judged(notes=every_change()))}
    assert weights["model-lost"] is weights["new-variant"] is Weight.WARNING
    assert weights["op-fixed"] is weights["new-model"] is weights["version-changed"] is Weight.NOTE
    assert weights["waived"] is Weight.WAIVED


def test_without_a_judgement_each_op_that_is_not_supported_is_told_once() -> None:
    nodes = [node("op.a"), node("op.a", line=9), node("op.b"), OK]
    found = alerts(Findings(coverage({"m": {"rank0_0.py": "d"}}, body("d", *nodes))))
    assert sorted(alert.op for alert in found) == ["op.a", "op.b"]
    assert {alert.weight for alert in found} == {Weight.WARNING}
    assert {alert.rule for alert in found} == {"opcov/missing-op-support"}


def test_op_without_a_judgement_points_to_its_first_call() -> None:
    bodies = [body("1", OK), body("2", node("op.a", line=8), node("op.a", line=3))]
    found = coverage({"m": {"rank0_0.py": "1", "rank0_1.py": "2"}}, *bodies)
    (alert,) = alerts(Findings(found, corpus="gm"))
    assert (alert.place.file, alert.place.line) == ("gm/m/rank0_1.py", 8)


@pytest.mark.parametrize(
    ("corpus", "file"),
    [
        ("gm", f"gm/{FILE}"),
        ("./gm/", f"gm/{FILE}"),
        ("", FILE),
        (".", FILE),
        ("/abs/gm", FILE),
        ("../gm", FILE),
        ("a/gm", f"a/gm/{FILE}"),
    ],
)
def test_place_in_a_graph_is_below_the_corpus_and_never_above_the_working_directory(corpus: str, file: str) -> None:
    (alert,) = alerts(altered(judged([NewOp(facts())]), corpus=corpus))
    assert alert.place.file == file


@pytest.mark.parametrize(
    ("baseline", "file"),
    [
        ("ci/all_ops.py", "ci/all_ops.py"),
        ("./all_ops.py", "all_ops.py"),
        ("/home/me/all_ops.py", "all_ops.py"),
        ("../all_ops.py", "all_ops.py"),
        ("", "all_ops.py"),
    ],
)
def test_what_is_in_no_graph_points_to_the_baseline(baseline: str, file: str) -> None:
    judgement = Judgement(baseline, (ModelLost("org/lost"),))
    (alert,) = alerts(Findings(scanned(), judgement=judgement))
    assert alert.place.file == file


def test_expired_waiver_points_to_the_waiver() -> None:
    (change,) = (one for one in every_change() if isinstance(one, WaiverExpired))
    (alert,) = alerts(judged([change]))
    assert (alert.place.file, alert.place.line) == ("ci/all_ops.py", 14)


def test_fingerprint_does_not_depend_on_file_line_detail_or_models() -> None:
    one = facts()
    other = facts(place=Place("org/z/rank3_9.py", 77, "y", "", "e"), detail="other", models=("z",), nodes=9)
    prints = [alerts(judged([NewOp(each)]))[0].fingerprint for each in (one, other)]
    assert prints[0] == prints[1]


def test_fingerprint_tells_op_variant_and_kind_apart() -> None:
    changes = [NewOp(facts()), NewOp(facts(variant="torch.sinc(T, 1)")), NewOp(facts("op.b")), NewVariant(facts())]
    assert len({alert.fingerprint for alert in alerts(judged(changes))}) == len(changes)


def test_every_kind_of_alert_has_a_rule() -> None:
    ids = [rule.id for rule in rules()]
    found = (*alerts(judged(every_change())), *alerts(Findings(scanned())))
    assert {alert.rule for alert in found} <= set(ids)
    assert len(set(ids)) == len(ids)


def test_every_rule_is_explained() -> None:
    for rule in rules():
        assert rule.text.startswith(rule.summary[:20])
        assert "**What to do:**" in rule.text


def test_rule_of_a_reason_says_what_the_reason_means_and_not_the_status_or_the_problem_of_that_name() -> None:
    (rule,) = (rule for rule in rules() if rule.slug == "crash")
    assert (rule.summary, rule.text) == next(
        (one.summary, one.text) for one in explanations.explain("crash") if one.kind == "Reason"
    )


def test_message_is_cut_where_a_dump_makes_it_longer_than_a_log_shows() -> None:
    for style in (Style.TEXT, Style.GITHUB, Style.SARIF):
        for alert in alerts(Findings(scanned("x" * 10_000))):
            assert len(alert.message(style)) <= 3_000
            assert alert.message(style).endswith("…")


def test_text_that_fits_is_not_cut() -> None:
    assert shortened("abcd", 4) == "abcd"


def test_path_that_was_escaped_once_is_not_escaped_again() -> None:
    name = "org/m/a\\x1bb.py"
    (alert,) = alerts(judged([NewOp(facts(place=Place(name, 5, "", "", "d")))]))
    assert alert.place.file == f"gm/{name}"
