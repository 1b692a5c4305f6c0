"""a session remembers a proof that was given for its own sake, apart from having signed in

Old code leaves the column alone.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.add_column("user_session", sa.Column("proven_until", sa.DateTime(timezone=True)))
    op.create_check_constraint(
        op.f("ck_user_session_half_has_no_proof"), "user_session", "stage = 'open' OR proven_until IS NULL"
    )


def downgrade() -> None:
    op.drop_column("user_session", "proven_until")
