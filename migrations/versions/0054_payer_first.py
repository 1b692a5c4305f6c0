"""what a payer has with a store is looked up by indexes that begin with the payer

Old code is not concerned.
"""

from __future__ import annotations

import re
from pathlib import Path

from alembic import op

revision = "0054"
down_revision = "0053"

_SQL = Path(__file__).resolve().parent.parent / "sql"
_BEFORE = {
    "ix_orders_customer": "store_id, customer_ref, id) WHERE customer_ref IS NOT NULL",
    "ix_orders_store_network": "store_id, customer_network(customer_ip), id) WHERE customer_ip IS NOT NULL",
}
_AFTER = {
    "ix_orders_customer_store": "customer_ref, store_id, id) WHERE customer_ref IS NOT NULL",
    "ix_orders_network_store": "customer_network(customer_ip), store_id, id) WHERE customer_ip IS NOT NULL",
}


def upgrade() -> None:
    _make(_AFTER)
    op.execute((_SQL / "0054_exposure.sql").read_text())
    _drop(_BEFORE)


def downgrade() -> None:
    _make(_BEFORE)
    op.execute(_former("0050_exposure.sql", "exposure_of_payer"))
    _drop(_AFTER)


def _make(indexes: dict[str, str]) -> None:
    with op.get_context().autocommit_block():
        for name, columns in indexes.items():
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON orders ({columns}")


def _drop(indexes: dict[str, str]) -> None:
    with op.get_context().autocommit_block():
        for name in indexes:
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")


def _former(file: str, function: str) -> str:
    found = re.search(
        rf"^create or replace function {function}\(.*?^end \$\$;$", (_SQL / file).read_text(), re.MULTILINE | re.DOTALL
    )
    if found is None:
        raise LookupError(f"{file} has no {function}")
    return found[0]
