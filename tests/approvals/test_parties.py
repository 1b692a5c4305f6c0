"""Who is a party to an order is neither the first nor the second of the two that it takes, and is not told of it."""

from __future__ import annotations

import pytest
from flask import Flask

from portal.approvals.errors import OneselfRefused, ProposerMayNot
from portal.approvals.models import ApprovalState
from portal.core.actors import CUSTOMER
from portal.core.db import hot, transaction
from portal.disputes.above_tolerance import DISPUTE_COMPLETION
from portal.disputes.models import DisputeReason
from portal.disputes.service import open_dispute
from portal.identity.models import MemberRole, User
from portal.identity.people.invitations import set_member
from portal.orders.queries import get_order
from tests.approvals.room import Room, past_the_house
from tests.rows import change

pytestmark = pytest.mark.proves("tried S7")
PARTIES = ("trader", "lead", "member")


@pytest.fixture
def room(app: Flask) -> Room:
    return Room()


def make_party(room: Room, user: User, who: str) -> None:
    if who == "trader":
        change(
            "UPDATE trader SET user_id = %(user)s WHERE id = %(id)s", {"user": user.id, "id": room.trader.id}
        )
    elif who == "lead":
        change(
            "UPDATE team SET lead_id = %(user)s WHERE id = %(id)s",
            {"user": user.id, "id": room.scene.team_id},
        )
    else:
        with transaction():
            set_member(user.id, room.scene.store.merchant_id, MemberRole.VIEWER)


@pytest.mark.parametrize("who", PARTIES)
def test_a_party_proposes_nothing(room: Room, who: str) -> None:
    make_party(room, room.ada, who)
    with pytest.raises(OneselfRefused):
        room.propose()
    with transaction():
        open_dispute(get_order(room.order.id, lock=True), DisputeReason.OTHER, None, None, actor=CUSTOMER)
    with pytest.raises(OneselfRefused):
        room.propose(kind=DISPUTE_COMPLETION)
    assert room.propose(by=room.bo, kind=DISPUTE_COMPLETION).proposed_by == room.bo.id


@pytest.mark.parametrize("who", PARTIES)
def test_a_party_neither_approves_nor_refuses_and_is_not_told(room: Room, who: str) -> None:
    before = room.money()
    make_party(room, room.ben, who)
    request = room.propose()
    told = hot("SELECT user_id FROM notification WHERE about = %(id)s", {"id": str(request.id)})
    assert room.bo.id in {row["user_id"] for row in told}
    assert room.ben.id not in {row["user_id"] for row in told}
    for is_approved in (True, False):
        with pytest.raises(OneselfRefused):
            room.decide(request, room.ben, is_approved=is_approved)
    assert (room.state(request), room.money()) == (ApprovalState.WAITING, before)
    room.decide(request, room.bo)
    assert room.now().status == "completed"


@pytest.mark.parametrize("who", PARTIES)
def test_who_became_a_party_after_proposing_has_proposed_nothing(room: Room, who: str) -> None:
    before, request = room.money(), room.propose()
    make_party(room, room.ada, who)
    with pytest.raises(ProposerMayNot):
        room.decide(request)
    assert (room.state(request), room.money()) == (ApprovalState.WAITING, before)
    room.decide(request, is_approved=False)
    assert room.state(request) is ApprovalState.REFUSED


@pytest.mark.parametrize("subject", ["nonsense", "00000000-0000-0000-0000-000000000000"])
def test_a_row_that_names_no_order_can_still_be_refused(room: Room, subject: str) -> None:
    request = room.propose()
    past_the_house(
        "UPDATE approval_request SET subject_id = %(to)s WHERE id = %(id)s", to=subject, id=request.id
    )
    room.decide(request, is_approved=False, seen=b"")
    assert room.state(request) is ApprovalState.REFUSED
