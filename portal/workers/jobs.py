"""What the worker can be asked for. Each calls a verb that is safe to run twice and beside its twin."""

from __future__ import annotations

from portal.core.db import release, transaction
from portal.core.queues import QueueName, is_paused
from portal.orders import service as orders
from portal.reference import jobs as reference


def match_waiting() -> int:
    """A trader has just become free: look again for the payins that wait."""
    try:
        if _is_stopped(QueueName.MATCHING):
            return 0
        return orders.match_waiting_orders(200)
    finally:
        release()


def refresh_rates() -> int:
    """A feed has just been set up, or somebody asks for its rate now."""
    try:
        if _is_stopped(QueueName.MAINTENANCE):
            return 0
        return reference.refresh_due_rates()
    finally:
        release()


def _is_stopped(queue: QueueName) -> bool:
    """A job of a paused queue is dropped: its rows stay due."""
    with transaction():
        return is_paused(queue)
