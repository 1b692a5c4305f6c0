"""The simulated shop: the merchant's API, with one key."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import httpx

from portal.reference.example_numbers import example_number
from portal.simulator.browser import Refused
from portal.simulator.plans import Fate, Plan, as_text
from portal.simulator.tally import Tally

# A run has its own, so many that none comes back often enough within an hour to meet the limits of one customer.
CUSTOMERS = 99_991
RETRIED = frozenset({429, 503})


class Shop:
    """Safe for many threads (httpx's client is)."""

    def __init__(self, base_url: str, api_key: str, run: str, tally: Tally) -> None:
        self._client = httpx.Client(
            base_url=f"{base_url}/api/v1", headers={"Authorization": f"Bearer {api_key}"}, timeout=20
        )
        self._run, self._tally = run, tally

    def create(self, plan: Plan) -> dict[str, Any]:
        """Create the plan's order. Raises Refused."""
        return self._post("/orders", order_body(plan, self._run), f"{self._run}-{plan.number}", "create")

    def confirm_payout(self, order_id: str) -> dict[str, Any]:
        return self._post(f"/orders/{order_id}/confirm", {}, f"{self._run}-{order_id}", "payout confirmed")

    def read(self, order_id: str) -> dict[str, Any]:
        answer = self._client.get(f"/orders/{order_id}")
        if answer.status_code != 200:
            raise Refused(f"read: {answer.status_code}")
        return dict(answer.json())

    def statuses(self, order_ids: list[str]) -> Counter[str]:
        """How the orders of this run stand, direction and status."""
        wanted, found = set(order_ids), Counter[str]()
        cursor: str | None = None
        while wanted:
            params = {"limit": "100"} | ({"cursor": cursor} if cursor else {})
            page = self._client.get("/orders", params=params).json()
            for order in page["data"]:
                if order["id"] in wanted:
                    wanted.discard(order["id"])
                    found[f"{order['direction']} {order['status']}"] += 1
            cursor = page.get("next_cursor")
            if not cursor:
                break
        return found

    def _post(self, path: str, body: dict[str, Any], key: str, step: str) -> dict[str, Any]:
        for attempt in range(5):
            started = time.monotonic()
            try:
                answer = self._client.post(path, json=body, headers={"Idempotency-Key": key})
            except httpx.TransportError as error:
                # The same key: if the order was made after all, this gives it back.
                self._tally.error(f"{step}: {type(error).__name__}, repeated")
                time.sleep(0.2 * 2**attempt)
                continue
            self._tally.timed(step, time.monotonic() - started)
            if answer.status_code in {200, 201}:
                return dict(answer.json())
            if answer.status_code not in RETRIED:
                raise Refused(f"{step}: {answer.status_code} {answer.json().get('code', '')}".strip())
            time.sleep(min(float(answer.headers.get("Retry-After", 1)), 5))
        raise Refused(f"{step}: no answer")

    def close(self) -> None:
        self._client.close()


def order_body(plan: Plan, run: str) -> dict[str, Any]:
    """What the shop asks for: an order of this plan, of a customer of this run."""
    body: dict[str, Any] = {
        "direction": "payout" if plan.fate is Fate.PAYOUT else "payin",
        "amount": as_text(plan.amount_minor),
        "currency": plan.currency,
        "external_id": f"{run}-{plan.number}",
        "customer": {"id": f"{run}-customer-{plan.number % CUSTOMERS}"},
    }
    if plan.fate is Fate.PAYOUT:
        assert plan.method is not None
        number = example_number(plan.method, plan.currency, 500_000 + plan.number % 100_000)
        body["recipient"] = {
            "method": plan.method,
            "bank": plan.bank,
            "number": number,
            "holder": "IVAN P.",
        }
    elif plan.method is not None:
        body |= {"method": plan.method, "bank": plan.bank}
    return body
