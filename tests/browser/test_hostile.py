"""A corpus whose every string tries to break out of the page: nothing of it comes alive in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from browsing import Watched, watch
from building import body, coverage, node

from opcov.api import Scan
from opcov.corpus.health import Diagnosis, Health
from opcov.coverage import Coverage
from opcov.graph import Compiler, Form
from opcov.judged import JudgedBody, JudgedGraph, ModelScan
from opcov.loaders.runlog import Frame, RunException, RunLog
from opcov.problems import Problem, Slug
from opcov.verdict import Status

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ATTACKS = (
    "<script>alert('in')</script>",
    "</textarea></title></style></script><img src=x onerror=alert(2)>",
    "javascript:alert(3)",
    '" onmouseover="alert(4)" autofocus onfocus="alert(5)" x="',
    "{{ 7 * 7 }}{% raw %}",
    "\x1b[31mred\x1b[0m\x1b]0;title\x07",
    "\u202egnp.exe\u2066",
    "<!-- ]]> --><svg onload=alert(6)>",
    "https://example.org/beacon.png",
)


def hostile_coverage() -> tuple[Coverage, dict[str, str]]:
    """Every text of it is an attack; the texts of its graphs too."""
    models = {}
    bodies = {}
    texts = {}
    problems = []
    siblings = {}
    for number, attack in enumerate(ATTACKS):
        op = f"torch.ops.{attack}"
        calls = [
            node(
                op, status, name=attack, variant=f"{op}({attack})", expression=attack, detail=attack, line=number + 1,
                source_file=attack, source_function=attack, source_code=attack, reads=(attack, "x"),
                inputs=(attack,), output=attack, input_dtypes=(attack,), output_dtypes=(attack,), kernel=attack,
                placed=Compiler.INDUCTOR, placed_region=attack,
            )
            for status in (Status.UNSUPPORTED, Status.CRASH)
        ]  # fmt: skip
        digest = f"d{number}"
        graph = JudgedGraph(Form.UNSPLIT, tuple(calls), None, 1, attack, ((attack, attack),), (attack,))
        bodies[digest] = JudgedBody(digest, (graph,), (Problem("", 1, Slug.CRASH, attack),))
        texts[digest] = "\n".join(ATTACKS)
        name = f"org/{attack}"
        (plain,) = coverage({name: {f"{attack}.py": digest}}, body(digest)).models.values()
        error = RunException(attack, attack, Frame(attack, 3, attack), 1)
        log = RunLog(final_exception=error, exceptions=(error,), tracebacks=1, finished=False)
        models[name] = ModelScan(name, plain.files, Diagnosis(Health.PARTIAL, (attack,)), log)
        problems.append(Problem(plain.files[0].path, 1, Slug.SYNTAX, attack))
        siblings[op] = (attack,)
    # Two ranks that differ, so that what differs is shown.
    first = next(iter(models.values()))
    other = replace(first.files[0], path=f"{first.files[0].path}2", rank=1, digest="d1")
    models[first.name] = replace(first, files=(*first.files, other))
    return Coverage(models, bodies, {ATTACKS[0]: ATTACKS[1]}, tuple(sorted(problems)), siblings), texts


@pytest.fixture(scope="module")
def hostile_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    found, texts = hostile_coverage()
    Scan(found, texts.get).write(html=folder)
    return folder


@pytest.fixture
def hostile(browser: Browser, hostile_site: Path) -> Iterator[Watched]:
    yield from watch(browser, hostile_site)


ALIVE = """() => [
    ...[...document.querySelectorAll('script')].filter(one => !one.src).map(one => one.outerHTML),
    ...[...document.querySelectorAll('img, iframe, object, embed, textarea, form, base')].map(one => one.outerHTML),
    ...[...document.querySelectorAll('*')].flatMap(one => [...one.attributes]
        .filter(found => found.name.startsWith('on') || found.name === 'autofocus')
        .map(found => one.tagName + ' ' + found.name)),
    ...[...document.querySelectorAll('[href], [src], [action]')]
        .map(one => one.getAttribute('href') || one.getAttribute('src') || '')
        .filter(where => where !== 'data:,' && /^[a-z][a-z0-9+.-]*:/i.test(where.trim())),
]"""


def test_nothing_of_a_hostile_corpus_comes_alive(hostile: Watched) -> None:
    pages = sorted(path.relative_to(hostile.site).as_posix() for path in hostile.site.rglob("*.html"))
    assert len(pages) > 3 * len(ATTACKS)
    for path in pages:
        page = hostile.open(path)
        assert page.evaluate(ALIVE) == [], path
        assert page.evaluate("() => document.title !== 'title'"), path


def test_hostile_text_is_shown_as_text(hostile: Watched) -> None:
    page = hostile.open("index.html")
    text = page.evaluate("() => document.body.textContent")
    assert "<script>alert('in')</script>" in text
    assert "javascript:alert(3)" in text


def test_control_characters_are_shown_not_obeyed(hostile: Watched) -> None:
    for path in sorted(hostile.site.rglob("*.html")):
        text = path.read_text(encoding="utf-8")
        assert not {"\x1b", "\x07", "\u202e", "\u2066"}.intersection(text), path.name
