"""Everybody's portal, page by page: who has one, and what stands in its navigation."""

from __future__ import annotations

from collections.abc import Iterator

from playwright.sync_api import Page

from portal.core.db import db, transaction
from portal.identity.models import MemberRole, Role, User
from portal.identity.people.models import MerchantMember
from tests.web.desk import Desk, new_user

PORTALS = ("trader", "merchant", "lead", "support", "admin")
_LINKS = """() => [...document.querySelectorAll("header a[href^='/']")]
  .map(link => link.getAttribute("href"))"""


def owner_of(desk: Desk) -> User:
    """Who owns the merchant of this desk's store."""
    user = new_user(Role.MERCHANT)
    with transaction():
        member = MerchantMember(
            merchant_id=desk.scene.store.merchant_id, user_id=user.id, role=MemberRole.OWNER.value
        )
        db.session.add(member)
    return user


def person_of(portal: str, desk: Desk) -> User:
    """Somebody whose portal this is; the trader and the merchant are those of the desk."""
    if portal == "trader":
        return desk.user
    return owner_of(desk) if portal == "merchant" else new_user(Role(portal))


def pages_of(page: Page, site: str, *also: str) -> Iterator[str]:
    """Open each page of the navigation, and then others; gives its path. The page is one of this person's."""
    seen = set()
    for path in dict.fromkeys([*page.evaluate(_LINKS), *also]):
        answer = page.goto(f"{site}{path}")
        assert answer is not None
        assert answer.ok, path
        if page.url not in seen:
            yield path
        seen.add(page.url)
    assert len(seen) >= 3


def show_something(desk: Desk) -> None:
    """Orders in several states, so that the pages have rows, cards and buttons."""
    desk.receipt(desk.payin(1500_00, claimed=True))
    desk.payin(98_765_43)
    desk.expired(900_00)
    desk.payout(3000_00)
