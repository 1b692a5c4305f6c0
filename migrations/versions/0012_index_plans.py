"""posting and placing look rows up by index, whatever the tables' sizes were when the plan was made

Old code is not concerned.
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0012"
down_revision = "0008"

_SQL = Path(__file__).resolve().parent.parent / "sql"


def upgrade() -> None:
    op.execute((_SQL / "0012_index_plans.sql").read_text())
    op.execute("alter function place_order set enable_seqscan = off")


def downgrade() -> None:
    for name in ("ledger_post", "ledger_entry_has_postings", "place_order"):
        op.execute(f"alter function {name} reset enable_seqscan")
