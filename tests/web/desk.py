"""A trader's desk as tests use it: Tara with a store that only she serves, and browsers that sign in.

Everything is committed for real, since each request has a session of its own; every desk has a store, a
trader and numbers of its own, so that tests do not meet.
"""

from __future__ import annotations

import io
import random
import re
import uuid
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.test import TestResponse

from portal.core.actors import CUSTOMER, SYSTEM
from portal.core.crypto import derived_token
from portal.core.db import db, hot, transaction
from portal.core.ids import public_id
from portal.core.uploads.check import CleanFile, check_upload
from portal.identity.models import Role, User
from portal.identity.queries import find_session
from portal.identity.service import create_user
from portal.identity.tokens.sessions import NewSession, SessionTimes, raise_session, start_session
from portal.ledger.models import AccountKind
from portal.merchants.service import set_traffic_rule
from portal.orders.models import ReceiptKind, Status
from portal.orders.queries import get_order
from portal.orders.receipts import ReceiptRecord, add_receipt
from portal.orders.record import OrderRecord
from portal.orders.service import accept_payout, claim_payin
from portal.orders.service.claim import PayerDetails
from portal.orders.service.deadlines import act_on_deadline
from portal.traders.models import Requisite, Trader
from portal.web.shell.security import session_cookie
from tests.scene import Scene, as_trader, build_scene
from tests.sent_files import LARGEST

PASSWORD = "correct horse battery"
HTMX = {"HX-Request": "true"}


def new_user(*roles: Role, email: str | None = None, **options: Any) -> User:
    with transaction():
        return create_user(email or f"{uuid.uuid4().hex}@example.test", "Tara", PASSWORD, roles, **options)


def picture(seed: int = 0) -> bytes:
    """Unlike that of any other seed, with something to be seen on it, and large enough for a proof."""
    drawn = random.Random(seed)
    image = Image.new("RGB", (8, 8))
    image.putdata([(drawn.randrange(256), drawn.randrange(256), drawn.randrange(256)) for _ in range(64)])
    stream = io.BytesIO()
    image.resize((256, 256), Image.Resampling.NEAREST).save(stream, "PNG")
    return stream.getvalue()


@cache
def upload(seed: int = 0) -> CleanFile:
    """The picture as it may be kept; read once, since that takes a process."""
    return check_upload(picture(seed), LARGEST, uploader="test")


@dataclass
class Browser:
    """One browser with its cookies; `post` takes the form's token from the queue as a page would."""

    client: FlaskClient
    token: str = ""

    def open(self, method: str, path: str, **options: Any) -> TestResponse:
        # A context of its own, as a server gives each request: nothing carries over in g or in the session.
        with self.client.application.app_context():
            return self.client.open(path, method=method, **options)

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.open("GET", path, **options)

    def read_token(self, path: str) -> str:
        page = self.get(path).get_data(as_text=True)
        found = re.search(r'name="csrf_token" value="([^"]+)"', page)
        assert found, page[:500]
        self.token = found[1]
        return self.token

    def sign_in(self, email: str, password: str = PASSWORD, next_page: str = "") -> TestResponse:
        token = self.read_token("/sign-in")
        answer = self.open(
            "POST",
            "/sign-in",
            data={"csrf_token": token, "email": email, "password": password, "next": next_page},
        )
        if answer.status_code == 303:
            self.read_token("/account")
        return answer

    def begin_session(self, user: User) -> None:
        """As the sign-in page does it at its end; that page has tests of its own."""
        with transaction():
            session = start_session(user.id, "127.0.0.1", None, SessionTimes(absolute_s=3600))
        self._is_in(session)

    def prove(self) -> None:
        """As `/sudo` does it at its end; that page has tests of its own."""
        cookie = self.client.get_cookie(session_cookie())
        assert cookie is not None
        seen = find_session(cookie.value, 3600)
        assert seen is not None
        with transaction():
            raised = raise_session(
                seen.session_id, seen.user_id, SessionTimes(3600), with_factor=False, is_proof=True
            )
        self._is_in(raised)

    def _is_in(self, session: NewSession) -> None:
        """With the token that every form of this session's pages holds: `read_token` is for tests of that."""
        self.client.set_cookie(session_cookie(), session.token)
        self.token = derived_token("form", session.id)

    def post(self, path: str, data: dict[str, Any] | None = None, *, htmx: bool = True) -> TestResponse:
        return self.open(
            "POST",
            path,
            data={"csrf_token": self.token} | (data or {}),
            headers=HTMX if htmx else {},
            content_type="multipart/form-data"
            if any(isinstance(v, tuple) for v in (data or {}).values())
            else None,
        )


@dataclass
class Desk:
    app: Flask
    scene: Scene
    trader: Trader
    requisite: Requisite
    user: User
    browser: Browser = field(init=False)

    def __post_init__(self) -> None:
        self.browser = self.new_browser()
        self.browser.begin_session(self.user)

    def new_browser(self) -> Browser:
        return Browser(self.app.test_client())

    def payin(self, amount_minor: int = 1500_00, *, claimed: bool = False) -> OrderRecord:
        order = self.scene.payin(amount_minor)
        assert order.status == Status.AWAITING_PAYMENT, order.match_trace
        return self.claim(order) if claimed else order

    def claim(self, order: OrderRecord) -> OrderRecord:
        with transaction():
            payer = PayerDetails("IVAN I.", "4242", "T-Bank", None)
            return claim_payin(get_order(order.id, lock=True), payer, actor=CUSTOMER)

    def expired(self, amount_minor: int = 1500_00) -> OrderRecord:
        order = self.payin(amount_minor)
        with transaction():
            return act_on_deadline(get_order(order.id, lock=True))

    def payout(self, amount_minor: int = 3000_00, *, accepted: bool = False) -> OrderRecord:
        with transaction():
            self.scene.fund_store()
        order = self.scene.payout(amount_minor)
        if accepted:
            with transaction():
                return accept_payout(self.trader.id, order.id, actor=as_trader(self.trader))
        return order

    def receipt(self, order: OrderRecord, seed: int = 0) -> ReceiptRecord:
        with transaction():
            return add_receipt(
                get_order(order.id, lock=True), upload(seed), ReceiptKind.PAYMENT, actor=CUSTOMER
            )

    def now(self, order: OrderRecord) -> OrderRecord:
        with transaction():
            return get_order(order.id)

    def balances(self) -> tuple[int, int, int]:
        """The trader's available, held and fiat."""
        with transaction():
            kinds = (AccountKind.AVAILABLE, AccountKind.HELD, AccountKind.FIAT)
            available, held, fiat = (self.scene.trader_balance(self.trader, kind) for kind in kinds)
        return available, held, fiat

    def ledger_sum(self, order: OrderRecord) -> dict[str, int]:
        """What all postings of the order sum to, by currency: nothing else than 0 is right."""
        sql = """SELECT p.currency, sum(p.amount)::bigint AS total FROM ledger_posting p
                   JOIN ledger_entry e ON e.id = p.entry_id WHERE e.subject_id = %(id)s GROUP BY 1"""
        with transaction():
            return {row["currency"]: row["total"] for row in hot(sql, {"id": order.id})}

    def count_steps(self, order: OrderRecord) -> int:
        with transaction():
            return int(
                hot("SELECT count(*) AS n FROM order_event WHERE order_id = %(id)s", {"id": order.id})[0]["n"]
            )


def path_of(order: OrderRecord, action: str) -> str:
    kind = "payins" if order.is_payin else "payouts"
    return f"/trader/{kind}/{public_id('ord', order.id)}/{action}"


def open_desk(app: Flask, **limits: Any) -> Desk:
    user = new_user(Role.TRADER)
    with transaction():
        scene = build_scene()
    with transaction():
        trader = scene.trader()
        trader.user_id = user.id
        db.session.flush()
        requisite = scene.requisite(trader, **limits)
        set_traffic_rule(scene.store_id, trader.id, "pin", actor=SYSTEM)
    return Desk(app, scene, trader, requisite, user)
