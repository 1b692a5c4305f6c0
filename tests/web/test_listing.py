"""Lists: what the URL asks for, pages without gaps, chosen columns, and a file that no spreadsheet runs."""

from __future__ import annotations

import csv
import io

import pytest

from portal.identity.models import MemberRole, Role
from portal.web.ui.lists.export import guarded
from tests.web.desk import HTMX, Desk
from tests.web.test_homes import lead_of, person

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


UNKNOWN = ("sort=password_hash", "sort=--created", "status=nonsense", "fields=email", "columns=password_hash",
           "after=W10", "after=eyJhIjoxfQ", "after=WyJ4Il0")  # fmt: skip


@pytest.mark.proves("attack 65")
def test_row_65_what_a_list_does_not_know_is_refused_and_never_passed_over(desk: Desk) -> None:
    """On the page, in the fragment and in the file: 400, what it is in words, and the way to the list."""
    orders = (*UNKNOWN, "direction=sideways", "from=yesterday", "to=9999-12-31", "to=2026-02-30")
    admin = person(desk, Role.ADMIN)
    lists = {
        CARDS: (desk.browser, UNKNOWN[:-1]),
        "/merchant/orders": (person(desk, Role.MERCHANT, member=MemberRole.OWNER), orders),
        "/lead/orders": (lead_of(desk), orders),
        "/support/orders": (person(desk, Role.SUPPORT), (*orders, "store=st_x")),
        "/admin/orders": (admin, (*orders, "store=st_x")),
        "/admin/people": (admin, ("sort=password_hash", "role=god", "state=x", "fields=x", "after=W10")),
        "/admin/traders": (admin, ("sort=balance", "state=x", "period=eternity", "fields=x", "after=W10")),
        "/admin/leads": (admin, ("sort=balance", "state=x", "period=eternity")),
        "/admin/merchants": (admin, ("sort=balance", "state=x", "period=eternity")),
    }
    for path, (browser, queries) in lists.items():
        assert browser.get(path).status_code == 200
        for query in queries:
            page = browser.get(f"{path}?{query}")
            assert page.status_code == 400, (path, query)
            assert f'class="btn btn-primary" href="{path}"' in page.text, (path, query)
            assert browser.get(f"{path}?{query}", headers=HTMX).status_code == 400, (path, query)
            if path.endswith("/orders"):
                assert browser.get(f"{path}.csv?{query}").status_code == 400, (path, query)


def test_words_that_are_looked_for_may_be_anything_that_can_be_seen(desk: Desk) -> None:
    owner = person(desk, Role.MERCHANT, member=MemberRole.OWNER)
    for query in ("q=ord_x", "q='--", "q=%D0%AF", "status=", "from=", "sort="):
        assert owner.get(f"/merchant/orders?{query}").status_code == 200, query
    assert owner.get("/merchant/orders?q=%00").status_code == 400


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
