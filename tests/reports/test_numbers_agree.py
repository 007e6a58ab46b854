"""All kinds of reports tell the same numbers, and these are what counting the nodes one by one gives.

Each kind is read back into facts: a number by the thing that it is about and what is counted of it. No fact may have
two values, whoever tells it; the recount from the single nodes is one of the tellers.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias, Union

import pandas as pd
import pyarrow.parquet as pq
import pytest
from building import model, node
from markdown_it import MarkdownIt
from rendered_tables import table_with_id, tables_in

import opcov
from opcov import api
from opcov.corpus.health import Diagnosis, Health
from opcov.coverage import Coverage
from opcov.document import TABLES, NodeEntry, node_entries
from opcov.graph import Compiler, Form
from opcov.judged import JudgedBody, JudgedGraph
from opcov.problems import Problem, Slug
from opcov.reports import by_name, json_lines, markdown, parquet, tables, terminal
from opcov.reports.report import Findings, FolderReport
from opcov.verdict import Status

Number: TypeAlias = Union[int, float, None]
Facts: TypeAlias = dict[tuple[str, str, str], Number]
"""Numbers by a kind of thing (`op`), which one (`torch.bmm`) and what is counted (`unsupported`)."""

STATUSES = [status.value for status in Status]
NAMES = {"ops": "op", "variants": "variant", "models": "model", "graphs": "graph"}


# --- the recount ------------------------------------------------------------------------------------------------------


def share(part: int, whole: int) -> float | None:
    """Percent with one decimal; 0 and 100 only where that is exact."""
    if whole == 0:
        return None
    if part in (0, whole):
        return 100.0 * part / whole
    return min(99.9, max(0.1, round(100 * part / whole, 1)))


def by_status(nodes: Iterable[NodeEntry]) -> dict[str, int]:
    found = Counter(entry.status.value for entry in nodes)
    counts = {status: found[status] for status in STATUSES}
    refused = counts["unsupported"] + counts["crash"]
    return {**counts, "nodes": sum(counts.values()), "not_supported": refused}


def shares(counts: Mapping[str, int]) -> float | None:
    return share(counts["supported"], counts["supported"] + counts["not_supported"])


def recounted(coverage: Coverage) -> Facts:
    """What the single nodes say, with no help from the rows of other tables."""
    nodes = list(node_entries(coverage))
    files = {file.path: file.digest for scan in coverage.models.values() for file in scan.files}
    model_of = {file.path: scan.name for scan in coverage.models.values() for file in scan.files}
    distinct = set(files.values()) & set(coverage.bodies)
    of_graph = {digest: [entry for entry in nodes if entry.digest == digest] for digest in distinct}
    whole = {
        digest
        for digest in distinct
        if all(entry.status is Status.SUPPORTED for entry in of_graph[digest])
        and not coverage.bodies[digest].problems
        and not any(graph.crash for graph in coverage.bodies[digest].graphs)
    }
    facts: Facts = {}

    def tell(kind: str, name: str, numbers: Mapping[str, Number]) -> None:
        facts.update({(kind, name, counted): number for counted, number in numbers.items()})

    def regions(digests: Iterable[str]) -> dict[str, int]:
        placed = {(entry.digest, entry.placed_region, entry.placed) for entry in nodes if entry.placed_region}
        placed = {found for found in placed if found[0] in set(digests)}
        return {
            "placed_regions": len({found[:2] for found in placed}),
            "fallback_regions": len({found[:2] for found in placed if found[2] == "inductor"}),
        }

    counts = by_status(nodes)
    tell("total", "", counts)
    tell("total", "", {"models": len(coverage.models), "files": len(files), "graphs": len(distinct)})
    tell("total", "", {"covered_graphs": len(whole), "graph_coverage": share(len(whole), len(distinct))})
    tell("total", "", {"node_coverage": shares(counts), "judged": counts["supported"] + counts["not_supported"]})
    groups: dict[tuple[str, str], list[NodeEntry]] = {}
    for entry in nodes:
        groups.setdefault(("op", entry.op), []).append(entry)
        groups.setdefault(("variant", f"{entry.op}\n{entry.variant}"), []).append(entry)
    for (kind, name), members in groups.items():
        tell(kind, name, by_status(members))
        refused = [entry for entry in members if entry.status in (Status.UNSUPPORTED, Status.CRASH)]
        unknown = [entry for entry in members if entry.status is Status.UNKNOWN]
        touched = {entry.digest for entry in refused or unknown or members}
        spread = [path for path, digest in files.items() if digest in touched]
        tell(kind, name, {"graphs": len(touched), "files": len(spread)})
        tell(kind, name, {"models": len({model_of[path] for path in spread})})
        if kind == "op":
            tell(kind, name, {"variants": len({entry.variant for entry in members})})
    for path, digest in files.items():
        tell("graph", path, without(by_status(of_graph.get(digest, [])), "not_supported"))
        tell("graph", path, regions([digest]))
    for scan in coverage.models.values():
        digests = {file.digest for file in scan.files} & distinct
        counts = by_status(entry for digest in digests for entry in of_graph[digest])
        tell("model", scan.name, without(counts, "not_supported"))
        tell("model", scan.name, {"graphs": len(scan.files), "distinct_graphs": len(digests)})
        tell("model", scan.name, {"covered_graphs": len(digests & whole), "node_coverage": shares(counts)})
        tell("model", scan.name, {"graph_coverage": share(len(digests & whole), len(digests)), **regions(digests)})
    return facts


def without(numbers: Mapping[str, int], name: str) -> dict[str, int]:
    return {counted: number for counted, number in numbers.items() if counted != name}


# --- the reports, read back -------------------------------------------------------------------------------------------


def of_rows(rows: Mapping[str, list[Mapping[str, Any]]], read: Callable[[Any, type], Number]) -> Facts:
    """The facts of the tables of the document, however their cells are read, and the sums over the single nodes."""
    facts: Facts = {}
    for table in TABLES:
        numeric = {column: kind for column, kind in table.types.items() if kind in (int, float)}
        for row in rows[table.name]:
            if table.name == "nodes":
                key = ("total", "", row["status"])
                facts[key] = (facts.get(key) or 0) + 1
                continue
            name = {"variants": f"{row['op']}\n{row['variant']}" if "variant" in row else "", "graphs": row.get("file")}
            which = name.get(table.name) or row[NAMES[table.name]]
            for column, kind in numeric.items():
                facts[NAMES[table.name], which, column] = read(row[column], kind)
    facts["total", "", "nodes"] = len(rows["nodes"])
    facts["total", "", "models"] = len(rows["models"])
    facts["total", "", "files"] = len(rows["graphs"])
    return facts


def of_csv(scan: opcov.Scan) -> Facts:
    texts = tables.render(scan.coverage)
    rows = {table.name: list(csv.DictReader(io.StringIO(texts[f"{table.name}.csv"], newline=""))) for table in TABLES}
    return of_rows(rows, lambda cell, kind: kind(cell) if cell else None)


def of_parquet(scan: opcov.Scan) -> Facts:
    files = parquet.render(scan.coverage)
    rows = {table.name: pq.read_table(io.BytesIO(files[f"{table.name}.parquet"])).to_pylist() for table in TABLES}
    return of_rows(rows, lambda cell, _: cell)


def of_frames(scan: opcov.Scan) -> Facts:
    rows = {table.name: getattr(scan, table.name).to_dict("records") for table in TABLES}
    return of_rows(rows, lambda cell, kind: None if pd.isna(cell) else kind(cell))


def of_json(scan: opcov.Scan) -> Facts:
    content = scan.render("json")
    assert isinstance(content, bytes)
    found = json.loads(content)
    facts = of_rows(found, lambda cell, _: cell)
    return {**facts, **{("total", "", name): number for name, number in found["totals"].items()}}


def of_json_lines(scan: opcov.Scan) -> Facts:
    facts: Facts = {}
    for line in json_lines.render(Findings(scan.coverage)):
        found = json.loads(line)
        keys = [("total", ""), ("op", found["op"]), ("variant", f"{found['op']}\n{found['variant']}")]
        for kind, name in keys:
            for counted in STATUSES:
                key = (kind, name, counted)
                facts[key] = (facts.get(key) or 0) + (counted == found["status"])
    return facts


OP_HEADINGS = {
    "models": "models", "graphs": "graphs", "nodes": "not_supported", "regions": "fallback_regions",
    "of its own": "sole_regions", "graphs lost": "lost_graphs", "to it alone": "sole_lost_graphs",
}  # fmt: skip
MODEL_HEADINGS = {
    "files": "graphs", "distinct graphs": "distinct_graphs", "whole": "covered_graphs", "nodes": "nodes",
    "supported": "supported", "unsupported": "unsupported", "crash": "crash", "unknown": "unknown",
    "share": "node_coverage",
}  # fmt: skip


def number(cell: str) -> Number:
    if cell.endswith("%"):
        return float(cell.rstrip(" %"))
    return int(cell) if cell else None


def of_markdown(scan: opcov.Scan) -> Facts:
    text = markdown.render(scan.coverage)
    facts: Facts = {}
    for rows in tables_in(MarkdownIt("commonmark").enable("table").render(text)):
        match rows[0][0]:
            case "":
                names = [("supported", "judged", "node_coverage"), ("covered_graphs", "graphs", "graph_coverage")]
                for counted, row in zip(names, rows[1:], strict=True):
                    facts.update(
                        {("total", "", name): number(cell) for name, cell in zip(counted, row[1:], strict=True)}
                    )
            case "op" | "model" as kind:
                headings = OP_HEADINGS if kind == "op" else MODEL_HEADINGS
                for row in rows[1:]:
                    told = dict(zip(rows[0], row, strict=True))
                    facts.update(
                        {(kind, row[0], name): number(told[title]) for title, name in headings.items() if title in told}
                    )
    sentence = re.search(
        r"^(\d+) files? of (\d+) models?; (\d+) unsupported, (\d+) crash, (\d+) unknown", text, re.MULTILINE
    )
    assert sentence is not None
    counted = ("files", "models", "unsupported", "crash", "unknown")
    return {**facts, **{("total", "", name): int(told) for name, told in zip(counted, sentence.groups(), strict=True)}}


def of_terminal(scan: opcov.Scan) -> Facts:
    text = terminal.plain_summary(scan.coverage)
    head = re.match(
        r"(\d+) of (\d+) nodes supported \((\S+) %\)(?:, (\d+) unknown)?; (\d+) of (\d+) distinct graphs? whole; "
        r"(\d+) files? of (\d+) models?",
        text,
    )
    assert head is not None
    counted = (
        "supported", "judged", "node_coverage", "unknown", "covered_graphs", "graphs", "files", "models",
    )  # fmt: skip
    facts: Facts = {("total", "", name): float(told or 0) for name, told in zip(counted, head.groups(), strict=True)}
    for section in text.split("\n\n")[1:]:
        title, header, *lines = section.rstrip().splitlines()
        headings = re.split(r"\s{2,}", header.strip())
        for line in lines:
            told = dict(zip(headings, re.split(r"\s{2,}", line.strip()), strict=False))
            if title.startswith("Unsupported ops"):
                for heading, name in (("models", "models"), ("graphs", "graphs"), ("nodes", "not_supported")):
                    facts["op", told["op"], name] = int(told[heading])
            elif title == "Models":
                facts["model", told["model"], "graphs"] = int(told["files"])
                if told["graphs whole"] != "-":
                    covered, distinct = told["graphs whole"].split("/")
                    facts["model", told["model"], "covered_graphs"] = int(covered)
                    facts["model", told["model"], "distinct_graphs"] = int(distinct)
                if percent := re.search(r"([\d.]+) %", line):
                    facts["model", told["model"], "node_coverage"] = float(percent[1])
                # Bar and share may stand apart, so what follows them is counted from the end of the line.
                rest = headings[headings.index("nodes supported") + 1 :]
                for status, cell in zip(reversed(rest), reversed(line.split()), strict=False):
                    facts["model", told["model"], status] = int(cell)
    return facts


HTML_OP_HEADINGS = {
    "graphs": "graphs", "models": "models", "fallback": "fallback_regions", "alone": "sole_regions",
    "lost": "lost_graphs",
}  # fmt: skip
HTML_MODEL_HEADINGS = {
    "files": "graphs", "distinct": "distinct_graphs", "whole": "covered_graphs", "nodes": "nodes",
    "regions": "placed_regions", "fallback": "fallback_regions", "transitions": "transitions", "lost": "lost_graphs",
}  # fmt: skip


def digits(cell: str) -> int:
    """A number whose thousands stand apart."""
    return int(re.sub(r"\D", "", cell))


def of_html(scan: opcov.Scan) -> Facts:
    """The tables of ops and models on the site's first page, and the shares above them."""
    report = by_name("html")
    assert isinstance(report, FolderReport)
    page = report.render(Findings(scan.coverage))["index.html"]
    assert isinstance(page, str)
    facts: Facts = {}
    for tile, name in (("coverage-nodes", "node_coverage"), ("coverage-graphs", "graph_coverage")):
        figure = re.search(rf'id="{tile}".*?class="figure">([\d.]+)<', page, re.DOTALL)
        assert figure is not None
        facts["total", "", name] = float(figure[1])
    for row in table_with_id(page, "ops-table"):
        # Of an op with no unsupported node, the column counts all of its nodes.
        refused = row["reason"] not in ("supported", "NO_METADATA")
        facts["op", row["op"], "not_supported" if refused else "nodes"] = digits(row["nodes"])
        facts.update({("op", row["op"], name): digits(row[title]) for title, name in HTML_OP_HEADINGS.items()})
    for row in table_with_id(page, "models-table"):
        facts.update({("model", row["model"], name): digits(row[title]) for title, name in HTML_MODEL_HEADINGS.items()})
        if percent := re.search(r"([\d.]+) %", row["coverage"]):
            facts["model", row["model"], "node_coverage"] = float(percent[1])
    return facts


TELLERS: dict[str, Callable[[opcov.Scan], Facts]] = {
    "recount": lambda scan: recounted(scan.coverage),
    "csv": of_csv,
    "json": of_json,
    "jsonl": of_json_lines,
    "markdown": of_markdown,
    "parquet": of_parquet,
    "frames": of_frames,
    "html": of_html,
    "terminal": of_terminal,
}

HEADLINES = {"recount", "json", "markdown", "terminal", "html"}
"""Who tells the share of supported nodes in the corpus; the others tell of single rows."""

# --- what is told -----------------------------------------------------------------------------------------------------


def graph(*calls: tuple[str, Status, Compiler | None, str], crash: str = "") -> JudgedGraph:
    """An unsplit graph of calls: op, status, who would get it, in which region."""
    nodes = [
        node(op, status, name=f"n{place}", placed=placed, placed_region=region, recorded=None, recorded_region="")
        for place, (op, status, placed, region) in enumerate(calls)
    ]
    return JudgedGraph(Form.UNSPLIT, tuple(nodes), None, len({region for *_, region in calls if region}), crash)


def hard() -> opcov.Scan:
    """Unknown nodes, a crash, a graph that two models share, one that could not be read, a model that failed."""
    thunder, inductor = Compiler.THUNDER, Compiler.INDUCTOR
    bodies = {
        "whole": JudgedBody("whole", (graph(("torch.relu", Status.SUPPORTED, thunder, "thunder_0")),)),
        "mixed": JudgedBody(
            "mixed",
            (
                graph(
                    ("torch.relu", Status.SUPPORTED, thunder, "thunder_0"),
                    ("torch.bad", Status.UNSUPPORTED, inductor, "inductor_1"),
                    ("torch.worse", Status.UNSUPPORTED, inductor, "inductor_1"),
                    ("torch.relu", Status.UNKNOWN, inductor, "inductor_1"),
                    ("torch.bad", Status.UNSUPPORTED, inductor, "inductor_2"),
                ),
            ),
        ),
        "lost": JudgedBody(
            "lost",
            (
                graph(
                    ("torch.crash", Status.CRASH, None, ""),
                    ("torch.bad", Status.UNKNOWN, None, ""),
                    ("torch.dark", Status.UNKNOWN, None, ""),
                    crash="RuntimeError: no",
                ),
            ),
        ),
        "broken": JudgedBody("broken", (), (Problem("", 3, Slug.SYNTAX, "odd"),)),
    }
    models = [
        model("org/a", {"rank0_0.py": "whole", "rank1_0.py": "whole", "rank0_1.py": "mixed"}),
        model("org/b", {"rank0_0.py": "whole", "rank0_1.py": "lost", "rank0_2.py": "broken"}),
        model("org/failed", {}, Diagnosis(Health.FAILED, ("no graphs",))),
    ]
    problems = (Problem("org/b/rank0_2.py", 3, Slug.SYNTAX, "odd"),)
    return api.Scan(Coverage({scan.name: scan for scan in models}, bodies, {"judge": "1.0"}, problems))


@pytest.fixture(scope="module", params=["fixtures", "hard"])
def told(request: pytest.FixtureRequest) -> dict[str, Facts]:
    """The facts of a scan by who tells them."""
    scan = hard() if request.param == "hard" else request.getfixturevalue("fixtures_scan")
    return {teller: read(scan) for teller, read in TELLERS.items()}


def test_no_number_has_two_values(told: dict[str, Facts]) -> None:
    values: dict[tuple[str, str, str], dict[Number, list[str]]] = {}
    for teller, facts in told.items():
        for fact, value in facts.items():
            values.setdefault(fact, {}).setdefault(value, []).append(teller)
    assert {fact: tellers for fact, tellers in values.items() if len(tellers) > 1} == {}


def test_every_number_of_the_recount_is_told_by_every_full_table(told: dict[str, Facts]) -> None:
    tabular = {fact for fact in told["recount"] if fact[0] != "total" and fact[2] != "not_supported"}
    for teller in ("csv", "json", "parquet", "frames"):
        assert sorted(tabular - set(told[teller])) == []


def test_every_teller_tells_the_headline_and_the_ops(told: dict[str, Facts]) -> None:
    refused = {fact[1] for fact, value in told["recount"].items() if fact[::2] == ("op", "not_supported") and value}
    assert refused
    for teller, facts in told.items():
        assert ("total", "", "node_coverage") in facts or teller not in HEADLINES, teller
        assert len(refused & {name for kind, name, _ in facts if kind == "op"}) >= min(10, len(refused)), teller


def test_numbers_of_the_hard_corpus_are_what_one_counts_by_hand() -> None:
    facts = recounted(hard().coverage)
    total = {name: value for (kind, _, name), value in facts.items() if kind == "total"}
    assert total == {
        "supported": 2, "unsupported": 3, "crash": 1, "unknown": 3, "nodes": 9, "not_supported": 4, "judged": 6,
        "models": 3, "files": 6, "graphs": 4, "covered_graphs": 1, "graph_coverage": 25.0, "node_coverage": 33.3,
    }  # fmt: skip
    bad = {name: value for (kind, which, name), value in facts.items() if (kind, which) == ("op", "torch.bad")}
    assert bad == {
        "supported": 0, "unsupported": 2, "crash": 0, "unknown": 1, "nodes": 3, "not_supported": 2, "graphs": 1,
        "files": 1, "models": 1, "variants": 1,
    }  # fmt: skip
