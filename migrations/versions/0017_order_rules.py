"""the database's rule of how orders move is the transition table's: a payin in review is not matched past `matching`

Old code never made that move.
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0017"
down_revision = "0016"

_SQL = Path(__file__).resolve().parent.parent / "sql"


def upgrade() -> None:
    op.execute((_SQL / "0017_order_rules.sql").read_text())


def downgrade() -> None:
    first = (_SQL / "0001_order_rules.sql").read_text()
    op.execute(first[: first.index("create trigger")].replace("create function", "create or replace function"))
