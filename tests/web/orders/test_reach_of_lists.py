"""Whose orders a list and its file hold: those of one's own traders or stores, never a stranger's."""

from __future__ import annotations

import pytest

from portal.core.db import db, hot, transaction
from portal.core.ids import public_id
from portal.identity.models import Role, User
from portal.identity.people.models import MerchantMember
from portal.merchants.models import Store
from tests.web.desk import Browser, Desk, new_user


def lead_of(desk: Desk) -> User:
    lead = new_user(Role.LEAD)
    with transaction():
        hot(
            "UPDATE team SET lead_id = %(lead)s WHERE id = %(id)s",
            {"lead": lead.id, "id": desk.scene.team_id},
        )
    return lead


def member_of(desk: Desk) -> User:
    user = new_user(Role.MERCHANT)
    with transaction():
        store = db.session.get_one(Store, desk.scene.store_id)
        db.session.add(MerchantMember(merchant_id=store.merchant_id, user_id=user.id))
    return user


@pytest.mark.proves("attack 66")
def test_row_66_lists_and_files_hold_ones_own_orders_alone(desk: Desk, stranger: Desk) -> None:
    mine, theirs = (public_id("ord", of.payin().id) for of in (desk, stranger))
    for user, portal in ((lead_of(desk), "lead"), (member_of(desk), "merchant")):
        browser = Browser(desk.app.test_client())
        assert browser.sign_in(user.email).status_code == 303
        for path in (f"/{portal}/orders", f"/{portal}/orders.csv"):
            text = browser.get(path).get_data(as_text=True)
            assert mine in text, path
            assert theirs not in text, path
