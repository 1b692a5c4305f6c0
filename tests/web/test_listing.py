"""Lists: what the URL asks for, pages without gaps, chosen columns, and a file that no spreadsheet runs."""

from __future__ import annotations

import csv
import io

import pytest

from portal.identity.models import MemberRole, Role
from portal.web.listing_export import guarded
from tests.web.desk import HTMX, Desk
from tests.web.test_homes import person

CARDS = "/dev/components"


def rows_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))


@pytest.mark.parametrize("text", ["=1+1", "+7 900", "-2", "@SUM(A1)", "\t=1", " =1", "\r=1", "＝1"])
def test_text_that_a_spreadsheet_would_run_gets_an_apostrophe(text: str) -> None:
    assert guarded(text) == f"'{text}"


def test_other_text_stays_as_it_is() -> None:
    assert [guarded(text) for text in ("acme-1", "ord_1", "")] == ["acme-1", "ord_1", ""]


def test_the_file_has_the_same_rows_as_the_page_and_all_of_them(desk: Desk) -> None:
    page = desk.browser.get(f"{CARDS}?status=completed").text
    answer = desk.browser.get(f"{CARDS}/specimens.csv?status=completed")
    rows = rows_of(answer.text)
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=")
    assert [row[0] for row in rows[1:]] == ["16", "6"]
    assert 'href="/dev/components/specimens.csv?status=completed&amp;columns=number' in page
    everything = rows_of(desk.browser.get(f"{CARDS}/specimens.csv").text)
    assert [row[0] for row in everything[1:]] == [str(number) for number in range(22, -1, -1)]
    assert everything[-1][1] == "'=1+1"


def test_an_external_number_that_is_a_formula_is_harmless_in_the_file(desk: Desk) -> None:
    desk.scene.payin(900_00, external_id="=HYPERLINK(1)")
    owner = person(desk, Role.MERCHANT, member=MemberRole.OWNER)
    assert "'=HYPERLINK(1)" in rows_of(owner.get("/merchant/orders.csv").text)[1]


def test_pages_go_on_where_the_one_before_ended(desk: Desk) -> None:
    import re

    path, seen = f"{CARDS}?sort=number", []
    for _page in range(4):
        page = desk.browser.get(path).text
        seen += [int(number) for number in re.findall(r'data-label="Number">(\d+)<', page)]
        older = re.search(r'href="([^"]+)">Next<', page) or re.search(r'href="([^"]+)">Older<', page)
        if older is None:
            break
        path = older[1].replace("&amp;", "&")
    assert seen == list(range(23))


def test_htmx_gets_the_table_alone(desk: Desk) -> None:
    part = desk.browser.get(CARDS, headers=HTMX | {"HX-Target": "list-specimens"}).text
    assert part.strip().startswith('<div class="listing" id="list-specimens">')
    assert "<html" not in part


def test_what_makes_no_sense_in_the_url_is_left_out(desk: Desk) -> None:
    for query in (
        "sort=salary",
        "after=%00",
        "after=W10",
        "status=nonsense",
        "after=eyJhIjoxfQ",
        "columns=x",
    ):
        assert desk.browser.get(f"{CARDS}?{query}").status_code == 200, query
    owner = person(desk, Role.MERCHANT, member=MemberRole.OWNER)
    for query in ("from=yesterday", "to=9999-12-31", "q=ord_x", "after=WyJ4Il0", "store=st_x"):
        assert owner.get(f"/merchant/orders?{query}").status_code == 200, query


def test_chosen_columns_are_kept_by_the_browser(desk: Desk) -> None:
    desk.browser.get(f"{CARDS}?columns=number&columns=amount")
    page = desk.browser.get(CARDS).text
    assert 'data-label="Amount"' in page
    assert 'data-label="Status"' not in page


def test_orders_are_narrowed_by_number_status_and_direction(desk: Desk, stranger: Desk) -> None:
    desk.payin(700_00)
    order = desk.scene.payin(900_00, external_id="basket-9")
    stranger.scene.payin(900_00, external_id="basket-8")
    owner = person(desk, Role.MERCHANT, member=MemberRole.OWNER)
    support = person(desk, Role.SUPPORT)
    for browser, home in ((owner, "/merchant"), (support, "/support")):
        found = rows_of(browser.get(f"{home}/orders.csv?q=basket-9").text)
        assert len(found) == 2, home
        assert "basket-9" in found[1]
        assert len(rows_of(browser.get(f"{home}/orders.csv?status=completed").text)) == 1
    assert len(rows_of(owner.get("/merchant/orders.csv?q=basket-8").text)) == 1
    assert len(rows_of(support.get("/support/orders.csv?q=basket-8").text)) == 2
    assert len(rows_of(owner.get("/merchant/orders.csv?direction=payout").text)) == 1
    assert order.external_id == "basket-9"
