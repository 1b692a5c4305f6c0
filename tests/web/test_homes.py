"""The home pages: true figures of one's own, a handful of queries whatever the number of orders."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask

from portal.core.actors import CUSTOMER
from portal.core.db import db, transaction, transactions
from portal.identity.models import MemberRole, Role, User
from portal.identity.people.models import MerchantMember
from portal.orders.queries import get_order
from portal.orders.record import OrderRecord
from portal.orders.service import claim_payin, confirm_payin
from portal.orders.service.claim import PayerDetails
from tests.scene import as_trader
from tests.web.desk import Browser, Desk, new_user, open_desk

MOST_QUERIES = 6


@pytest.fixture
def world(in_context: Flask) -> Desk:
    """Tara's desk with one payin completed, one disputed by nobody, one waiting."""
    desk = open_desk(in_context)
    complete(desk, desk.payin(1500_00))
    desk.payin(700_00)
    return desk


def complete(desk: Desk, order: OrderRecord) -> None:
    with transaction():
        claimed = claim_payin(
            get_order(order.id, lock=True), PayerDetails("IVAN I.", None, None, None), actor=CUSTOMER
        )
        confirm_payin(claimed, claimed.amount_minor, actor=as_trader(desk.trader))


def person(desk: Desk, role: Role, *, member: MemberRole | None = None) -> Browser:
    user = new_user(role)
    if member is not None:
        join(desk, user, member)
    browser = desk.new_browser()
    browser.sign_in(user.email)
    return browser


def join(desk: Desk, user: User, member: MemberRole) -> None:
    with transaction():
        db.session.add(
            MerchantMember(merchant_id=desk.scene.store.merchant_id, user_id=user.id, role=member.value)
        )


def lead_of(desk: Desk) -> Browser:
    """The lead of the desk's team, signed in."""
    from portal.traders.models import Team

    user = new_user(Role.LEAD)
    with transaction():
        team = db.session.get(Team, desk.scene.team_id)
        assert team is not None
        team.lead_id = user.id
    browser = desk.new_browser()
    browser.sign_in(user.email)
    return browser


def figure(page: str, name: str) -> str:
    """What stands under a name: the words alone."""
    found = re.search(rf"<dt>(?:<a[^>]*>)?{re.escape(name)}(?:</a>)?</dt>\s*<dd>(.*?)</dd>", page, re.DOTALL)
    assert found, name
    return " ".join(re.sub(r"<[^>]+>", " ", found[1]).replace("\u00a0", " ").replace("&nbsp;", " ").split())


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The statements that reach the database."""
    statements: list[str] = []
    run = transactions.run_statement

    def noted(connection: Any, sql: str, params: Any) -> Any:
        statements.append(sql)
        return run(connection, sql, params)

    def orm(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not statement.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK")):
            statements.append(statement)

    from sqlalchemy import event

    monkeypatch.setattr(transactions, "run_statement", noted)
    event.listen(db.engine, "before_cursor_execute", orm)
    yield statements
    event.remove(db.engine, "before_cursor_execute", orm)
    monkeypatch.setattr(transactions, "run_statement", run)


def least_statements(browser: Browser, path: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Of the fastest of some views: on a slow machine, what is remembered for seconds may be read again in one."""
    views = []
    for _ in range(4):
        with counted(monkeypatch) as statements:
            assert browser.get(path).status_code == 200, path
        views.append(statements)
    return min(views, key=len)


def visitors(desk: Desk) -> dict[str, Browser]:
    return {
        "/merchant": person(desk, Role.MERCHANT, member=MemberRole.OWNER),
        "/lead": lead_of(desk),
        "/support": person(desk, Role.SUPPORT),
        "/admin": person(desk, Role.ADMIN),
    }


def test_each_home_and_list_takes_at_most_six_queries_and_no_more_with_more_orders(
    world: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    before: dict[str, int] = {}
    people = visitors(world)
    paths = [path for home in people for path in (home, f"{home}/orders")]
    for round_number in range(2):
        for path in paths:
            browser = people[f"/{path.split('/')[1]}"]
            statements = least_statements(browser, path, monkeypatch)
            assert len(statements) <= MOST_QUERIES, (path, statements)
            assert before.setdefault(path, len(statements)) == len(statements), (path, round_number)
        for amount in range(5):
            world.payin((800 + 10 * round_number + amount) * 100)


def test_the_merchants_home_says_what_happened_to_their_orders(world: Desk) -> None:
    page = person(world, Role.MERCHANT, member=MemberRole.OWNER).get("/merchant").text
    assert figure(page, "Orders today") == "2 1 completed"
    assert figure(page, "Conversion today") == "100% of those that ended"
    # 1,500 RUB at 95 RUB for one USDT, cut to two decimals.
    assert figure(page, "Volume today") == "15.78 USDT completed"
    assert figure(page, "In dispute") == "0 now"
    assert "Acme shop" in page


def test_a_strangers_orders_are_in_nobodys_figures(world: Desk, stranger: Desk) -> None:
    page = person(stranger, Role.MERCHANT, member=MemberRole.OWNER).get("/merchant").text
    assert figure(page, "Orders today").startswith("0 ")
    assert "No orders yet" in page
    lead = lead_of(stranger).get("/lead").text
    assert figure(lead, "Orders today").startswith("0 ")
    assert figure(lead_of(world).get("/lead").text, "Orders today") == "2 1 completed"


def test_a_viewer_sees_no_balances_and_an_accountant_does(world: Desk) -> None:
    assert "Balances" not in person(world, Role.MERCHANT, member=MemberRole.VIEWER).get("/merchant").text
    assert "Balances" in person(world, Role.MERCHANT, member=MemberRole.ACCOUNTANT).get("/merchant").text


def test_the_admins_home_adds_up_what_the_ledger_has(world: Desk) -> None:
    from portal.core.modes import Mode
    from portal.ledger.models import AccountKind, OwnerKind
    from portal.ledger.queries import balance_minor, sum_balances

    with transaction():
        sums = {(s.owner_kind, s.kind, s.currency): s.minor for s in sum_balances(Mode.LIVE)}
        deposit = world.scene.trader_balance(world.trader)
        revenue = balance_minor(OwnerKind.PLATFORM, None, AccountKind.REVENUE, "USDT", Mode.LIVE)
    assert sums[OwnerKind.TRADER, AccountKind.AVAILABLE, "USDT"] == deposit
    assert sums[OwnerKind.PLATFORM, AccountKind.REVENUE, "USDT"] == revenue > 0
    page = person(world, Role.ADMIN).get("/admin").text
    # 1.5 % of 15.789474 USDT: 3 % of the store less 1 % for the trader and 0.5 % for the lead.
    assert figure(page, "Revenue") == f"{revenue // 10**4 / 100:.2f} USDT"


@pytest.mark.parametrize("home", ["/merchant", "/lead", "/support", "/admin"])
def test_a_portal_lets_nobody_in_who_lacks_its_permission(world: Desk, browser: Browser, home: str) -> None:
    refused = world.browser.get(home)
    assert refused.status_code == 403
    assert f"{home[1:]}_home:view" in refused.text
    assert browser.get(home).location == f"/sign-in?next={home}"


def test_the_navigation_has_what_one_may_open_and_nothing_else(world: Desk) -> None:
    page = person(world, Role.SUPPORT).get("/support").text
    links = set(re.findall(r'<a href="(/[a-z/-]*)"', page))
    assert {"/support", "/support/orders", "/account"} <= links
    others = {link for link in links if link.startswith(("/admin", "/merchant", "/lead", "/trader"))}
    assert others == {"/admin/people", "/admin/teams"}


def test_a_refusal_stands_in_the_shell_with_the_requests_number(world: Desk) -> None:
    answer = world.browser.get("/nowhere")
    assert answer.status_code == 404
    assert 'class="rail"' in answer.text
    assert answer.headers["X-Request-Id"] in answer.text
    assert uuid.UUID(hex=answer.headers["X-Request-Id"])
