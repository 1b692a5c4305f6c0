"""who asks for links to new passwords is counted by network, not whom they ask for

Old code neither reads nor writes the table. Attempts of sign-ins over IPv6 are looked up by their /64 from now on:
what was counted by single addresses before is rewritten, so that known places stay known.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.create_table(
        "password_reset_ask",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("network", postgresql.INET(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_password_reset_ask")),
    )
    op.create_index("ix_password_reset_ask_network_at", "password_reset_ask", ["network", "at"])
    op.create_index("ix_password_reset_ask_at", "password_reset_ask", ["at"], postgresql_using="brin")
    op.execute(
        "UPDATE sign_in_attempt SET ip = network(set_masklen(ip, 64))"
        " WHERE family(ip) = 6 AND masklen(ip) = 128 AND at > now() - interval '30 days'"
    )


def downgrade() -> None:
    op.drop_table("password_reset_ask")
