"""every change of an order raises its version; a rolling window that changes is counted anew; windows put right

Old code may go on: the version is raised for it where it does not, and its double subtractions from windows are mended
here as far as they have happened. Triggers come first, so that nothing changes unseen while windows are put right.
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0022"
down_revision = "0021"

_SQL = Path(__file__).resolve().parent.parent / "sql"
# Orders that were given back still said when they would leave; what was taken off twice is added again.
_PUT_RIGHT = """
UPDATE orders SET window_leaves_at = NULL
 WHERE window_leaves_at IS NOT NULL
   AND status NOT IN ('awaiting_payment', 'awaiting_payout', 'awaiting_confirmation', 'disputed', 'completed');
WITH told AS (
  SELECT requisite_id, sum(amount_minor) AS amount FROM orders
   WHERE window_leaves_at IS NOT NULL AND requisite_id IS NOT NULL GROUP BY requisite_id
), wrong AS (
  SELECT r.id, coalesce(told.amount, 0) AS amount FROM requisite r LEFT JOIN told ON told.requisite_id = r.id
   WHERE r.window_amount <> coalesce(told.amount, 0) ORDER BY r.id FOR NO KEY UPDATE OF r
)
UPDATE requisite r SET window_amount = wrong.amount FROM wrong WHERE r.id = wrong.id;
"""


def upgrade() -> None:
    op.execute((_SQL / "0022_windows.sql").read_text())
    op.execute(_PUT_RIGHT)


def downgrade() -> None:
    op.execute("DROP TRIGGER requisite_window_changes ON requisite")
    op.execute("DROP TRIGGER order_version_grows ON orders")
    for name in ("requisite_window_changes()", "recount_window(uuid, uuid, integer, integer)", "order_version_grows()"):
        op.execute(f"DROP FUNCTION {name}")
