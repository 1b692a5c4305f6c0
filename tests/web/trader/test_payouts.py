"""What a trader does with payouts: accept, prove, claim, give back."""

from __future__ import annotations

import io
import re

import pytest
from PIL import Image

from portal.core.actors import SYSTEM
from portal.core.db import hot, transaction
from portal.core.uploads import turns
from portal.identity.models import Role
from portal.merchants.service import set_traffic_rule
from portal.orders.models import Status
from portal.web.labels.reasons import OF_PAYOUT
from tests.web.desk import Browser, Desk, new_user, path_of, picture

ACTIONS = ("acceptance", "proof", "claim", "decline")


def proof(seed: int = 0) -> dict[str, tuple[io.BytesIO, str]]:
    return {"proof": (io.BytesIO(picture(seed)), "proof.png")}


def count_proofs(desk: Desk, order_id: object) -> int:
    with transaction():
        sql = "SELECT count(*) AS n FROM receipt WHERE order_id = %(id)s AND kind = 'payout_proof'"
        return int(hot(sql, {"id": order_id})[0]["n"])


def test_the_first_who_accepts_an_offer_gets_it(desk: Desk) -> None:
    order = desk.payout()
    assert "Accept this payout" in desk.browser.get("/trader/queue").text
    answer = desk.browser.post(path_of(order, "acceptance"))
    assert answer.status_code == 200
    now = desk.now(order)
    assert (now.status, now.trader_id) == (Status.AWAITING_PAYOUT, desk.trader.id)
    version = now.version
    assert desk.browser.post(path_of(order, "acceptance")).status_code == 200
    assert desk.now(order).version == version
    number = desk.now(order).recipient_masked
    assert number is not None
    assert f"<span>{number[-4:]}</span>" in answer.text


def test_a_payout_that_somebody_else_took_is_409(desk: Desk, stranger: Desk) -> None:
    with transaction():
        set_traffic_rule(desk.scene.store_id, stranger.trader.id, "pin", actor=SYSTEM)
    order = desk.payout()
    assert stranger.browser.post(path_of(order, "acceptance")).status_code == 200
    answer = desk.browser.post(path_of(order, "acceptance"))
    assert answer.status_code == 409
    assert "somebody else was faster" in answer.text
    assert desk.now(order).trader_id == stranger.trader.id


def test_i_have_paid_needs_the_proof(desk: Desk) -> None:
    order = desk.payout(accepted=True)
    answer = desk.browser.post(path_of(order, "claim"))
    assert answer.status_code == 422
    assert f'id="proof-{order.id}-problem"' in answer.text
    assert desk.now(order).status == Status.AWAITING_PAYOUT


def test_i_have_paid_with_the_proof_in_the_same_form(desk: Desk) -> None:
    order = desk.payout(accepted=True)
    answer = desk.browser.post(path_of(order, "claim"), proof())
    assert answer.status_code == 200
    assert desk.now(order).status == Status.AWAITING_CONFIRMATION
    assert count_proofs(desk, order.id) == 1
    version = desk.now(order).version
    assert desk.browser.post(path_of(order, "claim")).status_code == 200
    assert desk.now(order).version == version
    assert set(desk.ledger_sum(order).values()) == {0}


def test_proof_can_be_attached_before_and_counts_once(desk: Desk) -> None:
    order = desk.payout(accepted=True)
    assert desk.browser.post(path_of(order, "proof"), proof(1)).status_code == 200
    assert desk.browser.post(path_of(order, "proof"), proof(1)).status_code == 200
    assert count_proofs(desk, order.id) == 1
    assert desk.browser.post(path_of(order, "claim"), htmx=False).status_code == 303
    assert desk.now(order).status == Status.AWAITING_CONFIRMATION


@pytest.mark.proves("tried S4")
@pytest.mark.parametrize("action", ["proof", "claim"])
def test_a_white_picture_is_refused_beside_the_field(desk: Desk, action: str) -> None:
    order = desk.payout(accepted=True)
    white = io.BytesIO()
    Image.new("RGB", (2, 2), "white").save(white, "PNG")
    white.seek(0)
    answer = desk.browser.post(path_of(order, action), {"proof": (white, "proof.png")})
    assert answer.status_code == 422
    assert "There is nothing to be seen on this file" in answer.text
    assert (desk.now(order).status, count_proofs(desk, order.id)) == (Status.AWAITING_PAYOUT, 0)


@pytest.mark.parametrize("action", ["proof", "claim"])
def test_a_file_that_is_no_picture_is_said_beside_the_field(desk: Desk, action: str) -> None:
    order = desk.payout(accepted=True)
    answer = desk.browser.post(path_of(order, action), {"proof": (io.BytesIO(b"<html>"), "proof.png")})
    assert answer.status_code == 422
    assert f'id="proof-{order.id}-problem"' in answer.text
    assert count_proofs(desk, order.id) == 0
    assert desk.now(order).status == Status.AWAITING_PAYOUT


def test_proof_without_a_file_is_422(desk: Desk) -> None:
    order = desk.payout(accepted=True)
    assert desk.browser.post(path_of(order, "proof")).status_code == 422


def test_a_payout_given_back_is_offered_to_others_and_not_to_me(desk: Desk) -> None:
    order = desk.payout(accepted=True)
    answer = desk.browser.post(path_of(order, "decline"), {"reason": "recipient_refused"})
    assert answer.status_code == 200
    now = desk.now(order)
    assert (now.status, now.trader_id) == (Status.MATCHING, None)
    assert f'id="order-{order.id}"' not in answer.text
    again = desk.browser.post(path_of(order, "decline"), {"reason": "recipient_refused"})
    assert "given this payout back already" in again.text
    assert desk.browser.post(path_of(order, "claim"), proof()).status_code == 404


def test_the_words_that_fill_their_field_fit_beside_the_longest_reason(desk: Desk) -> None:
    order = desk.payout(accepted=True)
    most = re.search(r'name="words" maxlength="(\d+)"', desk.browser.get("/trader/queue").text)
    assert most is not None
    words = "x" * int(most[1])
    refused = desk.browser.post(
        path_of(order, "decline"), {"reason": "recipient_refused", "words": f"{words}x"}
    )
    assert refused.status_code == 422
    assert f'value="{words}x"' in refused.text
    longest = {"reason": max(OF_PAYOUT, key=len), "words": words}
    assert desk.browser.post(path_of(order, "decline"), longest).status_code == 200
    assert desk.now(order).status == Status.MATCHING


def test_a_paid_payout_cannot_be_given_back(desk: Desk) -> None:
    order = desk.payout(accepted=True)
    desk.browser.post(path_of(order, "claim"), proof())
    answer = desk.browser.post(path_of(order, "decline"), {"reason": "not_available"})
    assert answer.status_code == 409
    assert "it waits for confirmation" in answer.text
    assert desk.now(order).status == Status.AWAITING_CONFIRMATION


@pytest.mark.proves("tried S5")
def test_giving_back_a_payout_with_proof_opens_a_dispute(desk: Desk) -> None:
    order = desk.payout(accepted=True)
    desk.browser.post(path_of(order, "proof"), proof())
    assert "Something is wrong with it" in desk.browser.get("/trader/queue").text
    answer = desk.browser.post(path_of(order, "decline"), {"reason": "not_available"})
    assert answer.status_code == 200
    assert "it is a dispute now" in answer.text
    assert (desk.now(order).status, desk.now(order).trader_id) == (Status.DISPUTED, desk.trader.id)


def test_giving_back_needs_a_reason(desk: Desk) -> None:
    order = desk.payout(accepted=True)
    assert desk.browser.post(path_of(order, "decline"), {"reason": "fake_receipt"}).status_code == 422
    assert desk.now(order).status == Status.AWAITING_PAYOUT


@pytest.mark.parametrize("action", ["acceptance", "decline"])
def test_without_htmx_the_queue_follows(desk: Desk, action: str) -> None:
    order = desk.payout(accepted=action == "decline")
    answer = desk.browser.post(path_of(order, action), {"reason": "not_available"}, htmx=False)
    assert (answer.status_code, answer.location) == (303, "/trader/queue")


@pytest.mark.parametrize("action", ACTIONS)
def test_a_strangers_payout_is_404(desk: Desk, stranger: Desk, action: str) -> None:
    order = stranger.payout(accepted=True)
    sent = proof() if action in {"proof", "claim"} else {"reason": "not_available"}
    assert desk.browser.post(path_of(order, action), sent).status_code == 404
    now = stranger.now(order)
    assert (now.status, now.trader_id) == (Status.AWAITING_PAYOUT, stranger.trader.id)
    assert count_proofs(desk, order.id) == 0


def test_an_offer_of_a_store_that_excludes_me_is_404(desk: Desk, stranger: Desk) -> None:
    order = stranger.payout()
    assert desk.browser.post(path_of(order, "acceptance")).status_code == 404
    assert stranger.now(order).status == Status.MATCHING


@pytest.mark.parametrize("action", ACTIONS)
def test_other_roles_are_403(desk: Desk, browser: Browser, action: str) -> None:
    order = desk.payout(accepted=True)
    browser.sign_in(new_user(Role.SUPPORT).email)
    assert browser.post(path_of(order, action), {"reason": "not_available"}).status_code == 403
    assert desk.now(order).status == Status.AWAITING_PAYOUT


def test_a_payin_is_no_payout(desk: Desk) -> None:
    order = desk.payin(claimed=True)
    path = path_of(order, "claim").replace("payins", "payouts")
    assert desk.browser.post(path, proof()).status_code == 404


@pytest.mark.proves("tried S1")
def test_whose_files_had_to_be_killed_is_told_the_wait_that_there_is(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = desk.payout(accepted=True)
    monkeypatch.setattr(turns, "_refuse_costly", refuse_for_37_s)
    answer = desk.browser.post(path_of(order, "proof"), proof())
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "37")
    assert "try again in 37 seconds." in answer.text
    assert count_proofs(desk, order.id) == 0


def refuse_for_37_s(uploader: str) -> None:
    assert uploader.startswith("trader:")
    raise turns.UploadsPaused(37)
