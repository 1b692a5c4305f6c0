"""The audit log as a list: who did what to what, in words, narrowed by the URL."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_login import current_user

from portal.audit.models import AuditEntry
from portal.audit.queries import AuditFilter, list_entries
from portal.core.cursors import number_in, position_of
from portal.core.ids import parse_public_id, public_id
from portal.core.permissions import Permission
from portal.identity.people.people_list import PeopleFilter, PersonSort, list_people_rows
from portal.merchants.queries import list_store_names
from portal.traders.queries import traders
from portal.web.admin.audit.history import actor_names, name_of_actor
from portal.web.labels.audit_actions import ACTIONS, action_words
from portal.web.ui.lists.days import day_filters, period_of
from portal.web.ui.lists.declaration import Asked, Cell, Column, Filter, Kind, Listing

_MOST_ACTORS = 200
_PAGES = {
    "user": ("admin.person", "person_id", Permission.PERSON_VIEW),
    "trader": ("admin.trader", "trader_id", Permission.TRADER_VIEW),
    "merchant": ("admin.merchant", "merchant_id", Permission.MERCHANT_VIEW),
    "requisite": ("admin.requisite", "requisite_id", Permission.REQUISITE_VIEW),
    "team": ("admin.team", "team_id", Permission.TEAM_VIEW),
    "order": ("admin.order", "order_id", Permission.ORDER_VIEW),
}


@dataclass(frozen=True, slots=True)
class NamedEntry:
    """An entry with the names of who did it and of what it was done to."""

    entry: AuditEntry
    who: str
    subject: str

    @property
    def id(self) -> int:
        return self.entry.id


def kind_words(kind: str) -> str:
    """What kind of thing something was done to."""
    known = {
        "user": _("Login"), "trader": _("Trader"), "merchant": _("Merchant"), "requisite": _("Requisite"),
        "team": _("Team"), "order": _("Order"), "session": _("Session"), "api_key": _("API key"),
        "setting": _("Setting"), "invitation": _("Invitation"), "email": _("Email"), "rate_pair": _("Rate"),
        "token_family": _("Program"), "risk_rule": _("Risk rule"), "risk_list": _("Risk list"),
        "webhook_endpoint": _("Webhook endpoint"), "webhook_delivery": _("Webhook"),
    }  # fmt: skip
    return known.get(kind, kind)


def lines_of(entries: Sequence[AuditEntry]) -> list[NamedEntry]:
    """The entries with names: one statement, the rest from memory."""
    wanted = {entry.actor_id for entry in entries if entry.actor_id}
    wanted |= {key for entry in entries if (key := _key(entry)) and entry.subject_kind in {"user", "trader"}}
    names = actor_names(wanted)
    return [NamedEntry(entry, name_of_actor(entry, names), subject_words(entry, names)) for entry in entries]


def subject_words(entry: AuditEntry, names: Mapping[uuid.UUID, str]) -> str:
    """What it was done to: the kind, and its name or its id."""
    if entry.subject_kind is None or entry.subject_id is None:
        return ""
    key = _key(entry)
    name = names.get(key) if key else None
    if name is None and key and entry.subject_kind == "order":
        name = public_id("ord", key)
    return f"{kind_words(entry.subject_kind)} {name or entry.subject_id}"


def subject_url(entry: AuditEntry) -> str | None:
    """The page of what it was done to, if there is one that this person may open."""
    endpoint, parameter, permission = _PAGES.get(entry.subject_kind or "", ("", "", None))
    key = _key(entry)
    if permission is None or key is None or not current_user.can(permission):
        return None
    values: dict[str, Any] = {parameter: key}
    return url_for(endpoint, **values)


def _key(entry: AuditEntry) -> uuid.UUID | None:
    try:
        return uuid.UUID(entry.subject_id or "")
    except ValueError:
        return None


def filter_of(asked: Asked) -> AuditFilter:
    """What the URL narrows to."""
    at_from, at_to = period_of(asked)
    return AuditFilter(
        subject=_subject(asked.get("subject")),
        action=asked.get("action"),
        at_from=at_from,
        at_to=at_to,
        actor_ids=_actors(asked.get("who")),
    )


def _subject(text: str | None) -> tuple[str, str] | None:
    """`kind:id`, a kind, an id, or the number of an order."""
    if not text:
        return None
    if (order_id := parse_public_id("ord", text)) is not None:
        return "order", str(order_id)
    kind, colon, key = text.partition(":")
    if colon:
        return kind.strip(), key.strip()
    return ("", text) if any(sign.isdigit() or sign == "@" for sign in text) else (text.lower(), "")


def _actors(words: str | None) -> list[uuid.UUID] | None:
    """Everybody whose name, email or id has the words: people, and traders and stores, who act under their own id."""
    if not words:
        return None
    narrow, low = PeopleFilter(words=words), words.lower()
    people = list_people_rows(narrow, PersonSort.NAME, is_descending=False, limit=_MOST_ACTORS)
    found = [person.id for person in people]
    named = [(trader.id, trader.name) for trader in traders.get().by_id.values()] + list(
        list_store_names().items()
    )
    found += [key for key, name in named if low in name.lower() or low == str(key)][:_MOST_ACTORS]
    return found


def _action_choices() -> Sequence[tuple[str, str]]:
    return sorted(((action, str(words)) for action, words in ACTIONS.items()), key=lambda choice: choice[1])


def audit_listing() -> Listing[NamedEntry]:
    def fetch(asked: Asked) -> list[NamedEntry]:
        entries = list_entries(
            filter_of(asked), asked.limit, after=number_in(asked.after), is_descending=asked.is_descending
        )
        return lines_of(entries)

    return Listing(
        name="audit",
        columns=(
            Column("at", _l("When"), lambda line: line.entry.at, Cell.MOMENT, sort="at", is_optional=False,
                   link=lambda line: url_for("admin.audit_entry", entry_id=line.id)),
            Column("action", _l("What"), lambda line: action_words(line.entry.action)),
            Column("who", _l("Who"), lambda line: line.who),
            Column("subject", _l("To what"), lambda line: line.subject, link=lambda line: subject_url(line.entry)),
            Column("reason", _l("Reason"), lambda line: line.entry.reason),
            Column("ip", _l("Address"), lambda line: str(line.entry.ip or ""), Cell.CODE, is_shown=False),
            Column("name", _l("Name in the log"), lambda line: line.entry.action, Cell.CODE, is_shown=False),
            Column("request", _l("Request"), lambda line: line.entry.request_id, Cell.CODE, is_shown=False),
        ),
        fetch=fetch,
        position=lambda line: position_of(line.id),
        endpoint="admin.audit",
        export_endpoint="admin.export_audit" if current_user.can(Permission.AUDIT_EXPORT) else None,
        default_sort="-at",
        title=_l("Audit log"),
        empty_title=_l("Nothing was done yet"),
        empty_next=_l("Whatever somebody does with power appears here."),
        icon="history",
        filters=(
            Filter("who", _l("Who"), hint=_l("Name, email or id")),
            Filter("action", _l("What"), Kind.CHOICE, _action_choices),
            Filter("subject", _l("To what"), hint=_l("trader:id, an id, an order's number")),
            *day_filters(former=("since", "until")),
        ),
    )  # fmt: skip
