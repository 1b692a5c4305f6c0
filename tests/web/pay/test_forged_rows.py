"""A payment page opens by the link that the house made for its order, whatever hash the order's row has."""

from __future__ import annotations

from hashlib import sha256

import pytest

from portal.core.db import hot, transaction
from tests.web.pay.customer import Customer


@pytest.mark.proves("tried A6")
def test_a_hash_written_into_the_order_is_no_link_to_its_page(customer: Customer) -> None:
    mine = "a" * 26
    assert customer.get("/status?version=0").status_code == 200
    with transaction():
        values = {"hash": sha256(mine.encode()).digest(), "id": customer.order.id}
        hot("UPDATE orders SET token_hash = %(hash)s WHERE id = %(id)s", values)
    for path in ("", "/status?version=0"):
        assert customer.client.get(f"/pay/{mine}{path}").status_code == 404
