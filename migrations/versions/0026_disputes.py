"""reasons for which a payout is disputed; disputes over expired orders take no slot of their requisite any more

Old code opens none for the new reasons, and does not know that a reopened order takes no slot: what it still takes is
found by `flask ledger verify`.
"""

from __future__ import annotations

from alembic import op

revision = "0026"
down_revision = "0025"

_OLD = (
    "paid_late", "paid_another_amount", "not_confirmed", "not_received", "wrong_requisite", "fake_receipt", "other",
)  # fmt: skip
_NEW = (*_OLD[:-1], "payout_not_received", "duplicate", "other")
_COUNT = """
UPDATE requisite r SET
       open_orders = r.open_orders {sign} s.orders,
       day_amount = greatest(r.day_amount {sign} s.day_amount, 0), day_count = greatest(r.day_count {sign} s.day_orders, 0),
       total_amount = greatest(r.total_amount {sign} s.amount, 0),
       window_amount = greatest(r.window_amount {sign} s.in_window, 0)
  FROM (SELECT o.requisite_id, count(*) AS orders, sum(o.amount_minor) AS amount,
               coalesce(sum(o.amount_minor) FILTER (WHERE o.counted_day = q.day), 0) AS day_amount,
               count(*) FILTER (WHERE o.counted_day = q.day) AS day_orders,
               coalesce(sum(o.amount_minor) FILTER (WHERE o.window_leaves_at IS NOT NULL), 0) AS in_window
          FROM orders o JOIN requisite q ON q.id = o.requisite_id
         WHERE o.status = 'disputed' AND o.status_before_dispute = 'expired' GROUP BY o.requisite_id) s
 WHERE r.id = s.requisite_id
"""


def _reasons(values: tuple[str, ...]) -> None:
    listed = ", ".join(f"'{value}'" for value in values)
    op.execute("ALTER TABLE dispute DROP CONSTRAINT ck_dispute_reason")
    op.execute(f"ALTER TABLE dispute ADD CONSTRAINT ck_dispute_reason CHECK (reason IN ({listed}))")


def upgrade() -> None:
    _reasons(_NEW)
    op.execute(_COUNT.format(sign="-"))
    op.execute(
        "UPDATE orders SET window_leaves_at = NULL WHERE status = 'disputed' AND status_before_dispute = 'expired'"
        " AND window_leaves_at IS NOT NULL"
    )


def downgrade() -> None:
    _reasons(_OLD)
    op.execute(_COUNT.format(sign="+"))
