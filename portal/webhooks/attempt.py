"""One attempt: sign, send, judge the answer."""

from __future__ import annotations

import time

import aiohttp

from portal.core.egress import Answer, EgressRefused
from portal.core.egress.post import PostFailed, post
from portal.webhooks.challenge import is_answered
from portal.webhooks.egress_policy import policy_for
from portal.webhooks.leases import Claim
from portal.webhooks.models import DeliveryState
from portal.webhooks.outcomes import Outcome
from portal.webhooks.schedule import CHALLENGE_DELAYS_S, DELAYS_S, delay_after, retry_after_s
from portal.webhooks.signing import signed_headers

_ANSWER_KEPT_BYTES = 4096


async def attempt(session: aiohttp.ClientSession, claim: Claim) -> Outcome:
    """Send one delivery once. Never raises for what the receiver or the network does."""
    if claim.is_broken:
        return _failed(claim, 0, error="nothing_to_send")
    headers = sign_now(claim)
    headers["Content-Type"] = "application/json"
    started = time.monotonic()
    try:
        answer = await post(
            session,
            claim.url,
            body=claim.body,
            headers=headers,
            policy=policy_for(claim.mode),
            timeout_s=claim.timeout_s,
        )
    except (EgressRefused, PostFailed) as error:
        return _failed(claim, _milliseconds_since(started), error=error.code)
    return judge(claim, answer, _milliseconds_since(started))


def sign_now(claim: Claim) -> dict[str, str]:
    """The headers of an attempt that is made now, by the database's clock: receivers refuse what is minutes off."""
    return signed_headers(claim.secrets, claim.message_id, int(claim.clock_s + time.monotonic()), claim.body)


def judge(claim: Claim, answer: Answer, latency_ms: int) -> Outcome:
    """Any 2xx is delivered; 410 ends it; everything else, redirects included, is tried again."""
    text = _readable(answer.body)
    if 200 <= answer.status < 300 and claim.challenge and not is_answered(claim.challenge, text):
        return _failed(claim, latency_ms, status=answer.status, error="challenge_not_answered", text=text)
    if 200 <= answer.status < 300:
        return Outcome(claim, DeliveryState.DELIVERED, None, latency_ms, answer.status, None, text)
    asked_s = retry_after_s(answer.headers)
    return _failed(claim, latency_ms, status=answer.status, text=text, asked_s=asked_s)


def _failed(
    claim: Claim,
    latency_ms: int,
    *,
    status: int | None = None,
    error: str | None = None,
    text: str | None = None,
    asked_s: float | None = None,
) -> Outcome:
    delays_s = DELAYS_S if claim.challenge is None else CHALLENGE_DELAYS_S
    delay_s = None if status == 410 else delay_after(claim.attempts + 1, asked_s, delays_s)
    state = DeliveryState.DEAD if delay_s is None else DeliveryState.PENDING
    return Outcome(claim, state, delay_s, latency_ms, status, error, text)


def _milliseconds_since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)


def _readable(body: bytes) -> str:
    """The beginning of an answer as text that PostgreSQL can keep. Shown escaped, never as a page."""
    return body[:_ANSWER_KEPT_BYTES].decode("utf-8", "replace").replace("\x00", "\N{REPLACEMENT CHARACTER}")
