"""open payins of a customer and a network are counted by an index of their own, claims by what customers say

Old code is not concerned. Orders wait for the lock of their table while claims are added up once.
"""

from __future__ import annotations

import re
from pathlib import Path

from alembic import op

revision = "0046"
down_revision = "0044"

_SQL = Path(__file__).resolve().parent.parent / "sql"
_INDEXES = {
    "ix_orders_customer_open": "store_id, customer_ref) WHERE direction = 'payin' AND hold_minor > 0 AND customer_ref IS NOT NULL",
    "ix_orders_network_open": "store_id, customer_network(customer_ip)) WHERE direction = 'payin' AND hold_minor > 0 AND customer_ip IS NOT NULL",
}
_CLAIMED = """
UPDATE exposure e SET claimed_minor = coalesce((
  SELECT sum(o.hold_minor) FROM orders o
   WHERE o.direction = 'payin' AND o.hold_minor > 0 AND o.status IN ('awaiting_confirmation', 'disputed') {claimed}
     AND o.store_id = e.store_id AND o.mode = e.mode AND o.settlement_currency = e.currency
     AND exposure_slot(o.id) = e.slot), 0)
"""


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for name, columns in _INDEXES.items():
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON orders ({columns}")
    op.execute("LOCK TABLE orders IN SHARE ROW EXCLUSIVE MODE")
    op.execute((_SQL / "0046_exposure.sql").read_text())
    op.execute(_CLAIMED.format(claimed="AND o.claimed_at IS NOT NULL"))


def downgrade() -> None:
    op.execute("LOCK TABLE orders IN SHARE ROW EXCLUSIVE MODE")
    op.execute(_former("0028_exposure.sql", "create function count_exposure"))
    op.execute(_former("0041_steady_plans.sql", "create or replace function exposure_of_payer"))
    op.execute(_CLAIMED.format(claimed=""))
    for name in _INDEXES:
        op.drop_index(name, "orders")


def _former(file: str, begins: str) -> str:
    found = re.search(rf"^{begins}\(.*?^end \$\$;", (_SQL / file).read_text(), re.MULTILINE | re.DOTALL)
    if found is None:
        raise LookupError(f"{file} has no {begins}")
    return found[0].replace("create function", "create or replace function", 1)
