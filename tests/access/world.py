"""People of every kind with things of their own, and a browser for each: what the matrix walks the routes with."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ClassVar

from flask import Flask
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from portal.approvals.access import change_access
from portal.audit.service import record_audit
from portal.core.actors import SYSTEM, Actor, ActorKind
from portal.core.crypto import derived_token
from portal.core.db import db, hot, transaction
from portal.core.ids import new_id, public_id
from portal.core.modes import Mode
from portal.core.permissions import Permission, Reach
from portal.core.uploads.check import CleanFile
from portal.error_reports.recorder import Counted
from portal.error_reports.service import add_reports
from portal.identity.access.changes import AccessChange, get_access
from portal.identity.models import Audience, MemberRole, Role, Scope, User
from portal.identity.people.invitations import create_invitation, list_invitations
from portal.identity.people.models import MerchantMember
from portal.identity.saved_views import list_views, save_view
from portal.identity.tokens.api_keys import issue_api_key
from portal.identity.tokens.sessions import SessionTimes, raise_session, start_session
from portal.identity.tokens.token_families import start_personal_family
from portal.merchants.models import Store
from portal.notifications.models import NotificationKind
from portal.notifications.service import notify
from portal.traders.kyc import add_document
from portal.traders.kyc_models import DocumentKind
from portal.web.shell.security import session_cookie
from portal.webhooks.service import EndpointUrl, set_endpoint
from tests.access.people import person
from tests.web.desk import Desk, open_desk

_OFFICE = {
    "person_id", "trader_id", "team_id", "merchant_id", "invitation_id", "document_id", "request_id",
    "requisite_id", "entry_id",
}  # fmt: skip
TIMES = SessionTimes(absolute_s=3600)


@dataclass
class Visitor:
    """One person (or nobody) with a browser, which signs in anew after each change that anybody made: some end sessions."""

    name: str
    app: Flask
    user: User | None
    holdings: dict[Permission, Reach] = field(default_factory=dict)
    cookie: str = ""
    token: str = ""
    changes: ClassVar[int] = 0
    _signed_in: tuple[int, float] = (-1, 0.0)

    def open(
        self, method: str, path: str, sent: Mapping[str, str] | None = None, **headers: str
    ) -> TestResponse:
        client = self.app.test_client()
        if self.user is not None:
            self._sign_in(self.user)
            client.set_cookie(session_cookie(), self.cookie)
        elif method != "GET":
            if not self.token:
                self._take_form_token()
            client.set_cookie("nostro_form", self.cookie)
        data = {"csrf_token": self.token, **(sent or {})} if method != "GET" else None
        with self.app.app_context():
            answer = client.open(path, method=method, data=data, headers=headers, buffered=False)
            if method != "GET":
                Visitor.changes += 1
            elif self.user is not None:
                assert not answer.headers.get("Location", "").startswith("/sign-in"), f"{self.name}: {path}"
            if not answer.is_streamed or answer.mimetype != "text/event-stream":
                answer.get_data()
            else:
                answer.close()
        return answer

    def _sign_in(self, user: User) -> None:
        changes, at = self._signed_in
        if changes == Visitor.changes and time.monotonic() - at < TIMES.sudo_s / 2:
            return
        with transaction():
            begun = start_session(user.id, "127.0.0.1", "matrix", TIMES)
            session = raise_session(begun.id, user.id, TIMES, with_factor=False, is_proof=True)
        self._signed_in = (Visitor.changes, time.monotonic())
        self.cookie, self.token = session.token, derived_token("form", session.id)

    def _take_form_token(self) -> None:
        """What every form of a browser carries with which nobody has signed in."""
        page = self.open("GET", "/sign-in")
        found = re.search(r'name="csrf_token" value="([^"]+)"', page.get_data(as_text=True))
        assert found, page.status
        self.token = found[1]
        self.cookie = re.search(r"nostro_form=([^;]+)", ";".join(page.headers.getlist("Set-Cookie")))[1]  # type: ignore[index]


class World:
    """Every role, four kinds of members, two traders of two teams, and nobody."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self._known: dict[tuple[str, str, str], object] = {}
        self._orders: dict[tuple[str, str], tuple[uuid.UUID, uuid.UUID]] = {}
        self._spare: dict[str, uuid.UUID] = {}
        self.desks: dict[str, Desk] = {name: open_desk(app) for name in ("trader", "another trader")}
        with transaction():
            people = {role.value: person(role) for role in (Role.ADMIN, Role.SUPPORT)}
            people["lead"] = self._lead("trader")
            people["another lead"] = self._lead("another trader")
            people |= {f"member: {role.value}": self._member("trader", role) for role in MemberRole}
            people["another merchant's owner"] = self._member("another trader", MemberRole.OWNER)
        people |= {name: desk.user for name, desk in self.desks.items()}
        self.people = people
        self.visitors = {name: self._visitor(name, user) for name, user in people.items()}
        self.nobody = Visitor("nobody", app, None)

    def _lead(self, desk: str) -> User:
        return db.session.get_one(User, self.desks[desk].scene.lead_id)

    def _member(self, desk: str, role: MemberRole) -> User:
        user = person(Role.MERCHANT)
        store = db.session.get_one(Store, self.desks[desk].scene.store_id)
        db.session.add(MerchantMember(merchant_id=store.merchant_id, user_id=user.id, role=role.value))
        db.session.flush()
        return user

    def _visitor(self, name: str, user: User) -> Visitor:
        with transaction():
            return Visitor(name, self.app, user, get_access(user.id).permissions)

    def stranger_to(self, visitor: Visitor) -> str:
        """Somebody of the same kind elsewhere, else somebody of another kind: whose things are foreign."""
        of_this_side = {
            "another trader": "trader",
            "another lead": "lead",
            "another merchant's owner": "member: owner",
        }
        of_the_other = {here: there for there, here in of_this_side.items()}
        if visitor.name in of_this_side:
            return of_this_side[visitor.name]
        return of_the_other.get(
            visitor.name, "another merchant's owner" if "member" in visitor.name else "another trader"
        )

    def path(self, rule: Rule, owner: str) -> str:
        """The rule's path with the ids of what belongs to this person, or to their part of the house."""
        values = {name: self._object(rule, name, owner) for name in sorted(rule.arguments)}
        with self.app.test_request_context():
            adapter = self.app.url_map.bind("localhost")
            return adapter.build(rule.endpoint, values, method=next(iter(_methods(rule))))

    def _object(self, rule: Rule, name: str, owner: str) -> object:
        kind = "payout" if "/payouts/" in rule.rule else "payin"
        if name == "requisite_id" and rule.endpoint.startswith("trader."):
            return self._own_requisite(owner)
        key = (name, rule.endpoint if name == "key_id" else kind, owner)
        if key not in self._known:
            is_office = name in _OFFICE
            self._known[key] = (
                self._of_the_office(name, owner) if is_office else self._make(rule, name, kind, owner)
            )
        return self._known[key]

    def _make(self, rule: Rule, name: str, kind: str, owner: str) -> object:
        user = self.people[owner]
        if name in {"order_id", "receipt_id", "delivery_id"}:
            order_id, receipt_id = self._order(kind, owner)
            if name == "delivery_id":
                return self._delivery(order_id)
            return receipt_id if name == "receipt_id" else order_id
        makers: dict[str, Callable[[], object]] = {
            "view_id": lambda: self._saved_view(user),
            "session_id": lambda: self._session(user),
            "notification_id": lambda: self._notification(user),
            "family_id": lambda: self._family(user),
            "token": lambda: "no-such-token",
            "queue": lambda: "mail",
            "error_id": self._error,
        }
        if name == "key_id":
            return self._api_key(owner) if rule.endpoint.startswith("tokens.") else self._passkey(user)
        if name in makers:
            return makers[name]()
        raise KeyError(f"{rule.rule}: teach tests/access/world.py whose {name} this is")

    def _of_the_office(self, name: str, owner: str) -> object:
        """What the administrators' pages are about: never themselves, since nobody does that to themselves."""
        desk, user = (
            self.desks["another trader" if owner.startswith("another") else "trader"],
            self.people["support"],
        )
        ids = {
            "requisite_id": desk.requisite.id,
            "person_id": user.id,
            "trader_id": desk.trader.id,
            "team_id": desk.scene.team_id,
        }
        if name in ids:
            return ids[name]
        with transaction():
            if name == "entry_id":
                record_audit("setting.changed", actor=SYSTEM, subject=("setting", owner), after={"value": 1})
                return hot("SELECT max(id) AS id FROM audit_entry")[0]["id"]
            if name == "merchant_id":
                return db.session.get_one(Store, desk.scene.store_id).merchant_id
            if name == "invitation_id":
                create_invitation(f"{uuid.uuid4().hex}@example.test", [Role.SUPPORT], invited_by=SYSTEM)
                return list_invitations()[0].id
            if name == "document_id":
                kept = CleanFile(b"x", "image/jpeg", uuid.uuid4().bytes * 2)
                return add_document(
                    desk.trader.id, kept, DocumentKind.OTHER, actor=Actor(ActorKind.ADMIN, user.id)
                ).id
            asker, whom = person(Role.ADMIN), person(Role.SUPPORT)
            change = AccessChange(grant={Permission.PAYIN_CONFIRM: Reach.ALL})
            request_id = change_access(whom.id, change, "Matrix", actor=Actor(ActorKind.ADMIN, asker.id))
            assert request_id is not None
            return request_id

    def _order(self, kind: str, owner: str) -> tuple[uuid.UUID, uuid.UUID]:
        """An order of this side of the world, and its receipt."""
        side = "another trader" if owner.startswith("another") else "trader"
        if (side, kind) not in self._orders:
            desk = self.desks[side]
            order = desk.payout(accepted=True) if kind == "payout" else desk.payin(claimed=True)
            receipt = desk.receipt(order).id if kind == "payin" else order.id
            self._orders[side, kind] = (order.id, receipt)
        return self._orders[side, kind]

    def _error(self) -> int:
        now = datetime.now(UTC)
        with transaction():
            add_reports(
                [Counted("Broken", uuid.uuid4().hex, "matrix", "ERROR", now, now, "words")],
                role="web", release="",
            )  # fmt: skip
            return int(hot("SELECT max(id) AS id FROM error_report")[0]["id"])

    def _session(self, user: User) -> uuid.UUID:
        with transaction():
            return start_session(user.id, None, None, TIMES).id

    def _family(self, user: User) -> uuid.UUID:
        with transaction():
            return start_personal_family(user.id, Audience.MERCHANT, 3600)[0].id

    def _saved_view(self, user: User) -> uuid.UUID:
        with transaction():
            save_view(user.id, "merchant.orders", "Mine", "status=completed")
            return list_views(user.id, "merchant.orders")[0].id

    def _own_requisite(self, owner: str) -> uuid.UUID:
        """One that a route may archive without taking the desk's own from the others."""
        desk = self.desks["another trader" if owner.startswith("another") else "trader"]
        if owner not in self._spare:
            self._spare[owner] = desk.scene.requisite(desk.trader, on=False).id
        return self._spare[owner]

    def _delivery(self, order_id: uuid.UUID) -> uuid.UUID:
        """What the order's store was told when it was created, sent to an endpoint of its own."""
        with transaction():
            event = hot("SELECT id, store_id FROM event WHERE subject_id = %(id)s LIMIT 1", {"id": order_id})[
                0
            ]
            endpoint, _ = set_endpoint(event["store_id"], Mode.LIVE, EndpointUrl("https://shop.example/hook"))
            sql = "INSERT INTO webhook_delivery (id, endpoint_id, event_id) VALUES (%(id)s, %(endpoint)s, %(event)s)"
            sql += " ON CONFLICT (endpoint_id, event_id) DO UPDATE SET state = 'pending' RETURNING id"
            values = {"id": new_id(), "endpoint": endpoint.id, "event": event["id"]}
            return uuid.UUID(str(hot(sql, values)[0]["id"]))

    def _notification(self, user: User) -> uuid.UUID:
        about = uuid.uuid4().hex
        with transaction():
            params = {"device": "Firefox", "ip": "203.0.113.7", "at": "2026-01-01T00:00:00+00:00"}
            notify([user.id], NotificationKind.NEW_DEVICE, params, "/account/security", about=about)
            sql = "SELECT id FROM notification WHERE about = %(about)s"
            return uuid.UUID(str(hot(sql, {"about": about})[0]["id"]))

    def _api_key(self, owner: str) -> uuid.UUID:
        """Of the store on this side of the world."""
        desk = self.desks["another trader" if owner.startswith("another") else "trader"]
        with transaction():
            return issue_api_key(desk.scene.store_id, Mode.TEST, "Matrix", [Scope.ORDERS_READ])[0].id

    def _passkey(self, user: User) -> uuid.UUID:
        key_id = new_id()
        with transaction():
            hot(
                "INSERT INTO passkey (id, user_id, name, credential_id, public_key, sign_count)"
                " VALUES (%(id)s, %(user)s, 'Key', %(cred)s, %(cred)s, 0)",
                {"id": key_id, "user": user.id, "cred": key_id.bytes},
            )
        return key_id

    def state(self, *, but: str = "") -> list[str]:
        """What a refused request must leave as it was, in each table `but` one."""
        # When somebody was last seen is no change that a route made.
        tables = ("orders", "order_event", "ledger_posting", "passkey", "notification", "trader", "user_session",
                  "users", "user_role", "permission_grant", "merchant_member", "api_key", "refresh_token", "saved_view")  # fmt: skip
        sums = """(SELECT md5(coalesce(string_agg(row, '' ORDER BY row), ''))
                     FROM (SELECT (to_jsonb(t) - 'last_seen_at')::text AS row FROM {} t) t)"""
        summed = ", ".join(sums.format(table) for table in tables if table != but)
        with transaction():
            return list(hot(f"SELECT ARRAY[{summed}] AS sums")[0]["sums"])


def _methods(rule: Rule) -> Iterator[str]:
    return iter(sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}))


def methods_of(rule: Rule) -> list[str]:
    return list(_methods(rule))


def nobody_knows(path: str) -> str:
    """The same path with ids that nothing has."""
    unknown = str(uuid.uuid4())
    path = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", unknown, path)
    return re.sub(r"\b(ord|rcp)_[0-9a-z]{26}", lambda found: public_id(found[1], uuid.uuid4()), path)
