"""the CHECKs of the tables that every payment writes become one for each table, and what is frozen is asked when named

The same rules hold before, between and afterwards; old code is not concerned. Each table is locked for moments only.
"""

from __future__ import annotations

import re
from pathlib import Path

from alembic import op

revision = "0049"
down_revision = "0048"

_SQL = Path(__file__).resolve().parent.parent / "sql"
_FROZEN = (
    ("0001_ledger_rules.sql", "ledger_account_keeps_identity"),
    ("0001_order_rules.sql", "orders_frozen"),
)
_ORDERS_FROZEN = """
create or replace trigger orders_frozen
  before update of id, mode, direction, store_id, external_id, amount_minor, currency, settlement_currency, rate_micros,
    store_fee_bps, fixed_fee_minor, trader_commission_bps, lead_commission_bps on orders
  {rest}
"""


def upgrade() -> None:
    # Rows are looked through once, while everybody goes on writing.
    with op.get_context().autocommit_block():
        op.execute((_SQL / "0049_row_rules.sql").read_text())
        for table, rules in _rules().items():
            row = f"ck_{table}_row"
            op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {row}")
            op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {row} CHECK ({table}_holds({table})) NOT VALID")
            op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {row}")
            op.execute(f"ALTER TABLE {table} {', '.join(f'DROP CONSTRAINT IF EXISTS {name}' for name in rules)}")
    op.execute((_SQL / "0049_ledger_identity.sql").read_text())
    former = _former("0001_order_rules.sql", "orders_frozen")
    op.execute(_ORDERS_FROZEN.format(rest=former[former.index("for each row") :]))


def downgrade() -> None:
    for file, trigger in _FROZEN:
        op.execute(_former(file, trigger))
    with op.get_context().autocommit_block():
        for table, rules in _rules().items():
            for name, condition in rules.items():
                op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}")
                op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({condition}) NOT VALID")
                op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")
            op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS ck_{table}_row")
            op.execute(f"DROP FUNCTION IF EXISTS {table}_holds({table})")


def _rules() -> dict[str, dict[str, str]]:
    """By table and name the conditions that its function asks for."""
    text = (_SQL / "0049_row_rules.sql").read_text()
    functions = re.findall(r"function (\w+)_holds\(.*?^end \$\$;", text, re.MULTILINE | re.DOTALL)
    bodies = re.findall(r"function \w+_holds\(.*?^end \$\$;", text, re.MULTILINE | re.DOTALL)
    return {
        table: {
            name: re.sub(r"\br\.", "", condition)
            for condition, name in re.findall(r"when \((.*)\) is false then '(\w+)'", body)
        }
        for table, body in zip(functions, bodies, strict=True)
    }


def _former(file: str, trigger: str) -> str:
    found = re.search(rf"^create trigger {trigger} .*?;", (_SQL / file).read_text(), re.MULTILINE | re.DOTALL)
    if found is None:
        raise LookupError(f"there is no trigger {trigger}")
    return found[0].replace("create trigger", "create or replace trigger", 1)
