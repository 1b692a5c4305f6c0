"""What each payin asks for is looked up by the index that is meant, also on a connection that planned for small tables."""

from __future__ import annotations

import uuid

import pytest

from portal.core.db import hot, transaction
from portal.core.ids import new_id
from tests.rows import change
from tests.scene import Customer, Scene

_SCANS = """
SELECT c.relname AS name, pg_stat_get_xact_numscans(c.oid) AS scans FROM pg_class c
  JOIN pg_index i ON i.indexrelid = c.oid WHERE i.indrelid = 'orders'::regclass
"""
_ASK = """
SELECT * FROM exposure_of_payer('live', %(store)s, %(customer)s, %(network)s::cidr, %(order)s, 1,
                                ARRAY[100, 100000000000, 100, 100]::bigint[])
"""


def scans() -> dict[str, int]:
    return {row["name"]: row["scans"] for row in hot(_SCANS)}


def orders_of_other_stores(like: uuid.UUID, stores: int) -> None:
    """One order each, so that the planner takes a store's orders to be as few as a customer's."""
    change(
        """INSERT INTO orders SELECT (jsonb_populate_record(o, jsonb_build_object(
             'id', gen_random_uuid(), 'store_id', gen_random_uuid(), 'requisite_id', gen_random_uuid(),
             'token_hash', gen_random_uuid()))).* FROM orders o, generate_series(1, %(stores)s::int) WHERE o.id = %(like)s""",
        {"like": like, "stores": stores},
    )


@pytest.mark.parametrize("stores", [0, 19, 300])
@pytest.mark.parametrize(
    ("customer", "network", "meant"),
    [
        ("c-1", None, {"ix_orders_open_customer", "ix_orders_customer_store"}),
        (None, "203.0.113.0/24", {"ix_orders_open_network", "ix_orders_network_store"}),
    ],
)
def test_limits_of_a_payer_never_read_a_stores_other_orders(
    scene: Scene, customer: str | None, network: str | None, meant: set[str], stores: int
) -> None:
    scene.requisite(scene.trader())
    for n in range(20):
        order = scene.payin(500_00 + n, customer=Customer(id=f"c-{100 + n}", ip=f"198.51.{n}.1"))
    orders_of_other_stores(order.id, stores)
    asked = {"store": scene.store_id, "customer": customer, "network": network, "order": new_id()}
    with transaction():
        hot("ANALYZE orders")
        hot("DISCARD PLANS")
        hot("SET LOCAL plan_cache_mode = force_generic_plan")
        hot(_ASK, asked)
        before = scans()
        hot(_ASK, asked)
        after = scans()
    assert {name for name in after if after[name] > before[name]} == meant
