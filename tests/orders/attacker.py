"""Who tries to freeze the house or to collect its requisites, and the house that they try it on."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from portal.core.actors import SYSTEM
from portal.core.db import hot, transaction
from portal.reference import configuration as config
from portal.reference import setting_changes
from tests.scene import USDT, Scene


@dataclass
class Attacker:
    """Somebody with one live key of one store, and nothing else."""

    app: Flask
    scene: Scene
    key: str

    def post(self, path: str, body: dict[str, Any], *, idem: str | None = None) -> TestResponse:
        headers = {
            "Authorization": f"Bearer {self.key}", "Content-Type": "application/json",
            "Idempotency-Key": idem or uuid.uuid4().hex,
        }  # fmt: skip
        with self.app.app_context():
            return self.app.test_client().post(path, headers=headers, data=json.dumps(body))

    def create(self, amount: str, *, idem: str | None = None, **more: Any) -> TestResponse:
        body = {"direction": "payin", "amount": amount, "currency": "RUB", "method": "card"} | more
        return self.post("/api/v1/orders", body, idem=idem)

    def choose(self, order: dict[str, Any]) -> TestResponse:
        return self.post(f"/api/v1/orders/{order['id']}/method", {"method": "card"})

    def claim(self, order: dict[str, Any]) -> TestResponse:
        return self.post(f"/api/v1/orders/{order['id']}/claim", {})

    def cancel(self, order: dict[str, Any]) -> TestResponse:
        return self.post(f"/api/v1/orders/{order['id']}/cancel", {})


def house(scene: Scene, traders: int, deposit: int, requisites: int) -> int:
    """Traders with deposits (units) and as many requisites in all; what they have is free. What all can hold, in units."""
    for n in range(traders):
        trader = scene.trader(deposit_minor=deposit * USDT)
        if its := len(range(n, requisites, traders)):
            scene.copies_of(scene.requisite(trader), its - 1)
    config.snapshot.forget()
    return traders * deposit


def held(scene: Scene) -> int:
    """What the store's payins hold of deposits, by the orders themselves, in minor units."""
    sql = "SELECT coalesce(sum(hold_minor), 0)::bigint AS n FROM orders WHERE store_id = %(id)s"
    with transaction():
        return int(hot(sql, {"id": scene.store_id})[0]["n"])


def allow(**settings: int) -> None:
    with transaction():
        for key, value in settings.items():
            setting_changes.set_value(f"exposure_{key}", value, SYSTEM)
