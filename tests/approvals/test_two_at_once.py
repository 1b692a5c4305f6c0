"""Several people at the same moment, with real commits."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import pytest
from flask import Flask

from portal.approvals.access import change_access
from portal.approvals.errors import RequestDecided, RequestWaiting
from portal.approvals.models import ApprovalRequest, ApprovalState
from portal.approvals.queries import look_at
from portal.approvals.service import decide_now, withdraw
from portal.core.actors import CUSTOMER
from portal.core.db import db, hot, run_in_transaction, transaction
from portal.core.errors import Conflict, DomainError
from portal.core.permissions import MissingPermission, Permission
from portal.disputes.models import DisputeReason
from portal.disputes.service import open_dispute
from portal.identity.access.changes import AccessChange
from portal.identity.models import User
from portal.ledger.integrity import CHECKS, run_checks
from portal.orders.integrity.checks import CHECKS as ORDER_CHECKS
from portal.orders.queries import get_order
from tests.access.people import acting
from tests.approvals.room import RECEIVED, Room
from tests.orders.racing import at_once

pytestmark = [pytest.mark.races, pytest.mark.proves("tried S7")]
ROUNDS = 12


def deciding(room: Room, request: ApprovalRequest, seen: bytes, by: User, *, is_approved: bool) -> str:
    decide_now(request.id, seen, is_approved=is_approved, actor=acting(by), reason="I say so")
    return "decided"


def test_two_who_decide_at_once_complete_it_once(committed_db: Flask) -> None:
    for number in range(ROUNDS):
        room = Room()
        request = room.propose()
        decided = partial(deciding, room, request, look_at(request).seen)
        works = [
            partial(decided, room.ben, is_approved=True),
            partial(decided, room.bo, is_approved=number % 2 == 0),
            partial(decided, room.ben, is_approved=True),
        ]
        results = at_once(committed_db, *works)
        db.session.rollback()
        assert results.count("decided") == 1, results
        assert sum(isinstance(result, RequestDecided) for result in results) == 2, results
        is_completed = room.state(request) is ApprovalState.APPROVED
        assert room.entries() == ["payin_matched", *(["payin_completed"] if is_completed else [])]
        assert room.ledger_sum() == ({"RUB": 0, "USDT": 0} if is_completed else {"USDT": 0})
        assert (room.now().status == "completed") is is_completed
    assert run_checks((*CHECKS, *ORDER_CHECKS)) == []


def test_an_order_that_moves_at_the_same_moment_is_completed_as_seen_or_not_at_all(
    committed_db: Flask,
) -> None:
    outcomes = set()
    for _ in range(ROUNDS):
        room = Room()
        request = room.propose()
        seen = look_at(request).seen

        def move(order_id: Any = room.order.id) -> str:
            def disputed() -> None:
                open_dispute(get_order(order_id, lock=True), DisputeReason.OTHER, None, None, actor=CUSTOMER)

            run_in_transaction(disputed)
            return "moved"

        def decide(room: Room = room, request: Any = request, seen: bytes = seen) -> str:
            room.decide(request, seen=seen)
            return "decided"

        results = at_once(committed_db, decide, move)
        db.session.rollback()
        now, state = room.now(), room.state(request)
        if results[0] == "decided":
            assert (now.status, now.amount_received_minor, state) == (
                "completed",
                RECEIVED,
                ApprovalState.APPROVED,
            )
            assert isinstance(results[1], Conflict)
        else:
            assert (now.status, state) == ("disputed", ApprovalState.STALE), results
        outcomes.add(now.status)
    assert run_checks((*CHECKS, *ORDER_CHECKS)) == []
    assert outcomes <= {"completed", "disputed"}


def test_who_loses_the_permission_while_they_decide_has_decided_before_or_not_at_all(
    committed_db: Flask,
) -> None:
    """The taking is under way, not committed: the decision waits for it and is refused."""
    room = Room()
    request = room.propose()
    seen, before = look_at(request).seen, room.money()
    db.session.rollback()
    taken, results = threading.Event(), []

    def take() -> None:
        with committed_db.app_context(), transaction():
            denial = AccessChange(deny=frozenset({Permission.COMPLETION_APPROVE}))
            change_access(room.ben.id, denial, "no more", actor=acting(room.bo))
            taken.set()
            decider.join(1.0)
            results.append("still waiting" if decider.is_alive() else "did not wait")

    def decide() -> None:
        taken.wait(10)
        with committed_db.app_context():
            try:
                room.decide(request, seen=seen)
                results.append("decided")
            except DomainError as refusal:
                results.append(type(refusal).__name__)

    decider, taker = threading.Thread(target=decide), threading.Thread(target=take)
    decider.start()
    taker.start()
    taker.join(30)
    decider.join(30)
    assert results == ["still waiting", MissingPermission.__name__]
    assert (room.money(), room.state(request)) == (before, ApprovalState.WAITING)


def test_two_who_propose_at_once_make_one_proposal(committed_db: Flask) -> None:
    for _ in range(ROUNDS):
        room = Room()

        def proposed(user: Any, room: Room = room) -> str:
            room.propose(by=user)
            return "proposed"

        results = at_once(
            committed_db, *(lambda user=user: proposed(user) for user in (room.ada, room.ben, room.bo))
        )
        assert results.count("proposed") == 1, results
        assert sum(isinstance(result, RequestWaiting) for result in results) == 2, results
        db.session.rollback()
        sql = "SELECT count(*) AS n FROM approval_request WHERE subject_id = %(id)s"
        assert hot(sql, {"id": str(room.order.id)}) == [{"n": 1}]


def test_taking_back_and_approving_at_once_is_one_of_them(committed_db: Flask) -> None:
    for _ in range(ROUNDS):
        room = Room()
        request = room.propose()
        seen = look_at(request).seen

        def take_back(room: Room = room, request: Any = request) -> str:
            run_in_transaction(lambda: withdraw(request.id, actor=acting(room.ada)))
            return "withdrawn"

        def approve(room: Room = room, request: Any = request, seen: bytes = seen) -> str:
            room.decide(request, seen=seen)
            return "approved"

        results = at_once(committed_db, take_back, approve)
        db.session.rollback()
        assert sum(isinstance(result, RequestDecided) for result in results) == 1, results
        assert room.state(request).value in results
        assert (room.now().status == "completed") is ("approved" in results)
