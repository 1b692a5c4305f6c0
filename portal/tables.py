"""Imports every table, so that the metadata is complete before Alembic or a query looks at it."""

from importlib import import_module

_MODULES = (
    "portal.core.processes.heartbeat",
    "portal.core.processes.presence",
    "portal.core.queues",
    "portal.core.idempotency",
    "portal.error_reports.models",
    "portal.audit.models",
    "portal.identity.models",
    "portal.identity.proofs.models",
    "portal.identity.people.models",
    "portal.identity.access.models",
    "portal.identity.view_models",
    "portal.approvals.models",
    "portal.reference.models",
    "portal.ledger.models",
    "portal.merchants.models",
    "portal.traders.models",
    "portal.traders.kyc_models",
    "portal.risk.models",
    "portal.orders.models",
    "portal.orders.exposure.models",
    "portal.disputes.models",
    "portal.events.models",
    "portal.webhooks.models",
    "portal.mail.models",
    "portal.notifications.models",
)


def load() -> None:
    for name in _MODULES:
        import_module(name)
