"""Where webhooks may go."""

from __future__ import annotations

from portal.core.egress import EgressPolicy
from portal.core.modes import Mode


def policy_for(mode: str) -> EgressPolicy:
    """What an endpoint of this mode may point at: plain http is for test mode, or where the operator says."""
    return EgressPolicy.from_settings(allow_http=mode == Mode.TEST)
