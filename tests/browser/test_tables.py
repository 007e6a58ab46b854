"""Tables in a browser: sorting, filtering, hiding what is supported, and the state that is kept of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from browsing import Watched, address, column, expect, heading, numbers, watch

import opcov
from opcov.coverage import OpRow
from opcov.reports.html.names import op_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

window = contextmanager(watch)


def refused(scan: opcov.Scan) -> dict[str, OpRow]:
    return {row.op: row for row in scan.coverage.op_rows if row.counts.not_supported or row.counts.unknown}


def sort_by(page: Page, text: str, table: str = "ops-table") -> None:
    heading(page, table, text).get_by_role("button").click()


# --- sorting ----------------------------------------------------------------------------------------------------------


def by_click(page: Page) -> None:
    heading(page, "ops-table", "nodes").get_by_role("button").click()


def by_enter(page: Page) -> None:
    heading(page, "ops-table", "nodes").get_by_role("button").focus()
    page.keyboard.press("Enter")


def by_letter(page: Page) -> None:
    page.keyboard.press("d")


WAYS = pytest.mark.parametrize("turn", [by_click, by_enter, by_letter])


@WAYS
def test_numbers_are_sorted_as_numbers_the_largest_first(
    watched: Watched, scan: opcov.Scan, turn: Callable[..., None]
) -> None:
    page = watched.open("index.html")
    turn(page)
    expected = sorted((row.counts.not_supported for row in refused(scan).values()), reverse=True)
    assert expected != sorted(expected, key=str, reverse=True)
    assert numbers(page, "ops-table", "nodes") == expected
    expect(heading(page, "ops-table", "nodes")).to_have_attribute("aria-sort", "descending")


@WAYS
def test_sorting_again_turns_the_order_round(watched: Watched, scan: opcov.Scan, turn: Callable[..., None]) -> None:
    page = watched.open("index.html")
    turn(page)
    turn(page)
    assert numbers(page, "ops-table", "nodes") == sorted(row.counts.not_supported for row in refused(scan).values())
    expect(heading(page, "ops-table", "nodes")).to_have_attribute("aria-sort", "ascending")


@WAYS
def test_sorting_a_third_time_brings_back_the_order_of_the_report(watched: Watched, turn: Callable[..., None]) -> None:
    page = watched.open("index.html")
    before = column(page, "ops-table", "op")
    turn(page)
    assert column(page, "ops-table", "op") != before
    turn(page)
    turn(page)
    assert column(page, "ops-table", "op") == before
    assert page.locator("[aria-sort]").count() == 0


def test_texts_are_sorted_with_the_first_first_and_equal_ones_stay_in_the_order_of_the_report(
    watched: Watched, scan: opcov.Scan
) -> None:
    page = watched.open("index.html")
    families = {op: row.family.value for op, row in refused(scan).items()}
    expected = sorted(column(page, "ops-table", "op"), key=lambda op: families[op].lower())
    sort_by(page, "family")
    assert column(page, "ops-table", "op") == expected
    expect(heading(page, "ops-table", "family")).to_have_attribute("aria-sort", "ascending")


def test_only_the_column_that_was_sorted_last_shows_a_direction(watched: Watched) -> None:
    page = watched.open("index.html")
    sort_by(page, "family")
    sort_by(page, "models")
    assert page.locator("#ops-table [aria-sort]").all_text_contents() == ["models"]


@pytest.mark.parametrize("times", [1, 2])
def test_rows_without_a_value_are_last_in_either_direction(watched: Watched, scan: opcov.Scan, times: int) -> None:
    page = watched.open("index.html")
    for _ in range(times):
        sort_by(page, "coverage", "models-table")
    empty = {row.scan.name for row in scan.coverage.model_rows() if not row.counts.nodes}
    assert empty
    names = column(page, "models-table", "model")
    assert {*names[-len(empty) :]} == empty
    shares = [float(text.rstrip(" %\u00a0\u202f")) for text in column(page, "models-table", "coverage")[: -len(empty)]]
    assert shares == sorted(shares, reverse=times == 1)


def test_a_letter_sorts_the_table_of_the_current_row(watched: Watched, scan: opcov.Scan) -> None:
    page = watched.open("index.html")
    page.locator("#models-table tbody a[href]").first.focus()
    page.keyboard.press("d")
    expected = sorted((row.distinct for row in scan.coverage.model_rows()), reverse=True)
    assert numbers(page, "models-table", "distinct") == expected
    assert page.locator("#ops-table [aria-sort]").count() == 0


# --- filter and hidden rows -------------------------------------------------------------------------------------------


def test_the_filter_narrows_the_rows_to_those_with_all_its_words(watched: Watched) -> None:
    page = watched.open("index.html")
    page.locator("#filter").fill("AUTO_fallback histc")
    assert column(page, "ops-table", "op") == ["torch.histc"]


def test_the_filter_tells_how_many_rows_are_left(watched: Watched, scan: opcov.Scan) -> None:
    page = watched.open("index.html")
    all_rows = page.locator("table.data tbody tr").filter(visible=True).count()
    assert all_rows >= len(refused(scan)) + len(scan.coverage.models)
    expect(page.locator("#filter-count")).to_have_text(f"{all_rows} of {all_rows}")
    page.locator("#filter").fill("qwen")
    left = page.locator("table.data tbody tr").filter(visible=True).count()
    assert 0 < left < all_rows
    expect(page.locator("#filter-count")).to_have_text(f"{left} of {all_rows}")


def test_a_filter_that_nothing_matches_says_so(watched: Watched) -> None:
    page = watched.open("index.html")
    page.locator("#filter").fill("no such op")
    expect(page.locator("#ops-table + .no-match")).to_have_text("No row matches the filter.")
    page.locator("#filter").fill("")
    expect(page.locator("#ops-table + .no-match")).to_be_hidden()


def test_the_filter_narrows_the_matrix_too(watched: Watched) -> None:
    page = watched.open("index.html")
    page.locator("#filter").fill("torch.histc")
    assert page.locator("#matrix-table tbody tr").filter(visible=True).locator("th").all_text_contents() == [
        "torch.histc"
    ]


def test_supported_ops_are_hidden_until_they_are_asked_for(watched: Watched, scan: opcov.Scan) -> None:
    page = watched.open("index.html")
    assert {*column(page, "ops-table", "op")} == refused(scan).keys()
    page.get_by_label("hide supported").uncheck()
    assert {*column(page, "ops-table", "op")} == {row.op for row in scan.coverage.op_rows}
    page.get_by_label("hide supported").check()
    assert {*column(page, "ops-table", "op")} == refused(scan).keys()


def test_a_filter_finds_supported_ops_only_where_they_are_shown(watched: Watched) -> None:
    page = watched.open("index.html")
    page.locator("#filter").fill("operator.")
    assert column(page, "ops-table", "op") == ["operator.getitem"]
    before = int(page.locator("#filter-count").inner_text().split()[0])
    page.get_by_label("hide supported").uncheck()
    shown = column(page, "ops-table", "op")
    assert "operator.mul" in shown
    left = page.locator("table.data tbody tr").filter(visible=True).count()
    assert left > before
    assert page.locator("#filter-count").inner_text().startswith(f"{left} of ")


# --- state ------------------------------------------------------------------------------------------------------------


def set_state(page: Page) -> tuple[list[str], str]:
    """Sorts, filters and shows what is supported; tells what is then seen."""
    sort_by(page, "graphs")
    sort_by(page, "graphs")
    page.locator("#filter").fill("torch.tensor")
    page.get_by_label("hide supported").uncheck()
    return seen(page)


def seen(page: Page) -> tuple[list[str], str]:
    expect(heading(page, "ops-table", "graphs")).to_have_attribute("aria-sort", "ascending")
    return column(page, "ops-table", "op"), page.locator("#filter").input_value()


def test_a_reload_keeps_order_filter_and_hidden_rows(watched: Watched) -> None:
    page = watched.open("index.html")
    state = set_state(page)
    page.reload()
    assert seen(page) == state
    assert len(state[0]) > 3


def test_a_copied_address_shows_the_same_to_another_reader(watched: Watched, browser: Browser, site: Path) -> None:
    page = watched.open("index.html")
    state = set_state(page)
    with window(browser, site) as other:
        other.page.goto(address(page))
        assert seen(other.page) == state


def test_order_filter_and_hidden_rows_are_still_there_on_coming_back(watched: Watched) -> None:
    page = watched.open("index.html")
    state = set_state(page)
    watched.open(op_page("torch.histc"))
    page.get_by_role("navigation", name="Breadcrumbs").get_by_role("link").first.click()
    expect(page.locator("#ops-table")).to_be_visible()
    assert "#" not in address(page)
    assert seen(page) == state


def test_an_order_that_was_undone_is_not_remembered(watched: Watched) -> None:
    page = watched.open("index.html")
    before = column(page, "ops-table", "op")
    for _ in range(3):
        sort_by(page, "family")
    page.reload()
    assert column(page, "ops-table", "op") == before


def test_the_address_of_a_page_as_it_was_made_has_no_fragment(watched: Watched) -> None:
    page = watched.open("index.html")
    page.locator("#filter").fill("histc")
    assert address(page).endswith("#q=histc")
    page.locator("#filter").fill("")
    assert address(page).endswith("index.html")


BACKGROUND = "() => getComputedStyle(document.body).backgroundColor"


def test_the_chosen_theme_holds_on_all_pages(watched: Watched) -> None:
    page = watched.open("index.html")
    light = page.evaluate(BACKGROUND)
    page.get_by_role("button", name="Dark").click()
    dark = page.evaluate(BACKGROUND)
    assert dark != light
    watched.open(op_page("torch.histc"))
    assert page.evaluate(BACKGROUND) == dark
    page.get_by_role("button", name="Light").click()
    assert page.evaluate(BACKGROUND) == light


def test_without_a_choice_the_theme_is_that_of_the_system(browser: Browser, site: Path) -> None:
    with window(browser, site, color_scheme="light") as light, window(browser, site, color_scheme="dark") as dark:
        found = [one.open("index.html").evaluate(BACKGROUND) for one in (light, dark)]
        assert found[0] != found[1]
        expect(dark.page.locator("#theme-button")).to_have_text("Light")
