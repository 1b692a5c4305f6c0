"""An order's page of each portal, its forms and a saved view in a real browser: axe, both widths and themes."""

from __future__ import annotations

from playwright.sync_api import Browser, Page, expect

from portal.core.actors import Actor, ActorKind
from portal.core.db import hot, transaction
from portal.core.ids import public_id
from portal.disputes.models import DisputeOutcome, DisputeReason
from portal.disputes.service import open_dispute, resolve_dispute
from portal.identity.models import Role, User
from portal.orders.queries import get_order
from portal.orders.record import OrderRecord
from tests.browser.looking import BOTH, problems, sign_in
from tests.browser.test_shell import owner_of
from tests.scene import as_trader
from tests.web.desk import PASSWORD, Desk, new_user
from tests.web.orders.test_webhooks import told


def a_full_life(tara: Desk) -> OrderRecord:
    """Claimed with a receipt, disputed, decided in another amount, and told to a shop that did not listen."""
    order = tara.scene.payin(1500_00, external_id="basket-77")
    tara.receipt(order)
    tara.claim(order)
    decider = new_user(Role.ADMIN)
    with transaction():
        locked = get_order(order.id, lock=True)
        actor = as_trader(tara.trader)
        open_dispute(locked, DisputeReason.PAID_ANOTHER_AMOUNT, "1,400 came", 1400_00, actor=actor)
        resolve_dispute(
            locked, DisputeOutcome.COMPLETED, 1400_00, "The bank's statement shows it",
            actor=Actor(ActorKind.ADMIN, decider.id),
        )  # fmt: skip
    told(tara, order)
    return order


def visitors(tara: Desk) -> dict[str, User]:
    people = {"support": new_user(Role.SUPPORT), "admin": new_user(Role.ADMIN)}
    return people | {"merchant": owner_of(tara), "trader": tara.user, "lead": lead_of(tara)}


def lead_of(tara: Desk) -> User:
    """Somebody who can sign in, at the head of the desk's team."""
    lead = new_user(Role.LEAD)
    with transaction():
        hot(
            "UPDATE team SET lead_id = %(lead)s WHERE id = %(id)s",
            {"lead": lead.id, "id": tara.scene.team_id},
        )
    return lead


def test_axe_finds_nothing_on_an_orders_pages(chromium: Browser, site: str, tara: Desk) -> None:
    ended, open_still = a_full_life(tara), tara.payin(700_00, claimed=True)
    numbers = [public_id("ord", order.id) for order in (ended, open_still)]
    for portal, user in visitors(tara).items():
        paths = [f"/{portal}/orders/{number}" for number in numbers]
        if portal in {"support", "admin"}:
            paths += [f"{paths[1]}/dispute", f"{paths[1]}/matching", f"/{portal}/orders?sort=fee"]
            paths.append(f"/{portal}/requisites/{tara.requisite.id}/number")
        if portal == "admin":
            paths.append(f"{paths[1]}/completion")
        page = sign_in(chromium, site, user, paths[0])
        prove(user)
        for path in paths:
            page.goto(f"{site}{path}")
            unfold(page)
            assert problems(page, *BOTH) == [], path
        page.context.close()


def prove(user: User) -> None:
    """As if they had been at `/sudo`, which has tests of its own."""
    with transaction():
        hot(
            "UPDATE user_session SET proven_until = now() + interval '5 minutes' WHERE user_id = %(id)s",
            {"id": user.id},
        )


def unfold(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details.more').forEach(more => { more.open = true; })")


def test_a_view_is_saved_and_a_payin_completed_without_a_script(
    chromium: Browser, site: str, tara: Desk
) -> None:
    order = tara.payin(1500_00, claimed=True)
    page = sign_in(
        chromium, site, new_user(Role.ADMIN), "/admin/orders?status=awaiting_confirmation",
        viewport={"width": 320, "height": 800}, java_script_enabled=False,
    )  # fmt: skip
    page.locator("summary", has_text="Views").click()
    page.fill("#view-name-orders", "To be confirmed")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("nav.tabs [aria-current=page]")).to_have_text("To be confirmed")
    page.locator(f"a[href$='{public_id('ord', order.id)}']").click()
    page.get_by_role("link", name="Complete the order").click()
    page.fill("#password", PASSWORD)
    page.get_by_role("button", name="Continue").click()
    page.fill("#amount", "1400")
    page.fill("#reason", "The bank says so")
    page.get_by_role("button", name="Complete the order").click()
    expect(page.locator("#another-amount")).to_contain_text("1,400.00 instead of 1,500.00 RUB")
    page.get_by_role("button", name="Complete the order").click()
    expect(page.locator("h1")).to_contain_text("1,400.00")
    expect(page.locator("#timeline")).to_contain_text("The bank says so")
