"""What a store's own server does wrong is told to the store, and raises no alarm of the house."""

from __future__ import annotations

import pytest
from flask import Flask

from portal.core.db import hot, transaction
from portal.core.queues import QueueName
from portal.events.readiness import check_readiness, forget_answer
from portal.queues.figures import list_queues
from portal.webhooks.queries import oldest_due_age_s, sending_progress
from tests.webhooks.conftest import Stage

_MAKE_LATE = """
UPDATE webhook_delivery SET next_at = now() - interval '2 hours', state = %(state)s,
       done_at = CASE WHEN %(state)s = 'dead' THEN now() END
 WHERE endpoint_id = %(id)s
"""
_MAKE_BAD = {
    "fails": "UPDATE webhook_endpoint SET failing_since = now() - interval '1 day' WHERE id = %(id)s",
    "is off": "UPDATE webhook_endpoint SET disabled_at = now(), disabled_reason = 'failing' WHERE id = %(id)s",
}


@pytest.mark.proves("tried N11")
@pytest.mark.parametrize("what", list(_MAKE_BAD))
@pytest.mark.parametrize("state", ["pending", "dead"])
def test_a_stores_dead_server_makes_nothing_of_ours_red(
    stage: Stage, app: Flask, what: str, state: str
) -> None:
    store = stage.store()
    endpoint, _ = stage.endpoint(store=store)
    with transaction():
        before = _webhooks_late_s(), oldest_due_age_s()
    stage.happen_and_relay(store, 3)
    with transaction():
        hot(_MAKE_LATE, {"id": endpoint.id, "state": state})
        hot(_MAKE_BAD[what], {"id": endpoint.id})
    with transaction():
        after = _webhooks_late_s(), oldest_due_age_s()
        assert sending_progress() == "ok"
        waiting = next(one for one in list_queues() if one.name is QueueName.MATCHING)
    assert waiting
    assert max(after) - max(before) < 3600
    forget_answer()
    assert check_readiness(webhooks=sending_progress)["webhooks"] == "ok"
    listed = app.test_cli_runner().invoke(args=["queues", "list"])
    assert "webhooks" in listed.output
    assert listed.exit_code == (1 if _is_ours_dead() else 0)


def _webhooks_late_s() -> float:
    return next(one.backlog.late_s for one in list_queues() if one.name is QueueName.WEBHOOKS)


def _is_ours_dead() -> bool:
    with transaction():
        return any(one.backlog.dead for one in list_queues() if one.name is not QueueName.WEBHOOKS)
