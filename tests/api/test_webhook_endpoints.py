"""The webhook endpoint of a store: made, read, tried, deleted over the API."""

from __future__ import annotations

import pytest

from portal.api.v1 import webhook_endpoints
from portal.core.db import hot, transaction
from portal.core.ids import parse_public_id
from portal.events.relay import relay_events
from portal.webhooks.challenge import note_answers
from portal.webhooks.fanout import create_deliveries
from tests.api.conftest import Shop, code_of, field_codes

PATH = "/api/v1/webhook-endpoints"


@pytest.fixture(autouse=True)
def _names_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    """No name server here: addresses of shop.example pass, all others are checked as ever."""
    real = webhook_endpoints.service.check_endpoint_url

    def check(url: str, mode: object) -> object:
        return url if url.startswith("https://shop.example/") else real(url, mode)  # type: ignore[arg-type]

    monkeypatch.setattr(webhook_endpoints.service, "check_endpoint_url", check)


def test_an_endpoint_is_made_once_and_shows_its_secret_once(shop: Shop) -> None:
    made = shop.post(PATH, {"url": "https://shop.example/hook", "event_types": ["order.completed"]})
    assert made.status_code == 201, made.json
    endpoint = made.json or {}
    assert endpoint["secret"].startswith("whsec_")
    assert (endpoint["enabled"], endpoint["event_types"]) == (True, ["order.completed"])
    again = shop.post(PATH, {"url": "https://shop.example/other"})
    assert (again.status_code, code_of(again)) == (409, "endpoint_exists")
    read = shop.get(f"{PATH}/{endpoint['id']}").json or {}
    assert "secret" not in read
    assert read["url"] == "https://shop.example/hook"
    listed = shop.get(PATH).json or {}
    assert listed["data"] == [read]


def test_the_same_key_gives_the_same_secret(shop: Shop) -> None:
    body = {"url": "https://shop.example/hook"}
    first, again = shop.post(PATH, body, idem="w"), shop.post(PATH, body, idem="w")
    assert (again.status_code, again.data) == (201, first.data)


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/hook",
        "https://192.168.1.1/",
        "https://169.254.169.254/latest",
        "ftp://shop.test/",
        "https://u:p@shop.test/",
    ],
)
def test_an_address_inside_is_refused(shop: Shop, url: str) -> None:
    assert set(field_codes(shop.post(PATH, {"url": url}))) == {"url"}
    assert (shop.get(PATH).json or {})["data"] == []


def test_unknown_events_are_refused(shop: Shop) -> None:
    answer = shop.post(PATH, {"url": "https://shop.example/hook", "event_types": ["order.exploded"]})
    assert field_codes(answer) == {"event_types": "unknown_event_type"}


@pytest.mark.proves("tried S17")
def test_an_endpoint_of_test_mode_has_to_answer_its_challenge_too(shop: Shop) -> None:
    endpoint = shop.post(PATH, {"url": "https://shop.example/hook"}).json or {}
    assert endpoint["verified"] is False
    refused = shop.post(f"{PATH}/{endpoint['id']}/test", idem=None)
    assert (refused.status_code, code_of(refused)) == (409, "endpoint_unverified")
    assert shop.post(f"{PATH}/{endpoint['id']}/verify", idem=None).status_code == 202


def test_a_test_event_is_delivered_whatever_the_endpoint_listens_to(shop: Shop) -> None:
    endpoint = (
        shop.post(PATH, {"url": "https://shop.example/hook", "event_types": ["order.completed"]}).json or {}
    )
    with transaction():
        note_answers([(parse_public_id("whe", endpoint["id"]), endpoint["url"])])
    for _ in range(2):
        sent = shop.post(f"{PATH}/{endpoint['id']}/test", idem=None)
        assert sent.status_code == 202, sent.json
        assert (sent.json or {})["event_id"].startswith("evt_")
    while relay_events(create_deliveries):
        pass
    with transaction():
        sql = """
        SELECT v.type, d.state FROM webhook_delivery d JOIN event v ON v.id = d.event_id WHERE v.store_id = %(id)s
        """
        rows = hot(sql, {"id": shop.store_id})
    assert sorted((row["type"], row["state"]) for row in rows) == [
        ("endpoint.test", "pending"), ("endpoint.test", "pending"), ("endpoint.verification", "pending"),
    ]  # fmt: skip


def test_a_deleted_endpoint_is_gone_and_another_may_follow(shop: Shop) -> None:
    endpoint = shop.post(PATH, {"url": "https://shop.example/hook"}).json or {}
    deleted = shop.call("DELETE", f"{PATH}/{endpoint['id']}")
    assert (deleted.status_code, deleted.data) == (204, b"")
    assert code_of(shop.get(f"{PATH}/{endpoint['id']}")) == "not_found"
    assert code_of(shop.post(f"{PATH}/{endpoint['id']}/test", idem=None)) == "not_found"
    assert shop.post(PATH, {"url": "https://shop.example/hook"}).status_code == 201


def test_live_and_test_have_an_endpoint_each(shop: Shop) -> None:
    test = shop.post(PATH, {"url": "https://shop.example/test"}).json or {}
    live = shop.post(PATH, {"url": "https://shop.example/live"}, key=shop.live_key)
    assert live.status_code == 201
    assert code_of(shop.get(f"{PATH}/{test['id']}", key=shop.live_key)) == "not_found"
