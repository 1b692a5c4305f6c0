"""Saved views of lists: a person's own, kept with columns and sort, a bounded number, and without a script."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest

from portal.core.db import hot, transaction
from portal.identity.models import MemberRole, Role
from portal.identity.saved_views import MOST_VIEWS
from tests.web.desk import HTMX, Browser, Desk
from tests.web.test_homes import MOST_QUERIES, counted, person, visitors
from tests.web.test_listing import rows_of

ORDERS = "/merchant/orders"


@pytest.fixture
def owner(desk: Desk) -> Browser:
    return person(desk, Role.MERCHANT, member=MemberRole.OWNER)


def form_of(page: str) -> dict[str, str]:
    """The hidden fields of the form that saves a view."""
    form = page.split('action="/account/views"')[1].split("</form>", maxsplit=1)[0]
    return {
        name: unescape(value) for name, value in re.findall(r'name="(list|query|next)" value="([^"]*)"', form)
    }


def keep(browser: Browser, address: str, name: str) -> Any:
    return browser.post("/account/views", form_of(browser.get(address).text) | {"name": name}, htmx=False)


def tabs_of(page: str) -> dict[str, tuple[str, bool]]:
    """Address and mark of each view above the list."""
    nav = re.search(r'<nav class="tabs" aria-label="Saved views">(.*?)</nav>', page, re.DOTALL)
    found = re.findall(r'<a href="([^"]+)"( aria-current="page")?>([^<]+)</a>', nav[1]) if nav else []
    return {name: (unescape(href), bool(mark)) for href, mark, name in found}


def kept() -> int:
    with transaction():
        return int(hot("SELECT count(*) AS n FROM saved_view")[0]["n"])


def test_a_view_keeps_filters_sort_and_columns_under_a_name(desk: Desk, owner: Browser) -> None:
    desk.payin(1500_00)
    address = f"{ORDERS}?status=awaiting_payment&sort=created&columns=created&columns=number&columns=status&columns=fee"
    done = keep(owner, address, "  To be   paid ")
    assert done.status_code == 303
    owner.get(f"{ORDERS}?columns=number&columns=status&columns=method")
    page = owner.get(done.location).text
    href, is_current = tabs_of(page)["To be paid"]
    assert (href, is_current) == (done.location, True)
    assert 'data-label="Fee"' in page
    assert 'data-label="Method"' not in page
    assert 'aria-sort="ascending"' in page
    assert 'value="awaiting_payment" selected' in page
    whole = owner.get(ORDERS).text
    assert 'data-label="Method"' in whole, "a view leaves the person's own choice of columns alone"
    assert tabs_of(whole)["All"][1]
    assert not tabs_of(whole)["To be paid"][1]
    assert (
        len(
            rows_of(
                owner.get(re.findall(r'href="([^"]+orders\.csv[^"]*)"', page)[0].replace("&amp;", "&")).text
            )
        )
        == 2
    )


def test_the_form_of_a_narrowed_fragment_saves_what_is_shown(owner: Browser) -> None:
    part = owner.get(f"{ORDERS}?status=failed", headers=HTMX | {"HX-Target": "list-orders"}).text
    assert "status=failed" in form_of(part)["query"]


def test_the_same_name_again_replaces_the_view_and_it_can_be_deleted(owner: Browser) -> None:
    keep(owner, f"{ORDERS}?status=failed", "Mine")
    keep(owner, f"{ORDERS}?status=expired", "Mine")
    page = owner.get(ORDERS).text
    assert "status=expired" in tabs_of(page)["Mine"][0]
    [path] = re.findall(r'action="(/account/views/[^"]+/deletion)"', page)
    assert owner.post(path, {"next": ORDERS}, htmx=False).location == ORDERS
    assert tabs_of(owner.get(ORDERS).text) == {}


def test_a_view_is_its_persons_alone(desk: Desk, owner: Browser) -> None:
    keep(owner, f"{ORDERS}?status=failed", "Mine")
    [path] = re.findall(r'action="(/account/views/[^"]+/deletion)"', owner.get(ORDERS).text)
    colleague = person(desk, Role.MERCHANT, member=MemberRole.OWNER)
    assert tabs_of(colleague.get(ORDERS).text) == {}
    before = kept()
    assert colleague.post(path, {"next": ORDERS}, htmx=False).status_code == 404
    assert kept() == before
    assert "Mine" in tabs_of(owner.get(ORDERS).text)


def test_a_list_has_at_most_so_many_views_and_a_name_is_short(owner: Browser) -> None:
    before = kept()
    for number in range(MOST_VIEWS):
        keep(owner, f"{ORDERS}?q={number}", f"View {number}")
    assert kept() == before + MOST_VIEWS
    refused = keep(owner, ORDERS, "One more")
    assert "at most 20 views" in owner.get(refused.location).text
    keep(owner, f"{ORDERS}?q=new", "View 3")
    for name in ("", "   ", "x" * 41):
        keep(owner, ORDERS, name)
    assert kept() == before + MOST_VIEWS


def test_a_view_leads_nowhere_else(owner: Browser) -> None:
    form = form_of(owner.get(ORDERS).text) | {"name": "Away", "next": "https://elsewhere.example/"}
    assert owner.post("/account/views", form, htmx=False).location.startswith("/")
    assert owner.post("/account/views", form | {"list": "no.such"}, htmx=False).status_code == 400


def test_lists_with_views_take_at_most_six_statements(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    people = visitors(desk)
    lists = [f"{home}/orders" for home in people] + ["/admin/people", "/admin/traders", "/admin/leads"]
    for path in lists:
        browser = people[f"/{path.split('/')[1]}"]
        keep(browser, path, "Mine")
        with counted(monkeypatch) as statements:
            assert browser.get(path).status_code == 200
        assert len(statements) <= MOST_QUERIES, (path, statements)
