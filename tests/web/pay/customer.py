"""A customer in front of their payment page, and the shop they came from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from flask.testing import FlaskClient
from PIL import Image, ImageDraw
from werkzeug.test import TestResponse

from portal.core.crypto import derived_token
from portal.core.db import hot, transaction
from portal.orders.queries import get_order
from portal.orders.record import OrderRecord
from portal.orders.service.deadlines import act_on_deadline
from portal.web.pay import guard
from tests.scene import Scene, build_scene

_CSRF = re.compile(r'name="csrf_token" value="([^"]+)"')


def picture(text: str = "1500.00", kind: str = "PNG") -> bytes:
    """A screenshot as a bank's app makes it."""
    image = Image.new("RGB", (360, 640), "white")
    draw = ImageDraw.Draw(image)
    for line in range(12):
        draw.text((20 + 17 * line % 120, 20 + 50 * line), f"{text} {line}", fill="black", font_size=32)
    output = BytesIO()
    image.save(output, kind)
    return output.getvalue()


@dataclass
class Customer:
    """One browser on one order's page."""

    client: FlaskClient
    order: OrderRecord

    @property
    def token(self) -> str:
        return derived_token("payment", self.order.id)

    def get(self, path: str = "", **options: Any) -> TestResponse:
        return self.client.get(f"/pay/{self.token}{path}", **options)

    def post(
        self, path: str, data: dict[str, Any] | None = None, *, csrf: bool = True, **options: Any
    ) -> TestResponse:
        fields = dict(data or {})
        if csrf:
            fields["csrf_token"] = guard.csrf_token(self.token)
        return self.client.post(f"/pay/{self.token}{path}", data=fields, **options)

    def token_in_page(self) -> str:
        """What a browser would send back."""
        found = _CSRF.search(self.get().text)
        assert found is not None
        return found[1]

    def now(self) -> OrderRecord:
        """The order as it is stored."""
        with transaction():
            return get_order(self.order.id)

    def events(self) -> list[str]:
        with transaction():
            rows = hot(
                "SELECT event FROM order_event WHERE order_id = %(id)s ORDER BY id", {"id": self.order.id}
            )
        return [row["event"] for row in rows]

    def dispute(self) -> dict[str, Any] | None:
        with transaction():
            rows = hot("SELECT * FROM dispute WHERE order_id = %(id)s", {"id": self.order.id})
        assert len(rows) < 2
        return rows[0] if rows else None

    def receipts(self) -> list[dict[str, Any]]:
        with transaction():
            return hot("SELECT * FROM receipt WHERE order_id = %(id)s", {"id": self.order.id})

    def drive(self, verb: Any, *args: Any, **options: Any) -> None:
        """Let somebody else act on the order."""
        with transaction():
            verb(get_order(self.order.id, lock=True), *args, **options)

    def run_out(self) -> None:
        """The deadline passes and the clock acts."""
        with transaction():
            hot(
                "UPDATE orders SET due_at = now() - interval '1 second' WHERE id = %(id)s",
                {"id": self.order.id},
            )
        self.drive(act_on_deadline)


def make_scene() -> Scene:
    """Call inside an app context: a store that can sell in roubles."""
    guard._misses.forget()
    guard._visits.forget()
    with transaction():
        return build_scene()
