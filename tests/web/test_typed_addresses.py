"""Addresses that people type by heart lead to what they meant, and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from flask import Flask

from portal.identity.models import Role
from tests.rows import change
from tests.web.desk import Browser, Desk, new_user


@pytest.fixture
def app(committing_app: Flask) -> Flask:
    return committing_app


@pytest.fixture
def as_somebody(in_context: Flask) -> Callable[..., Browser]:
    def signed_in(*roles: Role) -> Browser:
        browser = Browser(in_context.test_client())
        browser.begin_session(new_user(*roles))
        return browser

    return signed_in


def test_a_traders_portal_by_its_name_leads_to_the_queue(desk: Desk) -> None:
    answer = desk.browser.get("/trader")
    assert (answer.status_code, answer.location) == (302, "/trader/queue")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("/trader/", "/trader"),
        ("/trader/queue/", "/trader/queue"),
        ("/trader/queue//", "/trader/queue"),
        ("/account/security/?a=1&b=%20x", "/account/security?a=1&b=%20x"),
        ("/sign-in/?next=/account", "/sign-in?next=/account"),
        ("/admin/", "/admin"),
    ],
)
def test_a_slash_too_many_leads_to_the_page_without_it(browser: Browser, typed: str, meant: str) -> None:
    answer = browser.get(typed)
    assert (answer.status_code, answer.location) == (308, meant)


@pytest.mark.parametrize("typed", ["/no/such/page/", "/trader/no/", "/.//"])
def test_where_there_is_no_page_the_slash_leads_nowhere(browser: Browser, typed: str) -> None:
    assert browser.get(typed).status_code == 404


@pytest.mark.parametrize("typed", ["//other.example/", "/%2F/other.example/", "/\\other.example/"])
def test_it_never_leads_to_another_host(browser: Browser, typed: str) -> None:
    answer = browser.open("GET", "/", base_url="http://localhost", environ_overrides={"PATH_INFO": typed})
    assert answer.status_code in {308, 404}
    assert "other.example" not in (answer.location or "") or (answer.location or "").startswith(
        "http://localhost/"
    )


def test_what_is_sent_to_an_address_with_a_slash_is_not_sent_on(as_somebody: Callable[..., Browser]) -> None:
    trader = as_somebody(Role.TRADER)
    assert trader.post("/trader/working/", htmx=False).status_code == 404


@pytest.mark.parametrize(
    ("role", "asked", "own"),
    [
        (Role.TRADER, "/admin", {"/trader/queue", "/account"}),
        (Role.TRADER, "/merchant/orders", {"/trader/queue", "/account"}),
        (Role.ADMIN, "/trader", {"/admin", "/account"}),
        (Role.SUPPORT, "/lead", {"/support", "/account"}),
        (Role.LEAD, "/support", {"/lead", "/account"}),
    ],
)
def test_a_portal_one_may_not_open_says_which_are_ones_own(
    as_somebody: Callable[..., Browser], role: Role, asked: str, own: set[str]
) -> None:
    answer = as_somebody(role).get(asked)
    assert answer.status_code == 403
    content = answer.text.partition('id="content"')[2].partition("</main>")[0]
    assert own <= set(re.findall(r'class="btn[^"]*" href="([^"]+)"', content)), content
    assert "Open to you:" in content


def test_one_page_that_is_denied_of_ones_own_portal_leads_to_the_start(
    in_context: Flask,
) -> None:
    support = new_user(Role.SUPPORT)
    change(
        "INSERT INTO permission_grant (user_id, permission, is_denied, granted_by, reason)"
        " VALUES (%(id)s, 'order:view', true, %(id)s, 'for a test')",
        {"id": support.id},
    )
    browser = Browser(in_context.test_client())
    browser.begin_session(support)
    answer = browser.get("/support/orders")
    assert (answer.status_code, "order:view" in answer.text) == (403, True)
    assert "Open to you:" not in answer.text
    assert "Go to the start" in answer.text
