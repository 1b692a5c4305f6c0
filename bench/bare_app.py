"""The bare route: Flask around the floor's SQL, and nothing of ours. Same server, same clients, same pool size."""

from __future__ import annotations

import hashlib
import itertools
import os
import threading
import uuid
from typing import cast

import psycopg
from flask import Flask, Response, request
from psycopg.types.numeric import Int8Dumper

from bench import bare_page
from bench.stage import ROOT

psycopg.adapters.register_dumper(int, Int8Dumper)
app = Flask(__name__, template_folder=str(ROOT / "templates"))
_local = threading.local()


def connection() -> psycopg.Connection[tuple[object, ...]]:
    """One connection for each thread, as many as our pool has."""
    if not hasattr(_local, "connection"):
        dsn = os.environ["BENCH_FLOOR_DSN"]
        _local.connection = psycopg.connect(dsn, autocommit=True, prepare_threshold=2)
    return cast("psycopg.Connection[tuple[object, ...]]", _local.connection)


_CREATE = (
    "SELECT create_payin(%s, %s, %s, %s, %s, %s, %s, %s, 95000000, %s::int, %s, %s, %s::jsonb, %s) AS number"
)
_CONFIRM = "SELECT confirm_payin(%s, %s, %s, %s, %s, %s, %s::jsonb)"
_starts = itertools.count(0, 104729)


@app.post("/orders")
def create() -> Response:
    key = request.headers["Idempotency-Key"]
    body = request.get_json()
    whole, _, fraction = body["amount"].partition(".")
    amount = int(whole) * 100 + int(fraction or "0")
    # As our pricing rounds: the settlement half-even (95 is odd: no ties), the fee of 3 % half-up.
    settlement = (amount * 10_000 * 2 + 95) // (2 * 95)
    order_id, written = uuid.uuid4(), body["amount"]
    data = f'{{"id": "{order_id}", "amount": "{written}", "status": "awaiting_payment"}}'
    values = (
        order_id, uuid.UUID(body["store"]), body["external_id"], key,
        hashlib.sha256(request.get_data()).digest(), amount, settlement, (settlement * 600 + 10_000) // 20_000,
        next(_starts) % 2**31, order_id.bytes, uuid.uuid4(), data, data.encode(),
    )  # fmt: skip
    row = connection().execute(_CREATE, values).fetchone()
    assert row is not None
    return Response(data, status=201, mimetype="application/json")


@app.post("/confirm")
def confirm() -> Response:
    body = request.get_json()
    values = (
        uuid.UUID(body["order"]), uuid.UUID(body["trader"]), body["store_available"], body["revenue"],
        body["world"], uuid.uuid4(), '{"status": "completed"}',
    )  # fmt: skip
    row = connection().execute(_CONFIRM, values).fetchone()
    assert row is not None
    status = 200 if row[0] == "completed" else 409
    return Response('{"status": "completed"}', status=status, mimetype="application/json")


bare_page.register(app, os.environ.get("BENCH_BANKS", "").split("|"))


@app.get("/healthz")
def healthz() -> str:
    return "ok"
