"""What the audit log's part of an order's page calls what was done."""

from __future__ import annotations

from flask_babel import gettext as _

from portal.web.labels.audit_actions import action_words
from portal.web.labels.order_steps import STEP, step_words


def audit_words(action: str) -> str:
    """What the audit log calls it; steps of an order by the words of its timeline."""
    noun, _dot, verb = action.partition(".")
    known = {
        "webhook_delivery.resent": _("Webhook sent again"),
        "review.refused": _("Refused in review"),
        "order.completed_by_staff": _("Completed by staff"),
    }
    if action in known:
        return known[action]
    if noun == "approval":
        return action_words(action)
    return step_words(verb)[0] if noun == "order" and verb in STEP else action
