"""a window that changes counts no dispute over an expired order; what was counted of them is given back

Old code is not concerned.
"""

from __future__ import annotations

import re
from pathlib import Path

from alembic import op

revision = "0047"
down_revision = "0046"

_SQL = Path(__file__).resolve().parent.parent / "sql"
# In such a dispute, or ended since without giving anything back: neither counts for its requisite.
_PUT_RIGHT = """
WITH wrong AS (
  SELECT id FROM orders
   WHERE window_leaves_at IS NOT NULL
     AND (status NOT IN ('awaiting_payment', 'awaiting_payout', 'awaiting_confirmation', 'disputed', 'completed')
          OR (status = 'disputed' AND status_before_dispute = 'expired'))
   ORDER BY id FOR NO KEY UPDATE
), left_window AS (
  UPDATE orders o SET window_leaves_at = NULL, updated_at = now() FROM wrong WHERE o.id = wrong.id
  RETURNING o.requisite_id, o.amount_minor
), sums AS (
  SELECT requisite_id, sum(amount_minor) AS amount FROM left_window GROUP BY requisite_id
), locked AS (
  SELECT r.id FROM requisite r JOIN sums ON sums.requisite_id = r.id ORDER BY r.id FOR NO KEY UPDATE OF r
)
UPDATE requisite r SET window_amount = greatest(r.window_amount - sums.amount, 0)
  FROM sums, locked WHERE r.id = sums.requisite_id AND locked.id = r.id
"""


def upgrade() -> None:
    op.execute((_SQL / "0047_windows.sql").read_text())
    op.execute(_PUT_RIGHT)


def downgrade() -> None:
    op.execute(_former("0022_windows.sql", "recount_window"))


def _former(file: str, name: str) -> str:
    found = re.search(rf"^create function {name}\(.*?^end \$\$;", (_SQL / file).read_text(), re.MULTILINE | re.DOTALL)
    if found is None:
        raise LookupError(f"there is no function {name}")
    return found[0].replace("create function", "create or replace function", 1)
