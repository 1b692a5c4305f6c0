"""Why somebody did something is stored by one rule: on one line, to be seen, never cut, whichever verb takes it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from portal.core.actors import Actor, ActorKind
from portal.core.db import hot, transaction
from portal.core.errors import ValidationFailed
from portal.core.queues import QueueName
from portal.core.text_rules import LONGEST_REASON
from portal.disputes.models import DisputeOutcome, DisputeReason
from portal.disputes.service import open_dispute, resolve_dispute
from portal.identity.models import Role
from portal.identity.people import logins
from portal.identity.service import create_user
from portal.merchants.blocking import block_merchant
from portal.orders.queries import get_order, list_steps
from portal.orders.service import cancel_order, confirm_payin, decline_payin
from portal.queues.service import drain_queue, pause_queue, resume_queue
from portal.traders.service import block_trader, unblock_trader
from tests.scene import Scene

GIVEN, KEPT = " The statement\n  says \u00a0 so\0 ", "The statement says so"
REFUSED = ("\u202eso", "a\u200bb", "x" * (LONGEST_REASON + 1), "", " ")
ADMIN = Actor(ActorKind.ADMIN)
_AUDITED = "SELECT reason FROM audit_entry WHERE action = %(action)s ORDER BY id DESC LIMIT 1"
Verb = Callable[[str], Any]


def refused_by(verb: Verb, *reasons: str) -> None:
    for reason in reasons:
        with pytest.raises(ValidationFailed) as refused, transaction():
            verb(reason)
        assert [error.field for error in refused.value.errors] == ["reason"]


def cancelled(order_id: uuid.UUID, reason: str) -> None:
    cancel_order(get_order(order_id, lock=True), reason, actor=ADMIN)


def confirmed(order_id: uuid.UUID, reason: str) -> None:
    confirm_payin(get_order(order_id, lock=True), None, actor=ADMIN, reason=reason)


def declined(order_id: uuid.UUID, reason: str) -> None:
    decline_payin(get_order(order_id, lock=True), reason, actor=ADMIN)


@pytest.mark.parametrize("verb", [cancelled, confirmed, declined])
def test_an_order_keeps_one_line_of_why(scene: Scene, verb: Callable[[uuid.UUID, str], None]) -> None:
    scene.requisite(scene.trader())
    order = scene.payin()
    done, before = partial(verb, order.id), get_order(order.id)
    refused_by(done, *REFUSED[:3])
    assert get_order(order.id).version == before.version
    with transaction():
        done(GIVEN)
    assert list_steps(order.id)[-1].reason == KEPT
    past = hot("SELECT reason FROM past_assignment WHERE order_id = %(id)s", {"id": order.id})
    assert [row["reason"] for row in past] == ([KEPT] if verb is declined else [])


def test_a_decision_is_kept_the_same_in_its_case_and_in_the_timeline(scene: Scene) -> None:
    scene.requisite(scene.trader())
    order = scene.payin()
    with transaction():
        open_dispute(get_order(order.id, lock=True), DisputeReason.OTHER, None, None, actor=ADMIN)

    def decide(reason: str) -> None:
        locked = get_order(order.id, lock=True)
        resolve_dispute(locked, DisputeOutcome.COMPLETED, None, reason, actor=ADMIN)

    refused_by(decide, *REFUSED)
    with transaction():
        decide(GIVEN)
    (case,) = hot("SELECT decision_reason FROM dispute WHERE order_id = %(id)s", {"id": order.id})
    assert (case["decision_reason"], get_order(order.id).status_reason) == (KEPT, KEPT)


def test_what_is_done_to_people_and_queues_keeps_one_line_of_why(scene: Scene) -> None:
    trader, merchant_id = scene.trader(), scene.store.merchant_id
    with transaction():
        user = create_user(f"{uuid.uuid4().hex}@example.test", "Sam", None, [Role.SUPPORT])
    verbs: tuple[tuple[str, Verb], ...] = (
        ("trader.blocked", lambda why: block_trader(trader.id, why, actor=ADMIN)),
        ("trader.unblocked", lambda why: unblock_trader(trader.id, why, actor=ADMIN)),
        ("merchant.blocked", lambda why: block_merchant(merchant_id, why, actor=ADMIN)),
        ("user.disabled", lambda why: logins.switch_off(user.id, actor=ADMIN, reason=why)),
        ("user.enabled", lambda why: logins.switch_on(user.id, actor=ADMIN, reason=why)),
        ("queue.drained", lambda why: drain_queue(QueueName.MAIL, why, actor=ADMIN)),
        ("queue.paused", lambda why: pause_queue(QueueName.MAIL, why, actor=ADMIN)),
        ("queue.resumed", lambda why: resume_queue(QueueName.MAIL, why, actor=ADMIN)),
    )
    for action, verb in verbs:
        refused_by(verb, *REFUSED)
        with transaction():
            verb(GIVEN)
        assert hot(_AUDITED, {"action": action}) == [{"reason": KEPT}]
