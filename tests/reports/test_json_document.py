"""The JSON document: typed, described by its schema, the same after a round trip, safe with whatever a dump holds."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from building import OK, body, coverage, graph_file, model, node
from golden_document import reduced
from jsonschema import Draft202012Validator

import opcov
from opcov.corpus.health import Diagnosis, Health
from opcov.coverage import Coverage
from opcov.document import SCHEMA_VERSION, document
from opcov.problems import Problem, Slug, UsageError
from opcov.registries.families import Family, Route
from opcov.reports import json_document
from opcov.reports.json_document import read_document, render, schema, schema_text
from opcov.reports.report import Findings
from opcov.verdict import Evidence, Reason, Status

PROJECT = Path(__file__).resolve().parent.parent.parent
GOLDEN = PROJECT / "tests" / "golden" / "opcov.json"
PUBLISHED = Path(json_document.__file__).with_name("opcov.schema.json")

HOSTILE = 'a"\\b\n\x00\x1b[31m\u202e\u2028日本</script>😀'


def text(found: Coverage) -> bytes:
    return render(Findings(found))


def read(found: Coverage) -> Any:
    return json.loads(text(found))


def one(**changes: Any) -> Coverage:
    return coverage({"m": {"rank0_1.py": "d", "rank1_1.py": "d"}}, body("d", OK, node("torch.bad", **changes)))


def hostile() -> Coverage:
    """Every text that a dump can choose is hostile."""
    calls = [
        node(
            HOSTILE, status, variant=HOSTILE, expression=HOSTILE, detail=HOSTILE, name=HOSTILE, source_file=HOSTILE,
            source_function=HOSTILE, source_code=HOSTILE, recorded_region=HOSTILE, placed_region=HOSTILE,
            inputs=(HOSTILE,), output=HOSTILE, input_dtypes=(HOSTILE,), output_dtypes=(HOSTILE,), kernel=HOSTILE,
        )
        for status in Status
    ]  # fmt: skip
    problems = [Problem(HOSTILE, 1, Slug.SYNTAX, HOSTILE)]
    found = coverage({HOSTILE: {HOSTILE: HOSTILE}}, body(HOSTILE, *calls, crash=HOSTILE), problems=problems)
    failed = model(f"{HOSTILE} failed", {}, Diagnosis(Health.FAILED, (HOSTILE,)))
    return Coverage({**found.models, failed.name: failed}, found.bodies, {HOSTILE: HOSTILE}, found.problems)


def errors(found: Coverage) -> list[str]:
    return [error.message for error in Draft202012Validator(schema()).iter_errors(read(found))]


# --- the text ---


def test_document_tells_versions_totals_and_all_tables() -> None:
    found = read(one())
    assert list(found) == [
        "schema_version", "opcov", "versions", "totals", "models", "ops", "variants", "graphs", "nodes", "problems",
    ]  # fmt: skip
    assert (found["schema_version"], found["opcov"]) == (SCHEMA_VERSION, opcov.__version__)
    assert found["versions"] == {"judge": "1.0"}
    assert [len(found[name]) for name in ("models", "ops", "variants", "graphs", "nodes")] == [1, 2, 2, 2, 2]


def test_values_keep_their_types() -> None:
    (bad,) = [entry for entry in read(one(line=7))["nodes"] if entry["op"] == "torch.bad"]
    assert bad["line"] == 7
    assert (bad["status"], bad["reason"], bad["kernel"]) == ("unsupported", "MISSING_OP_SUPPORT", "")
    assert bad["inputs"] == []
    assert read(one())["totals"]["node_coverage"] == 50.0
    assert read(coverage({"m": {}}))["totals"]["node_coverage"] is None


def test_lines_hold_one_field_each_and_the_last_one_ends() -> None:
    lines = text(one()).decode().split("\n")
    assert lines[0] == "{"
    assert ' "schema_version": "1.0",' in lines
    assert lines[-2:] == ["}", ""]


def test_text_beyond_ascii_stays_readable() -> None:
    assert "日本".encode() in text(one(detail="日本"))


def test_half_of_a_surrogate_pair_is_spelled_out() -> None:
    (bad,) = [entry for entry in read(one(detail='x\udc80"'))["nodes"] if entry["op"] == "torch.bad"]
    assert bad["detail"] == 'x\\udc80"'


def test_number_of_more_than_64_bits_is_kept() -> None:
    file = replace(graph_file("m/rank9.py", "d"), rank=10**30)
    scan = replace(model("m", {}), files=(file,))
    found = Coverage({"m": scan}, {"d": body("d", OK)})
    assert read(found)["graphs"][0]["rank"] == 10**30
    assert read_document(text(found)) == document(found)


def test_same_coverage_gives_the_same_bytes() -> None:
    assert text(one()) == text(one())


# --- the schema ---


def test_published_schema_is_the_one_that_the_types_give() -> None:
    assert PUBLISHED.read_text(encoding="utf-8") == schema_text(), "refresh it with: make schema"


def test_schema_is_valid_and_names_itself() -> None:
    Draft202012Validator.check_schema(schema())
    assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema()["$id"] == f"urn:opcov:document:{SCHEMA_VERSION.partition('.')[0]}"


def test_schema_describes_every_type_and_every_field() -> None:
    definitions = schema()["$defs"]
    assert [name for name, definition in definitions.items() if not definition["description"]] == []
    undescribed = [
        f"{name}.{field}"
        for name, definition in definitions.items()
        for field, about in definition.get("properties", {}).items()
        if not about.get("description")
    ]
    assert undescribed == []
    assert "Attributes:" not in schema_text()


def test_schema_requires_every_field_and_allows_later_ones() -> None:
    for definition in schema()["$defs"].values():
        if definition.get("type") == "object":
            assert definition["required"] == list(definition["properties"])
            assert definition.get("additionalProperties") is None


@pytest.mark.parametrize(
    "enum", [Status, Reason, Evidence, Family, Route, Health, Slug], ids=lambda enum: enum.__name__
)
def test_schema_lists_the_values_of_enums(enum: Any) -> None:
    assert set(schema()["$defs"][enum.__name__]["enum"]) == {member.value for member in enum}


@pytest.mark.parametrize(
    "found", [coverage({}), coverage({"m": {}}), one(), hostile()], ids=["nothing", "no graphs", "small", "hostile"]
)
def test_document_keeps_its_schema(found: Coverage) -> None:
    assert errors(found) == []


def test_document_of_the_fixtures_keeps_its_schema(fixtures_scan: opcov.Scan) -> None:
    assert errors(fixtures_scan.coverage) == []


def test_schema_refuses_what_is_no_document() -> None:
    validator = Draft202012Validator(schema())
    good = read(one())
    for wrong in (
        {**good, "schema_version": "2.0"},
        {**good, "totals": None},
        {**good, "nodes": [{**good["nodes"][0], "status": "fine"}]},
        {name: value for name, value in good.items() if name != "ops"},
    ):
        assert not validator.is_valid(wrong)


# --- the way back ---


@pytest.mark.parametrize(
    "found", [coverage({}), coverage({"m": {}}), one(), hostile()], ids=["nothing", "no graphs", "small", "hostile"]
)
def test_document_comes_back_equal(found: Coverage) -> None:
    assert read_document(text(found)) == document(found)


def test_document_of_the_fixtures_comes_back_equal(fixtures_scan: opcov.Scan) -> None:
    assert read_document(text(fixtures_scan.coverage)) == document(fixtures_scan.coverage)


def test_document_comes_back_from_text_and_from_behind_a_byte_order_mark() -> None:
    assert read_document(text(one()).decode()) == read_document(b"\xef\xbb\xbf" + text(one())) == document(one())


def test_fields_of_a_later_minor_version_are_left_out() -> None:
    later = read(one())
    later.update(schema_version="1.7", mood="good")
    later["nodes"][0]["mood"] = "good"
    assert read_document(json.dumps(later)) == replace(document(one()), schema_version="1.7")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no JSON: it is empty"),
        (b'{"a": 1,\n "b\xc3\xbc": x}', "no JSON.* line 2, column 8"),
        (b'{"schema_version": "1.0"', "no JSON.* ends too early in line 1, column 25"),
        (b'{"schema_version": "1.0", "opcov": "\xff"}', "no document|not UTF-8"),
        ("\udc80", "not UTF-8"),
        (b"[" * 100_000, "no document"),
        (b'{"schema_version": "1.0", "x": ' + b"[" * 100_000, "nests too deep"),
        (b"[]", "no document"),
        (b"{}", "no document.*schema_version"),
        (b'{"schema_version": 1}', "no document.*schema_version"),
        (b'{"schema_version": "1.0"}', "no document.*opcov"),
        (b'{"schema_version": "2.3"}', "schema version '2.3', and this opcov reads 1.x"),
        (b'{"schema_version": "10.0"}', "schema version '10.0'"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_is_no_document_is_refused_in_one_line(content: bytes | str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        read_document(content)
    assert re.search(said, str(error.value))
    assert "\n" not in str(error.value)


def test_wrong_type_is_named_with_its_place() -> None:
    wrong = read(one())
    wrong["nodes"][1]["line"] = "seven"
    with pytest.raises(UsageError, match=r"Expected `int`, got `str` - at `\$\.nodes\[1\]\.line`"):
        read_document(json.dumps(wrong))


# --- the fixtures ---


@pytest.mark.recorded
def test_document_of_the_fixtures_is_the_golden_one(fixtures_scan: opcov.Scan) -> None:
    # The whole document takes 4 MB: totals, models and ops without their sources stand for it.
    found = reduced(text(fixtures_scan.coverage))
    assert found == GOLDEN.read_text(encoding="utf-8"), (
        "if that is right: python -m opcov fixtures/gm --format json | python tests/golden_document.py"
    )
