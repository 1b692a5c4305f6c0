"""what is asked for each payin is looked up by one index whatever the tables' size, and a search asks nothing twice

Old code is not concerned. Orders wait for the lock of their table for a moment.
"""

from __future__ import annotations

import re
from pathlib import Path

from alembic import op

revision = "0050"
down_revision = "0049"

_SQL = Path(__file__).resolve().parent.parent / "sql"
_BEFORE = {
    "ix_orders_customer_open": "store_id, customer_ref) WHERE direction = 'payin' AND hold_minor > 0 AND customer_ref IS NOT NULL",
    "ix_orders_network_open": "store_id, customer_network(customer_ip)) WHERE direction = 'payin' AND hold_minor > 0 AND customer_ip IS NOT NULL",
}
_AFTER = {
    "ix_orders_open_customer": "customer_ref, store_id) WHERE direction = 'payin' AND hold_minor > 0 AND customer_ref IS NOT NULL",
    "ix_orders_open_network": "customer_network(customer_ip), store_id) WHERE direction = 'payin' AND hold_minor > 0 AND customer_ip IS NOT NULL",
}
_COUNTED = """
create or replace trigger count_new_exposure before insert on orders
  for each row execute function count_exposure();
create or replace trigger count_moved_exposure before update of status, hold_minor, requisite_id on orders
  for each row execute function count_exposure();
"""


def upgrade() -> None:
    _make(_AFTER)
    op.execute((_SQL / "0050_exposure.sql").read_text())
    op.execute((_SQL / "0050_matching.sql").read_text())
    op.execute(_COUNTED)
    _drop(_BEFORE)


def downgrade() -> None:
    _make(_BEFORE)
    for trigger in ("count_new_exposure", "count_moved_exposure"):
        op.execute(_former("0028_exposure.sql", f"create trigger {trigger}", ";"))
    op.execute((_SQL / "0046_exposure.sql").read_text())
    op.execute((_SQL / "0005_matching.sql").read_text())
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


def _former(file: str, begins: str, ends: str) -> str:
    found = re.search(rf"^{begins} .*?{ends}$", (_SQL / file).read_text(), re.MULTILINE | re.DOTALL)
    if found is None:
        raise LookupError(f"{file} has no {begins}")
    return found[0].replace("create trigger", "create or replace trigger", 1)
