"""The events a store can be told about: part of the contract with merchants."""

EVENT_TYPES = frozenset(
    {
        "order.matched",
        "order.claimed",
        "order.completed",
        "order.expired",
        "order.cancelled",
        "order.failed",
        "order.amount_changed",
        "order.amount_reported",
        "order.disputed",
        "payout.completed",
        "payout.failed",
        "payout.cancelled",
        "dispute.opened",
        "dispute.updated",
        "dispute.resolved",
        "withdrawal.paid",
        "withdrawal.refused",
        "method.degraded",
        "endpoint.test",
        "endpoint.verification",
    }
)
