"""silences of the web processes are judged too: when the doors fell silent, and up to when silences were given back

Old code leaves the columns alone: without them it judges the clock's silence as before.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"

_COLUMNS = ("silent_from", "silent_until", "given_back_until")


def upgrade() -> None:
    for name in _COLUMNS:
        op.add_column("heartbeat", sa.Column(name, sa.DateTime(timezone=True)))


def downgrade() -> None:
    for name in _COLUMNS:
        op.drop_column("heartbeat", name)
