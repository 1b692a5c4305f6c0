"""keep who handed a requisite in and who decided about it: never the same person; find the audit log's days

Old code writes none of the new columns, and knows no suspended requisite: it does not match one either.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0013"

_BEFORE = "status IN ('pending', 'approved', 'rejected', 'archived')"
_AFTER = "status IN ('pending', 'approved', 'rejected', 'suspended', 'archived')"


def upgrade() -> None:
    op.add_column("requisite", sa.Column("submitted_by", sa.Uuid()))
    op.add_column("requisite", sa.Column("decided_by", sa.Uuid()))
    op.add_column("requisite", sa.Column("decided_at", sa.DateTime(timezone=True)))
    op.add_column("requisite", sa.Column("decision_reason", sa.Text()))
    for name in ("submitted_by", "decided_by"):
        op.create_foreign_key(op.f(f"fk_requisite_{name}"), "requisite", "users", [name], ["id"])
    op.create_check_constraint(
        op.f("ck_requisite_two_people"),
        "requisite",
        "decided_by IS NULL OR submitted_by IS NULL OR decided_by <> submitted_by",
    )
    op.drop_constraint(op.f("ck_requisite_status"), "requisite", type_="check")
    op.create_check_constraint(op.f("ck_requisite_status"), "requisite", _AFTER)
    op.create_index(
        "ix_requisite_pending", "requisite", ["id"], postgresql_where=sa.text("status = 'pending'")
    )
    op.create_index("ix_audit_entry_at", "audit_entry", ["at"])


def downgrade() -> None:
    op.drop_index("ix_audit_entry_at", "audit_entry")
    op.drop_index("ix_requisite_pending", "requisite")
    op.execute("UPDATE requisite SET status = 'rejected' WHERE status = 'suspended'")
    op.drop_constraint(op.f("ck_requisite_status"), "requisite", type_="check")
    op.create_check_constraint(op.f("ck_requisite_status"), "requisite", _BEFORE)
    op.drop_constraint(op.f("ck_requisite_two_people"), "requisite", type_="check")
    for name in ("submitted_by", "decided_by", "decided_at", "decision_reason"):
        op.drop_column("requisite", name)
