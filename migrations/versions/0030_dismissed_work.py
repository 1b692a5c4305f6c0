"""work that was given up can be dismissed; what never arrived at endpoints that are deleted is

Old code leaves the columns alone and goes on counting dismissed rows as dead.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"

_TABLES = ("event", "webhook_delivery", "mail")


def upgrade() -> None:
    for table in _TABLES:
        op.add_column(table, sa.Column("dismissed_at", sa.DateTime(timezone=True)))
    op.execute(
        "UPDATE webhook_delivery d SET state = 'dead', done_at = coalesce(d.done_at, clock_timestamp()),"
        " dismissed_at = clock_timestamp(), lease_until = NULL, lease_token = NULL"
        " FROM webhook_endpoint e WHERE e.id = d.endpoint_id AND e.deleted_at IS NOT NULL"
        " AND d.state IN ('pending', 'dead')"
    )


def downgrade() -> None:
    for table in _TABLES:
        op.drop_column(table, "dismissed_at")
