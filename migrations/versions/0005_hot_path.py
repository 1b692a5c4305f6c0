"""create an order in one statement

An answer that was given under an Idempotency-Key is kept as text with a mark where the requisite's number
stands, and the number beside it, encrypted as the requisite has it.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

SQL = Path(__file__).resolve().parent.parent / "sql"


def upgrade() -> None:
    op.alter_column("idempotency_key", "body_encrypted", nullable=True)
    op.add_column("idempotency_key", sa.Column("answer", sa.Text()))
    op.add_column("idempotency_key", sa.Column("secret_row_id", sa.UUID()))
    op.add_column("idempotency_key", sa.Column("secret", sa.LargeBinary()))
    op.create_check_constraint(
        op.f("ck_idempotency_key_one_answer"), "idempotency_key", "(body_encrypted IS NULL) <> (answer IS NULL)"
    )
    with op.get_bind().connection.cursor() as cursor:
        for name in ("0005_place_order.sql", "0005_matching.sql", "0005_posting_order.sql"):
            cursor.execute((SQL / name).read_text(encoding="utf-8"))


def downgrade() -> None:
    op.execute(
        "DROP FUNCTION IF EXISTS place_order, api_moment, pick_requisite"
    )
    op.drop_constraint(op.f("ck_idempotency_key_one_answer"), "idempotency_key")
    # The older code can't read these answers: a repeated call would be carried out again only after the order's
    # external_id has refused it, where the store gives one.
    op.execute("DELETE FROM idempotency_key WHERE body_encrypted IS NULL")
    op.drop_column("idempotency_key", "secret")
    op.drop_column("idempotency_key", "secret_row_id")
    op.drop_column("idempotency_key", "answer")
    op.alter_column("idempotency_key", "body_encrypted", nullable=False)
