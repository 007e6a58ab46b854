"""The whole result as one JSON document, its published JSON Schema, and the way back from the text to the document."""

from __future__ import annotations

import inspect
import json
import re
from typing import Any

import msgspec

from opcov.coverage import OpSource
from opcov.document import SCHEMA_VERSION, Document, NodeEntry, document
from opcov.problems import Problem, UsageError
from opcov.reports.report import FileReport, Findings

_MAJOR = SCHEMA_VERSION.partition(".")[0]
SCHEMA_ID = f"urn:opcov:document:{_MAJOR}"
"""Names the schema. That of a line of the `jsonl` report is `#/$defs/NodeEntry` in it."""

_INDENT = 1
"""Blanks a level. One field a line makes diffs readable; two blanks instead of one cost a tenth of the size more."""

_ENCODER = msgspec.json.Encoder()
_SURROGATE = re.compile("[\ud800-\udfff]")


def render(findings: Findings) -> bytes:
    """The document of a coverage as UTF-8, a field a line, ended by a newline."""
    return msgspec.json.format(encoded(document(findings.coverage)), indent=_INDENT) + b"\n"


def encoded(value: Any) -> bytes:
    """A document or an entry as compact JSON, fields in the order of its type. Never raises for what is in a dump.

    Half of a surrogate pair is no text that UTF-8 could hold: it becomes six characters that spell it, as in all other
    reports.
    """
    try:
        return _ENCODER.encode(value)
    except (UnicodeEncodeError, OverflowError):
        text = json.dumps(msgspec.to_builtins(value), ensure_ascii=False, separators=(",", ":"))
        return _SURROGATE.sub(lambda found: f"\\\\u{ord(found[0]):04x}", text).encode()


# --- the schema -------------------------------------------------------------------------------------------------------


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the document, made from the types.

    Objects may have more fields than it names, since a minor version adds some.
    """
    (root, _), definitions = msgspec.json.schema_components([Document, NodeEntry], ref_template="#/$defs/{name}")
    for definition in definitions.values():
        _describe(definition)
    for entry in (OpSource, Problem):
        definitions[entry.__name__]["properties"]["line"]["minimum"] = 0
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "opcov document",
        "description": f"What opcov found in a corpus of saved FX graphs; version {SCHEMA_VERSION}.",
        **root,
        "$defs": dict(sorted(definitions.items())),
    }


def schema_text() -> str:
    """The schema as it is published beside this module in opcov.schema.json."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _describe(definition: dict[str, Any]) -> None:
    """Gives what the docstring of a type says of its attributes to the properties."""
    # Python 3.13 strips the indentation of docstrings, older ones do not.
    text = inspect.cleandoc(definition.get("description", ""))
    summary, _, attributes = text.partition("\n\nAttributes:\n")
    definition["description"] = " ".join(summary.split())
    for found in re.finditer(r"^ {4}(\w+): (.*(?:\n {5,}.*)*)", attributes, re.MULTILINE):
        definition["properties"][found[1]].setdefault("description", " ".join(found[2].split()))


# --- the way back -----------------------------------------------------------------------------------------------------


class _Version(msgspec.Struct):
    schema_version: str


def read_document(data: bytes | str) -> Document:
    """The document of a JSON text that opcov wrote. Fields that a later minor version has added are left out.

    Args:
        data: the text, or its bytes in UTF-8.

    Raises:
        UsageError: it is no JSON, no opcov document, or one of another major version of the schema.
    """
    try:
        content = data.encode() if isinstance(data, str) else data
        content = content.removeprefix(b"\xef\xbb\xbf")
        if not content.strip():
            raise UsageError("this is no JSON: it is empty; make one with --format json:FILE")
        version = msgspec.json.decode(content, type=_Version).schema_version
        if version.partition(".")[0] != _MAJOR:
            raise UsageError(
                f"the document has schema version {version!r}, and this opcov reads {_MAJOR}.x; "
                "make it again with this opcov"
            )
        return msgspec.json.decode(content, type=Document)
    except msgspec.ValidationError as error:
        raise UsageError(f"this is no document of opcov ({error}); make one with --format json:FILE") from error
    except RecursionError as error:
        raise UsageError("this is no document of opcov: it nests too deep") from error
    except UnicodeError as error:
        raise UsageError("this is no JSON: it is not UTF-8") from error
    except msgspec.DecodeError as error:
        raise UsageError(f"this is no JSON: {_place(content, error)}") from error


def _place(content: bytes, error: msgspec.DecodeError) -> str:
    """What is wrong where: msgspec counts bytes, an editor lines and columns."""
    found = re.fullmatch(r"JSON is malformed: (.*) \(byte (\d+)\)", str(error))
    what, offset = (found[1], int(found[2])) if found else ("it ends too early", len(content))
    before = content[:offset].decode("utf-8", errors="replace")
    line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    return f"{what} in line {line}, column {column}"


REPORT = FileReport("json", "the whole result as one JSON document", render)
