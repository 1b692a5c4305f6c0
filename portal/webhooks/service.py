"""Endpoints and their deliveries, as their owner or an operator changes them.

Every function here is called inside `transaction()`, except `check_endpoint_url`, which asks a name
server and therefore must be called before one.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import NewType
from urllib.parse import urlsplit

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from portal.audit.service import record_audit
from portal.core.actors import SYSTEM, Actor, ActorKind
from portal.core.crypto import decrypt, encrypt
from portal.core.db import constraint_of, db, hot
from portal.core.egress import EgressRefused, check_url
from portal.core.errors import Conflict, NotFound, ValidationFailed
from portal.core.ids import new_id
from portal.core.modes import Mode
from portal.events.models import Event
from portal.webhooks.challenge import NEVER, WAITS_AFTER, EndpointUnverified, ask_for_answer
from portal.webhooks.egress_policy import policy_for
from portal.webhooks.event_types import EVENT_TYPES
from portal.webhooks.models import DeliveryState, WebhookDelivery, WebhookEndpoint
from portal.webhooks.outcomes import abandon_deliveries, give_up_pending
from portal.webhooks.queries import find_endpoint, get_endpoint
from portal.webhooks.signing import new_secret

EndpointUrl = NewType("EndpointUrl", str)

ROTATION_OVERLAP = timedelta(hours=24)

_REPLAY_MISSED = """
INSERT INTO webhook_delivery (id, endpoint_id, event_id)
SELECT gen_random_uuid(), e.id, v.id
FROM event v JOIN webhook_endpoint e ON e.store_id = v.store_id AND e.mode = v.mode
WHERE e.id = %(endpoint)s AND v.created_at >= %(since)s AND v.state = 'done'
  AND (e.event_types IS NULL OR v.type = ANY(e.event_types)) AND v.type <> 'endpoint.verification'
ON CONFLICT (endpoint_id, event_id) DO UPDATE
SET state = 'pending', attempts = 0, next_at = clock_timestamp(), done_at = NULL, dismissed_at = NULL
WHERE webhook_delivery.state = 'dead'
RETURNING id
"""


def check_endpoint_url(url: str, mode: Mode) -> EndpointUrl:
    """Resolve and check an address as a delivery would. Asks a name server: call outside a transaction.

    Raises ValidationFailed. Passing here promises nothing later: every attempt checks again.
    """
    try:
        check_url(url, policy_for(mode))
    except EgressRefused as refusal:
        raise ValidationFailed.of("url", refusal.code, str(refusal)) from None
    return EndpointUrl(url)


def set_endpoint(
    store_id: uuid.UUID,
    mode: Mode,
    url: EndpointUrl,
    event_types: Iterable[str] | None = None,
    *,
    actor: Actor = SYSTEM,
) -> tuple[WebhookEndpoint, str | None]:
    """Create the store's endpoint for this mode, or point the existing one elsewhere and switch it on.

    `event_types` None means all. Returns the endpoint and, only when it was created, its secret in
    plain: it is not shown again. An address that a merchant names has to answer a challenge before it is sent anything
    else, in test mode as well: it may be anybody's. What the operator names does not. Raises ValidationFailed for an unknown event
    type, TooManyProbes, and Conflict when somebody else creates it at the same moment.
    """
    types = _known_types(event_types)
    endpoint = find_endpoint(store_id, mode, lock=True)
    if endpoint is None:
        endpoint = WebhookEndpoint(
            id=new_id(), store_id=store_id, mode=mode.value, url=url, event_types=types
        )
        secret = new_secret()
        endpoint.secret_encrypted = encrypt("webhook_endpoint", "secret", endpoint.id, secret)
        _insert(endpoint)
        _verify(endpoint, actor)
        _audit(endpoint, "created", actor, after=_described(endpoint))
        return endpoint, secret
    before = _described(endpoint)
    is_same = endpoint.url == url
    endpoint.url, endpoint.event_types = url, types
    _enable(endpoint)
    if not is_same or endpoint.verified_at is None:
        _verify(endpoint, actor)
    _audit(endpoint, "changed", actor, before=before, after=_described(endpoint))
    return endpoint, None


def _verify(endpoint: WebhookEndpoint, actor: Actor) -> None:
    if actor.kind is ActorKind.MERCHANT:
        endpoint.verified_at = None
        db.session.flush()
        hot(_HOLD_BACK, {"endpoint": endpoint.id, "never": NEVER})
        ask_for_answer(endpoint)
    elif endpoint.verified_at is None:
        # The operator vouches: as if it had answered.
        endpoint.verified_at = _now()
        db.session.flush()
        hot(_RELEASE_WAITING, {"endpoint": endpoint.id, "waits_after": WAITS_AFTER})
    db.session.flush()


# What was on its way to the former address waits for the new one's answer.
_HOLD_BACK = """
UPDATE webhook_delivery SET next_at = %(never)s WHERE endpoint_id = %(endpoint)s AND state = 'pending'
"""
_RELEASE_WAITING = """
UPDATE webhook_delivery SET next_at = clock_timestamp()
 WHERE endpoint_id = %(endpoint)s AND state = 'pending' AND next_at > %(waits_after)s
"""


def _described(endpoint: WebhookEndpoint) -> dict[str, object]:
    """What the audit log says of an endpoint. Its path and query may hold a key of the merchant's."""
    return {
        "store_id": endpoint.store_id,
        "mode": endpoint.mode,
        "host": urlsplit(endpoint.url).hostname,
        "address_sha256": hashlib.sha256(endpoint.url.encode()).hexdigest()[:16],
        "event_types": endpoint.event_types,
        "disabled_reason": endpoint.disabled_reason,
    }


def _audit(
    endpoint: WebhookEndpoint,
    what: str,
    actor: Actor,
    *,
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
) -> None:
    subject = ("webhook_endpoint", endpoint.id)
    record_audit(f"webhook_endpoint.{what}", actor=actor, subject=subject, before=before, after=after)


def _insert(endpoint: WebhookEndpoint) -> None:
    try:
        with db.session.begin_nested():
            db.session.add(endpoint)
            db.session.flush()
    except IntegrityError as error:
        if constraint_of(error) != "uq_webhook_endpoint_store_mode":
            raise
        raise Conflict("The store has a webhook endpoint in this mode.", code="endpoint_exists") from None


def _known_types(event_types: Iterable[str] | None) -> list[str] | None:
    if event_types is None:
        return None
    types = sorted(set(event_types))
    unknown = [name for name in types if name not in EVENT_TYPES]
    if unknown or not types:
        known = ", ".join(sorted(EVENT_TYPES))
        raise ValidationFailed.of("event_types", "unknown_event_type", f"Choose among: {known}.")
    return types


def rotate_secret(store_id: uuid.UUID, mode: Mode, *, actor: Actor = SYSTEM) -> tuple[WebhookEndpoint, str]:
    """Give the endpoint a new secret, shown once. The former one signs too for ROTATION_OVERLAP.

    A second rotation inside the overlap drops the oldest secret. Raises NotFound.
    """
    endpoint = get_endpoint(store_id, mode, lock=True)
    former = reveal_secret(endpoint)
    secret = new_secret()
    endpoint.former_secret_encrypted = encrypt("webhook_endpoint", "former_secret", endpoint.id, former)
    endpoint.former_secret_until = _now() + ROTATION_OVERLAP
    endpoint.secret_encrypted = encrypt("webhook_endpoint", "secret", endpoint.id, secret)
    db.session.flush()
    _audit(endpoint, "secret_rotated", actor, after={"former_until": endpoint.former_secret_until})
    return endpoint, secret


def reveal_secret(endpoint: WebhookEndpoint) -> str:
    """The secret in plain. For signing, and for the operator of a demo; never for a page or a log."""
    return decrypt("webhook_endpoint", "secret", endpoint.id, endpoint.secret_encrypted)


def disable_endpoint(endpoint: WebhookEndpoint, reason: str = "owner", *, actor: Actor = SYSTEM) -> None:
    """Stop sending. What was pending is given up and can be replayed."""
    if endpoint.disabled_at is None:
        endpoint.disabled_at, endpoint.disabled_reason = _now(), reason
        _audit(endpoint, "disabled", actor, after={"disabled_reason": reason})
    db.session.flush()
    give_up_pending([endpoint.id])


def enable_endpoint(endpoint: WebhookEndpoint, *, actor: Actor = SYSTEM) -> None:
    """Send again, with a clean record. What was missed stays missed until `replay_since`."""
    before = {"disabled_reason": endpoint.disabled_reason}
    _enable(endpoint)
    _audit(endpoint, "enabled", actor, before=before, after={"disabled_reason": None})


def _enable(endpoint: WebhookEndpoint) -> None:
    endpoint.disabled_at = endpoint.disabled_reason = endpoint.failing_since = None
    db.session.flush()


def delete_endpoint(endpoint: WebhookEndpoint, *, actor: Actor = SYSTEM) -> None:
    """Forget the endpoint; its deliveries and attempts are kept, as abandoned where they did not arrive."""
    endpoint.deleted_at = _now()
    db.session.flush()
    _audit(endpoint, "deleted", actor, before=_described(endpoint))
    abandon_deliveries(endpoint.id)


def request_redelivery(
    store_id: uuid.UUID,
    mode: Mode,
    delivery_id: uuid.UUID,
    *,
    about: uuid.UUID | None = None,
    reason: str | None = None,
    actor: Actor = SYSTEM,
) -> WebhookDelivery:
    """Send one delivery again at once, under the same webhook-id, on the whole schedule. Locks the delivery.

    Raises NotFound for another store's delivery, or one that is not `about` this order, Conflict while the
    endpoint is disabled or deleted. The audit log says it of what the event is about.
    """
    row = db.session.execute(
        select(WebhookDelivery, WebhookEndpoint, Event)
        .join(WebhookEndpoint, WebhookEndpoint.id == WebhookDelivery.endpoint_id)
        .join(Event, Event.id == WebhookDelivery.event_id)
        .where(
            WebhookDelivery.id == delivery_id,
            WebhookEndpoint.store_id == store_id,
            WebhookEndpoint.mode == mode.value,
        )
        .with_for_update(of=WebhookDelivery)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if row is None or about not in {None, row[2].subject_id}:
        raise NotFound("There is no such delivery.")
    delivery, endpoint, told = row
    if endpoint.disabled_at is not None or endpoint.deleted_at is not None:
        raise Conflict("The endpoint is disabled; enable it first.", code="endpoint_disabled")
    if endpoint.verified_at is None:
        raise EndpointUnverified("The endpoint has to answer its challenge first.")
    if delivery.state != DeliveryState.PENDING.value:
        delivery.state, delivery.attempts = DeliveryState.PENDING.value, 0
        delivery.done_at = delivery.dismissed_at = None
    delivery.next_at = _now()
    db.session.flush()
    subject, after = (told.subject_kind, told.subject_id), {"event": told.id, "type": told.type}
    record_audit("webhook_delivery.resent", actor=actor, subject=subject, after=after, reason=reason)
    return delivery


def replay_since(endpoint: WebhookEndpoint, since: datetime, *, actor: Actor) -> int:
    """Send everything that happened since then and did not arrive; returns how many deliveries that is.

    Revives what was given up, and adds what happened while the endpoint was disabled. Raises Conflict.
    """
    if endpoint.disabled_at is not None:
        raise Conflict("The endpoint is disabled; enable it first.", code="endpoint_disabled")
    if endpoint.verified_at is None:
        raise EndpointUnverified("The endpoint has to answer its challenge first.")
    replayed = len(hot(_REPLAY_MISSED, {"endpoint": endpoint.id, "since": since}))
    after = {"since": since.isoformat(), "deliveries": replayed}
    record_audit("webhook_endpoint.replayed", actor=actor, subject=("store", endpoint.store_id), after=after)
    return replayed


def _now() -> datetime:
    now: datetime = db.session.execute(select(func.clock_timestamp())).scalar_one()
    return now
