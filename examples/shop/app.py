"""A shop that takes payments through Nostro: copy from it what you need.

Five things matter, and each is marked below:
  1. the order is created with an Idempotency-Key, so that a retry never makes a second one;
  2. what is paid is learnt from the signed webhook, never from the customer coming back;
  3. webhooks may come twice or in the wrong order: `webhook-id` tells, and `version` with `sequence`;
  4. amounts are strings, and compared with what the shop asked for;
  5. a new webhook address is asked whether it wants to be called, and gives the challenge back.
"""

from __future__ import annotations

import os
import sqlite3
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
from flask import Flask, abort, current_app, g, redirect, render_template, request, url_for
from standardwebhooks import Webhook, WebhookVerificationError
from werkzeug.wrappers import Response

PRODUCTS = {
    "mug": {"name": "Enamel mug", "text": "For tea by the fire.", "amount": "1490.00", "currency": "RUB"},
    "socks": {"name": "Wool socks", "text": "Warm, grey, honest.", "amount": "990.00", "currency": "RUB"},
    "lamp": {"name": "Desk lamp", "text": "Brass, with a long arm.", "amount": "7450.00", "currency": "RUB"},
    "book": {
        "name": "Field notebook",
        "text": "Ninety-six dotted pages.",
        "amount": "12.50",
        "currency": "EUR",
    },
    "tea": {"name": "Assam tea", "text": "250 g, second flush.", "amount": "640.00", "currency": "INR"},
    "felt": {"name": "Felt slippers", "text": "From Almaty.", "amount": "8900.00", "currency": "KZT"},
}
# What the shop says for each status of the order.
STATES = {
    "new": ("We are asking for a place to pay", "wait"),
    "unreachable": ("We could not reach the payment service. You have not been charged; try again.", "bad"),
    "refused": ("This purchase can't be paid for at present. You have not been charged.", "bad"),
    "review": ("Your payment is being checked", "wait"),
    "matching": ("Choose how to pay", "wait"),
    "awaiting_payment": ("Waiting for your payment", "wait"),
    "awaiting_confirmation": ("You have said that you paid; we wait for the confirmation", "wait"),
    "completed": ("Paid. Thank you!", "good"),
    "underpaid": ("Less came than the price. Our support will write to you.", "bad"),
    "expired": ("The time to pay is over", "bad"),
    "cancelled": ("Cancelled", "bad"),
    "failed": ("Nobody could take this payment. You have not been charged.", "bad"),
    "disputed": ("The payment is being looked into", "wait"),
}

SCHEMA = """
CREATE TABLE IF NOT EXISTS purchase (
  id TEXT PRIMARY KEY, sku TEXT NOT NULL, amount TEXT NOT NULL, currency TEXT NOT NULL,
  status TEXT NOT NULL DEFAULT 'new', version INTEGER NOT NULL DEFAULT 0, sequence INTEGER NOT NULL DEFAULT 0,
  payment_url TEXT, amount_received TEXT, created_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS heard (webhook_id TEXT PRIMARY KEY, type TEXT NOT NULL, purchase_id TEXT, at REAL NOT NULL);
"""


def create_app() -> Flask:
    app = Flask(__name__)
    app.config.update(
        NOSTRO_URL=os.environ["NOSTRO_URL"].rstrip("/"),
        NOSTRO_API_KEY=os.environ["NOSTRO_API_KEY"],
        NOSTRO_WEBHOOK_SECRET=os.environ["NOSTRO_WEBHOOK_SECRET"],
        SHOP_URL=os.environ["SHOP_URL"].rstrip("/"),
        DATABASE=os.environ.get("SHOP_DATABASE", str(Path(__file__).with_name("shop.sqlite3"))),
        MAX_CONTENT_LENGTH=256 * 1024,
    )
    with sqlite3.connect(app.config["DATABASE"]) as connection:
        connection.executescript(SCHEMA)
        if "sequence" not in {column[1] for column in connection.execute("PRAGMA table_info(purchase)")}:
            connection.execute("ALTER TABLE purchase ADD COLUMN sequence INTEGER NOT NULL DEFAULT 0")
    app.teardown_appcontext(_close)
    app.add_url_rule("/", "products", show_products)
    app.add_url_rule("/purchases", "buy", buy, methods=["POST"])
    app.add_url_rule("/purchases/<uuid:purchase_id>", "purchase", show_purchase)
    app.add_url_rule("/webhooks/nostro", "webhook", hear, methods=["POST"])
    app.add_url_rule("/healthz", "healthz", lambda: {"status": "ok", "service": "nostro-example-shop"})
    return app


def database() -> sqlite3.Connection:
    """One connection for each request; commits by itself after each statement."""
    if "database" not in g:
        g.database = sqlite3.connect(current_app.config["DATABASE"], isolation_level=None, timeout=5)
        g.database.row_factory = sqlite3.Row
    return g.database


def _close(_error: BaseException | None) -> None:
    connection = g.pop("database", None)
    if connection is not None:
        connection.close()


def show_products() -> str:
    # Each form has its own purchase id: pressing the button twice buys once.
    offers = [{"sku": sku, "purchase": str(uuid.uuid4()), **product} for sku, product in PRODUCTS.items()]
    return render_template("products.html", offers=offers)


def buy() -> Response:
    product = PRODUCTS.get(request.form.get("sku", ""))
    try:
        purchase_id = str(uuid.UUID(request.form.get("purchase", "")))
    except ValueError:
        abort(400)
    if product is None:
        abort(404)
    database().execute(
        "INSERT OR IGNORE INTO purchase (id, sku, amount, currency, created_at) VALUES (?, ?, ?, ?, ?)",
        (purchase_id, request.form["sku"], product["amount"], product["currency"], time.time()),
    )
    payment_url = create_order(purchase_id, product)
    return redirect(payment_url or url_for("purchase", purchase_id=purchase_id), 303)


def create_order(purchase_id: str, product: dict[str, str]) -> str | None:
    """Create the order at Nostro; the address of its payment page, or None when that was not possible."""
    config = current_app.config
    body: dict[str, Any] = {
        "direction": "payin",
        "amount": product["amount"],
        "currency": product["currency"],
        "external_id": purchase_id,
        "description": product["name"],
        "return_url": f"{config['SHOP_URL']}/purchases/{purchase_id}",
        "customer": {"ip": request.remote_addr},
    }
    headers = {
        "Authorization": f"Bearer {config['NOSTRO_API_KEY']}",
        # (1) The same key on every attempt: whatever got lost on the way, there is one order.
        "Idempotency-Key": purchase_id,
    }
    status = "unreachable"
    for attempt in range(3):
        try:
            answer = httpx.post(
                f"{config['NOSTRO_URL']}/api/v1/orders", json=body, headers=headers, timeout=10
            )
        except httpx.TransportError:
            time.sleep(0.3 * 2**attempt)
            continue
        if answer.status_code == 201:
            order = answer.json()
            _remember(order, order["version"], 0)
            return str(order["payment_url"])
        current_app.logger.warning("Nostro answered %s: %s", answer.status_code, answer.text)
        status = "refused"
        if answer.status_code not in {409, 429, 503}:
            break
        time.sleep(min(float(answer.headers.get("Retry-After", 1)), 3))
    database().execute("UPDATE purchase SET status = ? WHERE id = ? AND version = 0", (status, purchase_id))
    return None


def _remember(order: dict[str, Any], version: int, sequence: int) -> None:
    """Take over what Nostro says of an order, unless something newer is known already."""
    status = order["status"]
    purchase = database().execute("SELECT * FROM purchase WHERE id = ?", (order["external_id"],)).fetchone()
    if purchase is None:
        return
    if status == "completed" and _as_cents(order["amount_received"]) < _as_cents(purchase["amount"]):
        # (4) Another amount may have been received: deliver only what was paid for.
        status = "underpaid"
    # (3) `version` grows with every change, `sequence` with every message of one: an older message never overwrites
    # a newer one, and none is taken for an older one.
    database().execute(
        "UPDATE purchase SET status = ?, version = ?, sequence = ?, amount_received = ?,"
        " payment_url = coalesce(?, payment_url) WHERE id = ? AND (version, sequence) < (?, ?)",
        (status, version, sequence, order["amount_received"], order["payment_url"], purchase["id"], version, sequence),
    )  # fmt: skip


def _as_cents(amount: str | None) -> int:
    """All currencies of this shop have two decimals."""
    whole, _, fraction = (amount or "0").partition(".")
    return int(whole) * 100 + int(fraction.ljust(2, "0")[:2])


def show_purchase(purchase_id: uuid.UUID) -> str:
    # (2) The customer coming back proves nothing: the page shows what the webhooks have told.
    purchase = database().execute("SELECT * FROM purchase WHERE id = ?", (str(purchase_id),)).fetchone()
    if purchase is None:
        abort(404)
    sentence, tone = STATES.get(purchase["status"], (purchase["status"], "wait"))
    heard = (
        database()
        .execute("SELECT * FROM heard WHERE purchase_id = ? ORDER BY at", (purchase["id"],))
        .fetchall()
    )
    return render_template(
        "purchase.html",
        purchase=purchase,
        product=PRODUCTS[purchase["sku"]],
        sentence=sentence,
        tone=tone,
        heard=heard,
    )


def hear() -> tuple[str, int]:
    """The webhook. Answers fast: 2xx once it is remembered, anything else makes Nostro send it again."""
    body = request.get_data()
    try:
        message = Webhook(current_app.config["NOSTRO_WEBHOOK_SECRET"]).verify(body, dict(request.headers))
    except (WebhookVerificationError, ValueError):
        return "The signature is wrong.", 400
    data = message["data"]
    if message["type"] == "endpoint.verification":
        # (5) The address is ours and wants to be called: the challenge goes back, and events begin to come.
        return data["challenge"], 200
    if data.get("object") == "order" and data.get("direction") == "payin":
        _remember(data, message["version"], message["sequence"])
    # (3) The same webhook-id may come again; taking it in twice changes nothing, and it is listed once.
    database().execute(
        "INSERT OR IGNORE INTO heard (webhook_id, type, purchase_id, at) VALUES (?, ?, ?, ?)",
        (request.headers["webhook-id"], message["type"], data.get("external_id"), time.time()),
    )
    return "", 204
