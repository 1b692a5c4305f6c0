"""Changes of rules and lists. All verbs need transaction() and are in force everywhere within seconds."""

from __future__ import annotations

from datetime import datetime
from ipaddress import ip_address, ip_network

from sqlalchemy import delete, func, select

from portal.audit.service import record_audit
from portal.core.actors import Actor
from portal.core.crypto import blind_index
from portal.core.db import db
from portal.core.errors import Conflict, NotFound, ValidationFailed
from portal.core.ids import parse_public_id
from portal.core.text_rules import reason_of
from portal.risk.models import ListKind, ListName, RiskAction, RiskListEntry, RiskRule, RuleMode
from portal.risk.queries import get_rule, snapshot
from portal.risk.rules import as_json, read_conditions

# The purpose under which requisite numbers are indexed everywhere, so that one entry finds all of them.
NUMBER_PURPOSE = "requisite"


def add_rule(
    name: str, conditions: object, action: RiskAction, actor: Actor, *, priority: int = 100
) -> RiskRule:
    """Add a rule, switched off. Raises ValidationFailed, Conflict (the name is taken)."""
    name = name.strip()
    if not 1 <= len(name) <= 80:
        raise ValidationFailed.of("name", "wrong_length", "A name has 1 to 80 characters.")
    if not 1 <= priority <= 1000:
        raise ValidationFailed.of("priority", "out_of_range", "The priority is between 1 and 1000.")
    checked = as_json(read_conditions(conditions))
    if db.session.scalar(select(RiskRule.id).where(RiskRule.name == name)) is not None:
        raise Conflict(f"There is a rule {name!r} already.", code="name_taken")
    rule = RiskRule(
        name=name,
        conditions=checked,
        action=action.value,
        mode=RuleMode.OFF.value,
        priority=priority,
        actor_kind=actor.kind.value,
        actor_id=actor.id,
    )
    db.session.add(rule)
    db.session.flush()
    after = {"name": name, "conditions": checked, "action": action, "priority": priority}
    record_audit("risk_rule.added", actor=actor, subject=("risk_rule", name), after=after)
    return rule


def set_mode(name: str, mode: RuleMode, actor: Actor) -> RiskRule:
    """Switch a rule off, to shadow, or on; its version grows. Locks the rule. Raises NotFound."""
    rule = get_rule(name, lock=True)
    if rule.mode != mode.value:
        before = {"mode": rule.mode}
        rule.mode = mode.value
        rule.version += 1
        rule.updated_at = func.clock_timestamp()
        rule.actor_kind, rule.actor_id = actor.kind.value, actor.id
        db.session.flush()
        subject = ("risk_rule", name)
        record_audit("risk_rule.switched", actor=actor, subject=subject, before=before, after={"mode": mode})
        snapshot.changed()
    return rule


def add_entry(
    list_name: ListName,
    kind: ListKind,
    value: str,
    reason: str,
    actor: Actor,
    *,
    expires_at: datetime | None = None,
) -> RiskListEntry:
    """Block or allow somebody; an entry that is there already gets the new reason and expiry.

    `value`: customer `st_...:customer id`, ip, network `203.0.113.0/24`, requisite number in canonical form,
    email domain. Raises ValidationFailed.
    """
    words, stored = reason_of(reason), stored_value(kind, value)
    entry = db.session.scalar(
        select(RiskListEntry)
        .where(RiskListEntry.list == list_name.value, RiskListEntry.kind == kind.value)
        .where(RiskListEntry.value == stored)
        .with_for_update()
    )
    if entry is None:
        entry = RiskListEntry(list=list_name.value, kind=kind.value, value=stored)
        db.session.add(entry)
    entry.reason, entry.expires_at = words, expires_at
    entry.actor_kind, entry.actor_id = actor.kind.value, actor.id
    db.session.flush()
    _audit("added", list_name, kind, stored, actor, words)
    snapshot.changed()
    return entry


def _audit(
    what: str, list_name: ListName, kind: ListKind, stored: str, actor: Actor, reason: str | None = None
) -> None:
    """A requisite's number is known by its blind index alone, which is told by its beginning."""
    shown = f"{stored[:12]}..." if kind is ListKind.REQUISITE_NUMBER else stored
    subject, after = ("risk_list", list_name.value), {"kind": kind, "value": shown}
    record_audit(f"risk_list.{what}", actor=actor, subject=subject, after=after, reason=reason)


def remove_entry(list_name: ListName, kind: ListKind, value: str, actor: Actor) -> None:
    """Take somebody off a list. Raises NotFound, ValidationFailed."""
    gone = db.session.execute(
        delete(RiskListEntry)
        .where(RiskListEntry.list == list_name.value, RiskListEntry.kind == kind.value)
        .where(RiskListEntry.value == stored_value(kind, value))
        .returning(RiskListEntry.id)
    ).all()
    if not gone:
        raise NotFound("There is no such entry.")
    _audit("removed", list_name, kind, stored_value(kind, value), actor)
    snapshot.changed()


def stored_value(kind: ListKind, value: str) -> str:
    """A value as it is compared: canonical, and a requisite number only as its blind index."""
    value = value.strip()
    if kind is ListKind.CUSTOMER:
        store, _, customer = value.partition(":")
        store_id = parse_public_id("st", store)
        if store_id is None or not customer:
            raise ValidationFailed.of("value", "malformed", "Name a customer as st_...:customer-id.")
        return f"{store_id}:{customer}"
    try:
        if kind is ListKind.IP:
            address = ip_address(value)
            return str(getattr(address, "ipv4_mapped", None) or address)
        if kind is ListKind.NETWORK:
            return str(ip_network(value))
    except ValueError:
        raise ValidationFailed.of("value", "malformed", f"This is not an {kind.value} address.") from None
    if not value:
        raise ValidationFailed.of("value", "missing", "Say whom.")
    if kind is ListKind.REQUISITE_NUMBER:
        return blind_index(NUMBER_PURPOSE, value).hex()
    return value.lower().removeprefix("@")
