"""More than its amount in a real browser: the road of two people, in two languages, at both widths, pressed twice."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from portal.core.db import hot, transaction
from portal.core.ids import public_id
from portal.identity.models import Role, User
from portal.identity.tokens.sessions import SessionTimes, raise_session, start_session
from portal.orders.models import Status
from portal.web.shell.security import session_cookie
from tests.browser.looking import BOTH, open_page, problems
from tests.web.desk import Desk, new_user

pytestmark = pytest.mark.proves("tried S7")
RECEIVED = "9000"


def at_work(chromium: Browser, site: str, user: User, path: str) -> Page:
    """Signed in, and having said anew who they are."""
    page, times = open_page(chromium), SessionTimes(absolute_s=3600)
    with transaction():
        session = start_session(user.id, "127.0.0.1", None, times)
        raised = raise_session(session.id, user.id, times, with_factor=False, is_proof=True)
    page.context.add_cookies([{"name": session_cookie(), "value": raised.token, "url": site}])
    page.goto(f"{site}{path}")
    return page


def test_two_people_complete_a_payin_above_its_amount(chromium: Browser, site: str, tara: Desk) -> None:
    order = tara.payin(1500_00, claimed=True)
    path = f"/admin/orders/{public_id('ord', order.id)}"
    page = at_work(chromium, site, new_user(Role.ADMIN), f"{path}/completion")
    page.fill("#amount", RECEIVED)
    page.fill("#reason", "The statement says so")
    page.press("#reason", "Enter")
    expect(page.get_by_role("button", name="Propose it to a second person")).to_be_visible()
    assert problems(page, *BOTH) == []
    page.get_by_role("button", name="Propose it to a second person").click()
    expect(page.locator("#effect-words")).to_contain_text("instead of 1,500.00")
    assert problems(page, *BOTH) == []
    page.get_by_role("button", name="Propose it", exact=True).dblclick()
    # The second press ends what the first one loads, so no single load can be waited for.
    expect(page).to_have_url(re.compile("/admin/approvals/[^/]+$"))
    expect(page.get_by_role("button", name="Withdraw it")).to_be_visible()
    assert problems(page, *BOTH) == []
    with transaction():
        sql = "SELECT count(*) AS n FROM approval_request WHERE subject_id = %(id)s"
        assert hot(sql, {"id": str(order.id)}) == [{"n": 1}]
    other = at_work(chromium, site, new_user(Role.ADMIN, locale="ru"), "/admin/approvals")
    assert problems(other, *BOTH) == []
    other.goto(page.url)
    expect(other.locator("#effect-words")).to_contain_text("Заявка завершается на 9")
    assert problems(other, *BOTH) == []
    other.fill("#decision-reason", "I have seen the statement too")
    other.press("#decision-reason", "Enter")
    other.wait_for_timeout(300)
    assert tara.now(order).status == Status.AWAITING_CONFIRMATION, "Enter decides nothing"
    other.get_by_role("button", name="Одобрить").dblclick()
    expect(other).to_have_url(re.compile(r"/admin/approvals(\?|$)"))
    expect(other.locator("main")).to_be_visible()
    assert tara.now(order).amount_received_minor == 9000_00
    assert tara.ledger_sum(order) == {"RUB": 0, "USDT": 0}
