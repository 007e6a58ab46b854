"""The site by keyboard: rows, filter, help, the way up; and the places in pages that links lead to."""

from __future__ import annotations

import pytest
from browsing import Watched, address, column, expect, is_free

import opcov
from opcov.reports.html.names import anchor, op_page

CURRENT = """() => {
    const row = document.activeElement.closest('tbody tr');
    return row && row.querySelector('a[href]').textContent;
}"""


@pytest.mark.parametrize(("down", "up"), ["jk", "np"])
def test_letters_move_from_row_to_row(watched: Watched, down: str, up: str) -> None:
    page = watched.open("index.html")
    ops = column(page, "ops-table", "op")
    seen = []
    for key in (down, down, down, up):
        page.keyboard.press(key)
        seen.append(page.evaluate(CURRENT))
    assert seen == [ops[0], ops[1], ops[2], ops[1]]


def test_the_row_before_the_first_is_the_first(watched: Watched) -> None:
    page = watched.open("index.html")
    page.keyboard.press("j")
    page.keyboard.press("k")
    assert page.evaluate(CURRENT) == column(page, "ops-table", "op")[0]


def test_moving_down_passes_hidden_rows_and_goes_on_in_the_next_table(watched: Watched) -> None:
    page = watched.open("index.html")
    ops = column(page, "ops-table", "op")
    page.locator("#ops-table").get_by_role("link", name=ops[-1], exact=True).focus()
    page.keyboard.press("j")
    assert page.evaluate(CURRENT) == column(page, "models-table", "model")[0]


def test_enter_opens_the_page_of_the_current_row(watched: Watched) -> None:
    page = watched.open("index.html")
    op = column(page, "ops-table", "op")[1]
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text(op)


def test_a_slash_focuses_the_filter_and_is_not_typed(watched: Watched) -> None:
    page = watched.open("index.html")
    page.keyboard.press("/")
    expect(page.locator("#filter")).to_be_focused()
    page.keyboard.type("histc")
    expect(page.locator("#filter")).to_have_value("histc")
    assert column(page, "ops-table", "op") == ["torch.histc"]


def test_escape_clears_the_filter_and_leaves_it(watched: Watched) -> None:
    page = watched.open("index.html")
    before = column(page, "ops-table", "op")
    page.keyboard.press("/")
    page.keyboard.type("histc")
    page.keyboard.press("Escape")
    expect(page.locator("#filter")).to_have_value("")
    expect(page.locator("#filter")).not_to_be_focused()
    assert column(page, "ops-table", "op") == before


def test_letters_typed_into_the_filter_are_no_keys(watched: Watched) -> None:
    page = watched.open("index.html")
    page.locator("#filter").focus()
    page.keyboard.type("u?jd/")
    expect(page.locator("#filter")).to_have_value("u?jd/")
    expect(page.locator("#help")).to_be_hidden()
    assert page.locator("[aria-sort]").count() == 0
    assert "index.html" in address(page)


def test_a_question_mark_opens_the_help_and_escape_closes_it(watched: Watched) -> None:
    page = watched.open("index.html")
    expect(page.locator("#help")).to_be_hidden()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("d")
    assert page.locator("[aria-sort]").count() == 0
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()


def test_the_help_has_buttons_too(watched: Watched) -> None:
    page = watched.open(op_page("torch.histc"))
    page.get_by_role("button", name="Keys").click()
    expect(page.locator("#help")).to_be_visible()
    page.get_by_role("button", name="Close").click()
    expect(page.locator("#help")).to_be_hidden()


def test_u_goes_up_to_the_start(watched: Watched) -> None:
    page = watched.open(op_page("torch.histc"))
    page.keyboard.press("u")
    page.wait_for_url("**/index.html")
    expect(page.locator("#ops-table")).to_be_visible()


def test_keys_of_the_browser_are_left_to_it(watched: Watched) -> None:
    page = watched.open("index.html")
    page.keyboard.press("Control+d")
    page.keyboard.press("Alt+d")
    assert page.locator("[aria-sort]").count() == 0


# --- places -----------------------------------------------------------------------------------------------------------


def place_of(op: str) -> str:
    return f"#op-{anchor(op)}"


def quoted(op: str) -> str:
    return f'[id="op-{anchor(op)}"]'


def supported_op(scan: opcov.Scan) -> str:
    return [row.op for row in scan.coverage.op_rows if row.counts.nodes == row.counts.supported][-1]


def test_a_link_to_a_row_shows_the_row(watched: Watched) -> None:
    page = watched.open("index.html", place_of("torch.sym_sum"))
    is_free(page, quoted("torch.sym_sum"))


def test_a_link_to_a_row_shows_it_although_it_is_supported(watched: Watched, scan: opcov.Scan) -> None:
    op = supported_op(scan)
    page = watched.open("index.html", place_of(op))
    is_free(page, quoted(op))


def test_a_link_to_a_row_shows_it_although_the_filter_hid_it(watched: Watched) -> None:
    page = watched.open("index.html")
    page.locator("#filter").fill("histc")
    expect(page.locator(quoted("torch.sym_sum"))).to_be_hidden()
    watched.open("index.html", place_of("torch.sym_sum"))
    is_free(page, quoted("torch.sym_sum"))


def test_a_link_to_a_row_shows_it_although_a_remembered_filter_would_hide_it(
    watched: Watched, scan: opcov.Scan
) -> None:
    page = watched.open("index.html")
    page.locator("#filter").fill("histc")
    watched.open(op_page("torch.histc"))
    op = supported_op(scan)
    watched.open("index.html", place_of(op))
    is_free(page, quoted(op))


def test_each_row_of_an_op_offers_the_link_to_it(watched: Watched) -> None:
    page = watched.open("index.html")
    row = page.locator(quoted("torch.sym_sum"))
    row.hover()
    row.locator("a.anchor").click()
    assert address(page).endswith("index.html" + place_of("torch.sym_sum"))
    is_free(page, quoted("torch.sym_sum"))


def test_a_fragment_that_names_no_place_harms_nothing(watched: Watched) -> None:
    page = watched.open("index.html", "#%E0%A4%A")
    assert column(page, "ops-table", "op")
