"""The second person as the dishonest one would have it: oneself, another payload, again, too late, by written rows."""

from __future__ import annotations

import ast
import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.exc import DBAPIError

from portal.approvals.access import change_access, version_of
from portal.approvals.errors import (
    OneselfRefused,
    ProposerMayNot,
    RequestChanged,
    RequestDecided,
    RequestForged,
    RequestStale,
    TooManyProposals,
)
from portal.approvals.kinds import Subject
from portal.approvals.marks import hash_of, mac_of, seen_mark
from portal.approvals.models import ApprovalRequest, ApprovalState
from portal.approvals.queries import get_request, look_at
from portal.approvals.service import MOST_AN_HOUR, propose, withdraw
from portal.audit.chain_proof import prove_watched
from portal.core.db import db, transaction
from portal.core.errors import Forbidden, ValidationFailed
from portal.core.ids import new_id
from portal.core.permissions import MissingPermission, Permission, Reach
from portal.identity.access.changes import AccessChange, get_access, preview_change
from portal.identity.access.grants import apply_change
from portal.identity.models import Role, User
from portal.identity.service import disable_user
from portal.orders.above_tolerance import COMPLETION, CompletionPayload
from portal.orders.queries import get_order
from portal.orders.service import confirm_payin
from portal.orders.service.amounts import NeedsSecondPerson
from tests.access.people import acting, person
from tests.approvals.room import RECEIVED, Room, past_the_house

pytestmark = pytest.mark.proves("tried S7")

# The payload by its hash; when it was made decides nothing.
SAID = sorted(
    {column.name for column in ApprovalRequest.__table__.columns}
    - {"payload", "mac", "created_at", "state", "decided_by", "decision_reason", "ended_at"}
)


@pytest.fixture
def room(app: Flask) -> Room:
    return Room()


def nothing_moved(room: Room, request: ApprovalRequest, before: tuple[int, int, int]) -> bool:
    return (room.money(), room.now().status, room.entries(), room.state(request)) == (
        before, "awaiting_confirmation", ["payin_matched"], ApprovalState.WAITING,
    )  # fmt: skip


def deny(user: User, permission: Permission, by: User) -> None:
    with transaction():
        change = AccessChange(deny=frozenset({permission}))
        assert change_access(user.id, change, "no more", actor=acting(by)) is None


def test_who_proposed_does_not_decide_whatever_they_act_as(room: Room) -> None:
    before, request = room.money(), room.propose()
    with pytest.raises(OneselfRefused):
        room.decide(request, room.ada)
    with pytest.raises(OneselfRefused):
        room.decide(request, room.ada, is_approved=False)
    assert nothing_moved(room, request, before)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE approval_request SET state = 'approved', ended_at = now(), decided_by = proposed_by WHERE id = :id",
        "UPDATE approval_request SET state = 'approved', ended_at = now() WHERE id = :id",
        "UPDATE approval_request SET payload = jsonb_set(payload, '{received_minor}', '1') WHERE id = :id",
        "UPDATE approval_request SET proposed_by = :other WHERE id = :id",
        "UPDATE approval_request SET expires_at = now() + interval '1 year' WHERE id = :id",
        "UPDATE approval_request SET subject_version = '99' WHERE id = :id",
        "DELETE FROM approval_request WHERE id = :id",
        "TRUNCATE approval_request",
    ],
)
def test_the_database_keeps_a_proposal_as_it_was_made(room: Room, statement: str) -> None:
    before, request = room.money(), room.propose()
    with pytest.raises(DBAPIError), db.session.begin_nested():
        db.session.execute(db.text(statement), {"id": request.id, "other": room.ben.id})
    assert nothing_moved(room, request, before)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE approval_request SET payload = '{}' WHERE id = :id",
        "UPDATE approval_request SET state = 'waiting', ended_at = NULL, decided_by = NULL WHERE id = :id",
        "UPDATE approval_request SET decided_by = :other WHERE id = :id",
    ],
)
def test_the_database_keeps_a_decision_as_it_was_taken(room: Room, statement: str) -> None:
    room.decide(request := room.propose())
    with pytest.raises(DBAPIError), db.session.begin_nested():
        db.session.execute(db.text(statement), {"id": request.id, "other": room.bo.id})
    assert room.state(request) is ApprovalState.APPROVED


def test_another_payload_in_the_row_is_approved_by_nobody(room: Room) -> None:
    before, request = room.money(), room.propose()
    past_the_house(
        "UPDATE approval_request SET payload = jsonb_set(payload, '{received_minor}', '50000000') WHERE id = %(id)s",
        id=request.id,
    )
    with pytest.raises(RequestForged):
        room.decide(request)
    assert nothing_moved(room, request, before)
    found = prove_watched()
    assert found is not None
    assert found.examples == (f"approval_request {request.id}: changed past the house",)


def test_another_payload_with_its_own_hash_is_approved_by_nobody(room: Room) -> None:
    before, request = room.money(), room.propose()
    payload = {"order_id": str(room.order.id), "received_minor": 500_000_00}
    past_the_house(
        "UPDATE approval_request SET payload = %(payload)s::jsonb, payload_hash = %(hash)s WHERE id = %(id)s",
        id=request.id, payload=CompletionPayload(**payload).model_dump_json(),  # type: ignore[arg-type]
        hash=hash_of("completion", Subject("order", str(room.order.id)), payload),
    )  # fmt: skip
    with pytest.raises(RequestForged):
        room.decide(request)
    assert nothing_moved(room, request, before)


def other_than(value: Any) -> Any:
    if isinstance(value, datetime):
        return value + timedelta(seconds=1)
    if isinstance(value, uuid.UUID):
        return new_id()
    return value + (b"x" if isinstance(value, bytes) else "x")


@pytest.mark.parametrize("column", SAID)
def test_the_houses_mark_is_on_everything_that_was_proposed(room: Room, column: str) -> None:
    request = room.propose()
    mark = bytes(request.mac)
    assert mac_of(request) == mark
    setattr(request, column, other_than(getattr(request, column)))
    assert mac_of(request) != mark


def test_a_row_written_in_another_persons_name_is_approved_by_nobody(room: Room) -> None:
    """Ben writes that Ada has proposed it, with all that can be computed without the house's keys."""
    before = room.money()
    payload = CompletionPayload(order_id=room.order.id, received_minor=RECEIVED).model_dump(mode="json")
    request = ApprovalRequest(
        id=new_id(), kind="completion", subject_kind="order", subject_id=str(room.order.id),
        subject_version=str(room.now().version), payload=payload, reason="Ada says so", proposed_by=room.ada.id,
        payload_hash=hash_of("completion", Subject("order", str(room.order.id)), payload), mac=b"\1" * 32,
        created_at=db.func.now(), expires_at=db.func.now() + db.text("interval '1 day'"), state="waiting",
    )  # fmt: skip
    with transaction():
        db.session.add(request)
    with pytest.raises(RequestForged):
        room.decide(request)
    assert nothing_moved(room, request, before)
    room.decide(request, is_approved=False)


def test_a_copy_of_an_approved_row_is_approved_by_nobody(room: Room) -> None:
    first = room.order
    room.decide(original := room.propose())
    room.order = room.claimed()
    before = room.money()
    copied = new_id()
    columns = "kind, subject_kind, payload, payload_hash, mac, reason, proposed_by, created_at, expires_at"
    past_the_house(
        f"INSERT INTO approval_request (id, subject_id, subject_version, state, {columns})"
        f" SELECT %(copied)s, subject_id, %(version)s, 'waiting', {columns} FROM approval_request WHERE id = %(id)s",
        copied=copied, version=str(get_order(first.id).version), id=original.id,
    )  # fmt: skip
    with pytest.raises(RequestForged):
        room.decide(get_request(copied))
    assert room.money() == before


def test_nobody_writes_a_row_that_is_approved_already(room: Room) -> None:
    columns = (
        "kind, subject_kind, subject_id, subject_version, payload, payload_hash, mac, reason, proposed_by"
    )
    request = room.propose()
    with pytest.raises(DBAPIError), db.session.begin_nested():
        db.session.execute(
            db.text(
                f"INSERT INTO approval_request (id, {columns}, expires_at, state, decided_by, ended_at)"
                f" SELECT gen_random_uuid(), {columns}, expires_at, 'approved', :ben, now()"
                " FROM approval_request WHERE id = :id"
            ),
            {"id": request.id, "ben": room.ben.id},
        )


def test_an_approval_is_good_once(room: Room) -> None:
    request = room.propose()
    seen = look_at(request).seen
    room.decide(request)
    after = room.money()
    for _ in range(2):
        with pytest.raises(RequestDecided):
            room.decide(request, seen=seen)
    with pytest.raises(RequestDecided):
        room.decide(request, room.bo, seen=seen)
    assert room.money() == after
    assert room.entries() == ["payin_matched", "payin_completed"]


def test_what_was_seen_of_one_request_approves_no_other(room: Room) -> None:
    first = room.propose()
    seen = look_at(first).seen
    with transaction():
        withdraw(first.id, actor=acting(room.ada))
    before, second = room.money(), room.propose(RECEIVED * 10)
    for mark in (seen, b"", b"\0" * 32):
        with pytest.raises(RequestChanged):
            room.decide(second, seen=mark)
    assert nothing_moved(room, second, before)


def test_other_figures_than_were_seen_are_not_approved(room: Room) -> None:
    """The order's row says the same version, but its fee is another one: the preview is made anew at the decision."""
    request = room.propose()
    seen = look_at(request).seen
    past_the_house("UPDATE orders SET store_fee_bps = 100 WHERE id = %(id)s", id=room.order.id)
    before = room.money()
    with pytest.raises(RequestChanged):
        room.decide(request, seen=seen)
    assert nothing_moved(room, request, before)


def test_a_balance_that_moves_meanwhile_is_no_reason_to_look_again(room: Room) -> None:
    request = room.propose()
    seen = look_at(request).seen
    free = room.money()[0]
    room.scene.payin(1700_00)
    assert room.money()[0] < free
    room.decide(request, seen=seen)
    assert room.state(request) is ApprovalState.APPROVED


def test_whoever_lost_the_permission_meanwhile_decides_nothing(room: Room) -> None:
    before, request = room.money(), room.propose()
    seen = look_at(request).seen
    deny(room.ben, Permission.COMPLETION_APPROVE, room.bo)
    for is_approved in (True, False):
        with pytest.raises(MissingPermission):
            room.decide(request, seen=seen, is_approved=is_approved)
    assert nothing_moved(room, request, before)


def test_whoever_was_switched_off_decides_nothing(room: Room) -> None:
    before, request = room.money(), room.propose()
    with transaction():
        disable_user(db.session.get_one(User, room.ben.id))
    with pytest.raises(MissingPermission):
        room.decide(request)
    assert nothing_moved(room, request, before)


def test_support_decides_and_proposes_nothing_without_a_grant(room: Room) -> None:
    with transaction():
        sue = person(Role.SUPPORT, name="Sue")
    with pytest.raises(MissingPermission):
        room.propose(by=sue)
    before, request = room.money(), room.propose()
    with pytest.raises(MissingPermission):
        room.decide(request, sue)
    assert nothing_moved(room, request, before)


def test_two_of_the_staff_decide_about_money_whoever_else_was_given_the_permission(room: Room) -> None:
    """What a trader would do with it was noted as approved, and moved nothing: the rest was left to the customer."""
    with transaction():
        eve = person(Role.TRADER, name="Eve")
        change = AccessChange(grant={Permission.COMPLETION_APPROVE: Reach.ALL})
        apply_change(
            get_access(eve.id, lock=True), change, "by two", granted_by=room.ada.id, approved_by=room.bo.id,
            actor=acting(room.ada),
        )  # fmt: skip
    before, request = room.money(), room.propose()
    with pytest.raises(Forbidden, match="staff"):
        room.decide(request, eve)
    assert nothing_moved(room, request, before)
    assert room.now().amount_reported_minor is None


def test_nobody_makes_an_administrator_alone_by_denying_what_takes_two(room: Room) -> None:
    """A role is more than its permissions."""
    with transaction():
        somebody = person(Role.SUPPORT, name="Sam")
        heavy = frozenset(permission for permission in Permission if permission.needs_two_people)
        access = get_access(somebody.id)
        assert preview_change(
            access, AccessChange(add_roles=frozenset({Role.ADMIN}), deny=heavy)
        ).needs_two_people


def test_what_somebody_proposed_who_lost_the_permission_is_only_refused(room: Room) -> None:
    before, request = room.money(), room.propose()
    deny(room.ada, Permission.ORDER_COMPLETE, room.bo)
    with pytest.raises(ProposerMayNot):
        room.decide(request)
    assert nothing_moved(room, request, before)
    room.decide(request, is_approved=False)
    assert room.state(request) is ApprovalState.REFUSED


def test_what_somebody_proposed_who_was_switched_off_is_only_refused(room: Room) -> None:
    before, request = room.money(), room.propose()
    with transaction():
        disable_user(db.session.get_one(User, room.ada.id))
    with pytest.raises(ProposerMayNot):
        room.decide(request)
    assert nothing_moved(room, request, before)


def test_nobody_goes_around_the_room(room: Room) -> None:
    """The verb itself refuses one of the staff, and so it does with a request that waits."""
    room.propose()
    for user in (room.ada, room.ben):
        with pytest.raises(NeedsSecondPerson), transaction():
            confirm_payin(get_order(room.order.id, lock=True), RECEIVED, actor=acting(user))
    assert room.now().status == "awaiting_confirmation"


@pytest.mark.parametrize("reason", ["", "  ", "It came\u202e"])
def test_a_proposal_says_why_in_words_that_can_be_seen(room: Room, reason: str) -> None:
    payload = CompletionPayload(order_id=room.order.id, received_minor=RECEIVED)
    with pytest.raises(ValidationFailed), transaction():
        propose(COMPLETION, payload, reason, actor=acting(room.ada))


def test_access_that_was_changed_since_is_proposed_again(room: Room) -> None:
    with transaction():
        sam = person(Role.SUPPORT, name="Sam")
        change = AccessChange(add_roles=frozenset({Role.ADMIN}))
        request_id = change_access(sam.id, change, "They help", actor=acting(room.ada))
    assert isinstance(request_id, uuid.UUID)
    request = get_request(request_id)
    seen = look_at(request).seen
    deny(sam, Permission.NUMBER_REVEAL, room.bo)
    with pytest.raises(RequestStale):
        room.decide(request, seen=seen)
    assert Role.ADMIN not in get_access(sam.id).roles
    assert room.state(request) is ApprovalState.STALE


def test_access_that_came_back_to_what_it_was_does_not_revive_what_was_proposed_about_it(room: Room) -> None:
    with transaction():
        sam = person(Role.SUPPORT, name="Sam")
        change = AccessChange(add_roles=frozenset({Role.ADMIN}))
        request_id = change_access(sam.id, change, "They help", actor=acting(room.ada))
    assert isinstance(request_id, uuid.UUID)
    request = get_request(request_id)
    seen, before = look_at(request).seen, version_of(get_access(sam.id))
    deny(sam, Permission.NUMBER_REVEAL, room.bo)
    assert room.state(request) is ApprovalState.STALE, "at once, not when the clock looks next"
    with transaction():
        back = AccessChange(clear=frozenset({Permission.NUMBER_REVEAL}))
        assert change_access(sam.id, back, "again", actor=acting(room.bo)) is None
    assert version_of(get_access(sam.id)) == before
    with pytest.raises(RequestStale):
        room.decide(request, seen=seen)
    assert Role.ADMIN not in get_access(sam.id).roles


def test_nobody_floods_those_who_decide_by_proposing_and_taking_back(room: Room) -> None:
    for _ in range(MOST_AN_HOUR):
        request = room.propose()
        with transaction():
            withdraw(request.id, actor=acting(room.ada))
    with pytest.raises(TooManyProposals):
        room.propose()
    assert room.propose(by=room.ben).proposed_by == room.ben.id, "it is one person's limit"


def test_the_mark_of_what_was_seen_is_of_all_that_decides(room: Room) -> None:
    request = room.propose()
    preview = COMPLETION.preview(COMPLETION.read(request.payload))
    mark = seen_mark(request, preview)
    lines = [line for line in preview.lines if not line.of_the_moment]
    assert len(lines) == 8
    for line in lines:
        other = replace(preview, lines=tuple(one for one in preview.lines if one is not line))
        assert seen_mark(request, other) != mark, line.what


def test_only_a_decision_says_that_two_have_agreed() -> None:
    """Whoever calls the verbs themselves is one person: what lets two through is written in the kinds alone."""
    portal = Path(__file__).parents[2] / "portal"
    found = {
        f"{path.relative_to(portal)}: {word.arg}"
        for path in portal.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        for word in call.keywords
        if word.arg == "by_two" or (word.arg == "approved_by" and not is_nothing(word.value))
    }
    assert found == {
        "approvals/access.py: approved_by",
        "disputes/above_tolerance.py: by_two",
        "disputes/service.py: by_two",  # handed on
        "identity/access/grants.py: approved_by",  # the row of a grant
        "orders/above_tolerance.py: by_two",
    }


def is_nothing(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None
