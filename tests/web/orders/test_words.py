"""What stands in an order's timeline has words: steps, notes, and the reasons that the house gives."""

from __future__ import annotations

import pytest
from flask import Flask

from portal.core.actors import Actor, ActorKind
from portal.orders.reasons import HouseReason, cancelled_by
from portal.orders.transitions import PAYIN, PAYOUT, Note, Step
from portal.web.labels.order_steps import step_words
from portal.web.labels.reasons import reason_words

CANCEL = {kind for row in (*PAYIN, *PAYOUT) if row.step is Step.CANCELLED for kind in row.actors}


@pytest.mark.parametrize("event", [*Step, *Note])
def test_a_step_of_the_timeline_is_told_in_words(app: Flask, event: Step | Note) -> None:
    with app.test_request_context():
        assert step_words(event.value)[0] != event.value


def test_no_note_is_taken_for_a_step() -> None:
    assert {note.value for note in Note} & {step.value for step in Step} == set()


@pytest.mark.parametrize("reason", HouseReason)
def test_a_reason_that_the_house_gives_is_told_in_words(app: Flask, reason: HouseReason) -> None:
    with app.test_request_context():
        assert "_" not in reason_words(reason.value)
        assert reason_words(reason.value) != reason.value


def test_what_somebody_typed_is_no_reason_of_the_house(app: Flask) -> None:
    with app.test_request_context():
        assert reason_words("by_the way, it came") == "by_the way, it came"


def test_whoever_may_cancel_without_a_word_has_a_reason() -> None:
    said = {cancelled_by(Actor(kind)) for kind in CANCEL}
    assert said == {reason for reason in HouseReason if reason.startswith("by_")}
    assert ActorKind.TRADER not in CANCEL
