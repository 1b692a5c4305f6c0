"""Lists of traders, leads and merchants: sorted, narrowed and cut into pages by the database, whole and once each."""

from __future__ import annotations

import html
import re
import uuid

import pytest

from portal.core.db import hot, transaction
from portal.core.keyset import Page
from portal.core.trace import traced
from portal.traders.staff_list import page_of_traders
from tests.web.admin.office import Office
from tests.web.desk import Desk, path_of

SORTS = ("name", "-name", "created", "team", "-requisites", "open_orders", "-turnover", "orders")


def many(desk: Desk, count: int) -> str:
    """Traders who do nothing, with a word in their names that nobody else has."""
    word = uuid.uuid4().hex[:12]
    with transaction():
        hot(
            "INSERT INTO trader (id, name, team_id, status) SELECT gen_random_uuid(), %(word)s || ' ' || (n % 7),"
            " %(team)s, 'verified' FROM generate_series(1, %(count)s) n",
            {"word": word, "team": desk.scene.team_id, "count": count},
        )
    return word


def walked(office: Office, path: str) -> list[str]:
    """The links of all pages, in their order."""
    found: list[str] = []
    while path:
        answer = office.browser.get(path)
        assert answer.status_code == 200, path
        page = answer.get_data(as_text=True)
        found += re.findall(r'data-label="Name"><a href="([^"]+)"', page)
        more = re.search(r'href="([^"]*after=[^"]*)"', page)
        path = html.unescape(more[1]) if more else ""
    return found


@pytest.mark.parametrize("sort", SORTS)
def test_pages_hold_everybody_once_whatever_they_are_sorted_by(office: Office, desk: Desk, sort: str) -> None:
    word = many(desk, 120)
    seen = walked(office, f"/admin/traders?q={word}&sort={sort}&state=offline")
    assert len(seen) == len(set(seen)) == 120


def test_who_turned_over_most_stands_first_on_every_list(office: Office, desk: Desk) -> None:
    word = many(desk, 60)
    with transaction():
        hot(
            "UPDATE trader SET name = %(word)s || ' Tara' WHERE id = %(id)s",
            {"word": word, "id": desk.trader.id},
        )
    order = desk.payin(claimed=True)
    desk.browser.post(path_of(order, "confirmation"))
    first = walked(office, f"/admin/traders?q={word}&sort=-turnover")[0]
    assert first == f"/admin/traders/{desk.trader.id}"
    page = office.browser.get(f"/admin/traders?q={word}&sort=-orders").get_data(as_text=True)
    assert page.index("15.78") < page.index(f"{word} 0")
    for path in ("/admin/leads?sort=-turnover", "/admin/merchants?sort=-turnover", "/admin/merchants?sort=-stores",
                 "/admin/leads?sort=-traders&state=online", "/admin/merchants?state=offline"):  # fmt: skip
        assert walked(office, path) is not None


def test_beyond_any_number_of_lines_the_list_and_its_counts_are_whole(office: Office, desk: Desk) -> None:
    word = many(desk, 6000)
    with traced("a test"):
        first, counts = page_of_traders(word, Page("name", limit=50, state="offline"))
        last, _ = page_of_traders(word, Page("name", is_descending=True, limit=1))
        behind, empty_counts = page_of_traders(
            word, Page("name", after=(last[0].sort_key, last[0].id), limit=50)
        )
    assert len(first) == 50
    assert behind == []
    assert counts["offline"] == empty_counts["offline"] == 6000


@pytest.mark.proves("attack 65")
def test_row_65_a_cursor_of_another_sort_is_refused(office: Office, desk: Desk) -> None:
    many(desk, 60)
    page = office.browser.get("/admin/traders?sort=name").get_data(as_text=True)
    found = re.search(r"after=([^\"&]+)", page)
    assert found
    assert office.browser.get(f"/admin/traders?sort=requisites&after={found[1]}").status_code == 400
    assert office.browser.get("/admin/traders?sort=password_hash").status_code == 400
