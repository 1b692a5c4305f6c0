"""networks are counted for each store, an IPv6 /48 is one, and limits of exposure are found with less work

The new index is built without blocking anybody; a build that was broken off is begun anew. The functions change in the
transaction after it: old code calls them with the same arguments.
"""

from __future__ import annotations

import re
from pathlib import Path

from alembic import op

revision = "0033"
down_revision = "0032"

_SQL = Path(__file__).resolve().parent.parent / "sql"


def upgrade() -> None:
    _change("0033_exposure.sql", "ix_orders_store_network", "store_id, {network}, id", "ix_orders_customer_network")


def downgrade() -> None:
    _change("0028_exposure.sql", "ix_orders_customer_network", "{network}, id", "ix_orders_store_network")


def _change(file: str, index: str, columns: str, former_index: str) -> None:
    """Take the functions of a file, with an index on what its customer_network() gives."""
    text, network = (_SQL / file).read_text(), "customer_network_next"
    with op.get_context().autocommit_block():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {index}")
        op.execute(_function(text, "customer_network", network))
        op.execute(
            f"CREATE INDEX CONCURRENTLY {index} ON orders ({columns.format(network=f'{network}(customer_ip)')})"
            " WHERE customer_ip IS NOT NULL"
        )
    op.drop_index(former_index, "orders")
    op.execute("DROP FUNCTION customer_network")
    op.execute(f"ALTER FUNCTION {network} RENAME TO customer_network")
    for name in ("exposure_of_payer", "exposure_refusal"):
        op.execute(_function(text, name, name))


def _function(text: str, name: str, named: str) -> str:
    found = re.search(rf"^create function {name}\(.*?^(?:end )?\$\$;", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise LookupError(f"there is no function {name}")
    return found[0].replace(f"create function {name}(", f"create or replace function {named}(", 1)
