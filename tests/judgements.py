"""Builds judgements of the gate for tests of the reports that tell them, and the texts with which a dump may attack."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from building import body, coverage, node

from opcov.corpus.health import Health
from opcov.coverage import Coverage
from opcov.gate import Judgement
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
    UnknownRose,
    VersionChanged,
    Waived,
    WaiverExpired,
)  # fmt: skip
from opcov.problems import Problem, Slug
from opcov.reports.report import Findings
from opcov.verdict import Status

FILE = "org/m/rank0_0.py"
"""The one graph file of `scanned`."""

HOSTILE = [
    "a\n::error file=x,line=1::injected",
    "\r\n::stop-commands::token\r\n::set-env name=PATH::x",
    "##[error]injected ##vso[task.setvariable]",
    "100 %25 %0A::error::injected",
    "a,line=7,title=b:c;d",
    "]]> <!-- --> <![CDATA[x]]> &amp; &#0; <failure/>",
    "\x1b[31mred\x1b[0m\x07\x00\x08\x0b\x0c\x7f\x85\u2028\ufffe",
    "half \ud800 and \udc80 of a pair",
    "\u202eevil\u2066\u200b\ufeff",
    "{0} {name} [text](https://evil.example) %SRCROOT%/../../etc",
    "../../etc/passwd",
    "C:\\windows\\x y.py",
    "name with   blanks \u00fc \u65e5\u672c \U0001f600",
    "x" * 10_000,
    "<script>alert(1)</script>|`x`",
]


def facts(op: str = "torch.sinc", **changes: Any) -> OpFacts:
    """An unsupported call shape in the one file of `scanned`, line 5."""
    default: dict[str, Any] = {
        "op": op,
        "variant": f"{op}(T)",
        "reason": "MISSING_OP_SUPPORT",
        "detail": f"why {op}",
        "models": ("org/m",),
        "nodes": 1,
        "place": Place(FILE, 5, f"{op}(x)", "zoo/net.py:7 in forward", "d"),
    }
    return OpFacts(**{**default, **changes})


def every_change(text: str = "") -> tuple[Change, ...]:
    """A change of each kind, with a text at the end of all that a dump or a person may choose."""
    day = dt.date(2027, 3, 1)

    def about(op: str) -> OpFacts:
        place = Place(FILE + text, 5, f"{op}(x){text}", f"zoo/net.py:7{text}", "d")
        return facts(op + text, variant=f"{op}(T){text}", detail=text, models=(f"org/m{text}",), place=place)

    model = f"org/m{text}"
    return (
        NewOp(about("op.new")),
        NewVariant(about("op.variant")),
        KnownOpInNewModel(about("op.elsewhere")),
        NotAllowed(about("op.not_allowed"), ("org/other" + text,), 12),
        WaiverExpired(about("op.expired"), day, f"reason{text}", 14),
        Waived(about("op.waived"), day, f"reason{text}", 16),
        Known(about("op.known")),
        OpFixed(f"op.fixed{text}", f"op.fixed(T){text}", (model,), 20),
        ModelLost(f"org/lost{text}"),
        NewModel(model),
        GraphsLost(model, 9, 7),
        HealthFell(model, Health.OK, Health.PARTIAL, f"why{text}"),
        UnknownRose(model, 0, 3),
        GraphCrashes(model, 0, 1, f"why{text}", Place(FILE + text, 5, f"f(x){text}", "", "d")),
        VersionChanged("judge", f"1.0{text}", "2.0", (f"op.new{text}",)),
        NoModelFacts("all_ops.py"),
        BelowThreshold("node coverage", "85.9 %", "90 %"),
    )


def scanned(text: str = "") -> Coverage:
    """A model with one graph: a call that is not supported, one that crashes and a problem."""
    nodes = [node(f"op.a{text}", detail=text or "why"), node(f"op.b{text}", Status.CRASH, line=6, detail=text)]
    problems = [Problem(FILE + text, 3, Slug.SYNTAX, f"message{text}"), Problem("", 0, Slug.UNREADABLE, "no file")]
    return coverage({f"org/m{text}": {"rank0_0.py": "d"}}, body("d", *nodes), problems=problems)


def judged(failures: Sequence[Change] = (), notes: Sequence[Change] = (), known: Sequence[Change] = ()) -> Findings:
    """Findings of `scanned` that were held against `ci/all_ops.py`, with the corpus in `gm`."""
    judgement = Judgement("ci/all_ops.py", tuple(failures), tuple(notes), tuple(known))
    return Findings(scanned(), judgement=judgement, corpus="gm")


def hostile(text: str) -> Findings:
    """Findings of which every text that a dump or a person can choose is hostile, each change failing and not."""
    found = every_change(text)
    return Findings(scanned(text), judgement=Judgement(f"all{text}", found, found, found), corpus=f"gm{text}")


def altered(findings: Findings, **changes: Any) -> Findings:
    """The same findings with some of their parts exchanged."""
    parts = {name: getattr(findings, name) for name in ("coverage", "text_of", "judgement", "corpus")}
    return Findings(**{**parts, **changes})
