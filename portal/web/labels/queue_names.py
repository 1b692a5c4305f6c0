"""What the queues are called, and what work is in them."""

from __future__ import annotations

from collections.abc import Mapping

from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString

from portal.core.queues import QueueName

# The name, and a sentence.
QUEUE: Mapping[QueueName, tuple[LazyString, LazyString]] = {
    QueueName.MATCHING: (_l("Matching"), _l("Orders that wait for a trader.")),
    QueueName.EVENTS: (
        _l("Events"), _l("What happened, to be handed on to webhooks, people and open pages."),
    ),
    QueueName.WEBHOOKS: (_l("Webhooks"), _l("Deliveries to stores.")),
    QueueName.MAIL: (_l("Mail"), _l("Letters to people.")),
    QueueName.MAINTENANCE: (
        _l("Maintenance"), _l("Roll-ups, rates, the audit log's seals, proofs, and what is to be forgotten."),
    ),
}  # fmt: skip


def queue_words(name: str) -> str:
    return str(QUEUE[QueueName(name)][0])


def queue_sentence(name: str) -> str:
    return str(QUEUE[QueueName(name)][1])
