"""Requests are signed as Standard Webhooks 1.0 says, and its authors' own library agrees."""

from __future__ import annotations

import base64
import time

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from portal.webhooks.signing import new_secret, signed_headers

BODY = b'{"type":"order.completed","data":{"name":"\xd0\x98\xd0\xb2\xd0\xb0\xd0\xbd"}}'


def headers_of(*secrets: str, at: int | None = None, body: bytes = BODY) -> dict[str, str]:
    return signed_headers(secrets, "evt_1", int(time.time()) if at is None else at, body)


def test_the_vector_of_the_specification() -> None:
    headers = signed_headers(
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_the_library_of_the_specification_accepts_it() -> None:
    secret = new_secret()
    assert Webhook(secret).verify(BODY, headers_of(secret))["data"]["name"] == "Иван"


def test_during_a_rotation_both_secrets_verify_and_a_third_does_not() -> None:
    new, former = new_secret(), new_secret()
    headers = headers_of(new, former)
    assert len(headers["webhook-signature"].split(" ")) == 2
    Webhook(new).verify(BODY, headers)
    Webhook(former).verify(BODY, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(BODY, headers)


def test_one_changed_byte_of_the_body_is_noticed() -> None:
    secret = new_secret()
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY.replace(b"completed", b"cancelled"), headers_of(secret))


@pytest.mark.parametrize("header", ["webhook-id", "webhook-timestamp"])
def test_id_and_time_are_signed_too(header: str) -> None:
    secret = new_secret()
    headers = headers_of(secret)
    changed = {"webhook-id": "evt_2", "webhook-timestamp": str(int(time.time()) - 60)}[header]
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY, headers | {header: changed})


def test_a_replay_after_more_than_five_minutes_is_noticed() -> None:
    secret = new_secret()
    with pytest.raises(WebhookVerificationError, match="too old"):
        Webhook(secret).verify(BODY, headers_of(secret, at=int(time.time()) - 301))


def test_secrets_are_long_and_never_the_same() -> None:
    secrets = {new_secret() for _ in range(50)}
    assert len(secrets) == 50
    for secret in secrets:
        assert secret.startswith("whsec_")
        assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
