"""What the audit log's part of an order's page calls what was done."""

from __future__ import annotations

from portal.web.labels.audit_actions import action_words
from portal.web.labels.order_steps import STEP, step_words


def audit_words(action: str) -> str:
    """What the audit log calls it; steps of an order by the words of its timeline."""
    noun, _dot, verb = action.partition(".")
    return step_words(verb)[0] if noun == "order" and verb in STEP else action_words(action)
