"""administrators are told of traders who have used up a day's shortfalls

Old code writes none of the new kind.
"""

from __future__ import annotations

import re

import sqlalchemy as sa
from alembic import op

revision = "0051"
down_revision = "0050"

_TABLES = ("mail", "notification", "notification_choice")


def upgrade() -> None:
    for table in _TABLES:
        _allow(table, {*_kinds(table), "shortfalls_used_up"})


def downgrade() -> None:
    for table in _TABLES:
        op.execute(f"DELETE FROM {table} WHERE kind = 'shortfalls_used_up'")
        _allow(table, _kinds(table) - {"shortfalls_used_up"})


def _kinds(table: str) -> set[str]:
    """What the table takes at present."""
    sql = sa.text("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = :name")
    return set(re.findall(r"'(\w+)'", op.get_bind().execute(sql, {"name": f"ck_{table}_kind"}).scalar_one()))


def _allow(table: str, kinds: set[str]) -> None:
    name = op.f(f"ck_{table}_kind")
    listed = ", ".join(f"'{kind}'" for kind in sorted(kinds))
    op.drop_constraint(name, table)
    op.create_check_constraint(name, table, f"kind IN ({listed})")
