"""`flask webhooks`, as an operator types it and a script reads it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import Result

from portal.core.db import transaction
from portal.core.ids import public_id
from portal.core.modes import Mode
from portal.webhooks import queries, service
from tests.webhooks.conftest import Stage
from tests.webhooks.test_delivery import answered, claim


def run(stage: Stage, *words: str) -> Result:
    return stage.app.test_cli_runner().invoke(args=["webhooks", *words])


def facts(stage: Stage, *words: str) -> Any:
    result = run(stage, *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_an_endpoint_is_set_shown_rotated_disabled_and_enabled(stage: Stage) -> None:
    store = public_id("st", stage.store())
    where = ("--store", store, "--mode", "test")
    made = facts(stage, "endpoint", "set", *where, "--event", "order.completed", "http://93.184.216.34/hook")
    assert made["secret"].startswith("whsec_")
    assert (made["state"], made["event_types"]) == ("working", ["order.completed"])
    shown = run(stage, "endpoint", "show", *where)
    assert made["id"] in shown.output
    assert "whsec_" not in shown.output
    rotated = facts(stage, "endpoint", "rotate-secret", *where)
    assert rotated["secret"] not in (None, made["secret"])
    assert rotated["former_secret_until"] is not None
    assert facts(stage, "endpoint", "disable", *where)["disabled_reason"] == "owner"
    assert facts(stage, "endpoint", "enable", *where)["state"] == "working"


@pytest.mark.parametrize(
    ("url", "words"),
    [("http://127.0.0.1/", "no public address"), ("ftp://shop.example/", "must start with https://")],
)
def test_a_forbidden_address_is_refused_with_a_sentence(stage: Stage, url: str, words: str) -> None:
    store = stage.store()
    result = run(stage, "endpoint", "set", "--store", public_id("st", store), "--mode", "test", url)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert words in result.stderr
    assert queries.find_endpoint(store, Mode.TEST) is None


def test_an_unknown_store_has_no_endpoint(stage: Stage) -> None:
    result = run(stage, "endpoint", "show", "--store", public_id("st", stage.store()))
    assert (result.exit_code, "no webhook endpoint" in result.output) == (1, True)
    assert run(stage, "endpoint", "show", "--store", "st_nonsense").exit_code == 2


def test_deliveries_are_listed_inspected_and_sent_again(stage: Stage) -> None:
    endpoint, _ = stage.endpoint()
    stage.happen_and_relay(endpoint.store_id, 2)
    first, second = claim()
    answered(first, 200)
    answered(second, 500)
    where = ("--store", public_id("st", endpoint.store_id), "--mode", "test")
    listed = {line["id"]: line for line in facts(stage, "deliveries", *where)}
    assert {line["state"] for line in listed.values()} == {"delivered", "pending"}
    assert [line["state"] for line in facts(stage, "deliveries", *where, "--state", "pending")] == ["pending"]
    delivered = public_id("whd", first.id)
    assert listed[delivered]["state"] == "delivered"
    (attempt,) = facts(stage, "attempts", *where[:2], delivered)
    assert (attempt["status_code"], attempt["answer"]) == (200, "answer")
    assert facts(stage, "redeliver", *where, delivered)["state"] == "pending"
    assert {line.state for line in stage.deliveries(endpoint)} == {"pending"}
    assert delivered in run(stage, "deliveries", *where).output


def test_enabling_can_replay_what_was_missed(stage: Stage) -> None:
    endpoint, _ = stage.endpoint()
    with transaction():
        service.disable_endpoint(queries.get_endpoint(endpoint.store_id, Mode.TEST, lock=True))
    missed = stage.happen_and_relay(endpoint.store_id, 3)
    where = ("--store", public_id("st", endpoint.store_id), "--mode", "test")
    assert facts(stage, "endpoint", "enable", *where, "--replay-since", "2020-01-01")["replayed"] == 3
    assert {line.event_id for line in stage.deliveries(endpoint)} == set(missed)
