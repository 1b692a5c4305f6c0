"""what is shown of a PDF, and what there is to be seen on a receipt

Old code leaves the columns empty, as they are for what was kept before.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

_FACTS = (("width", sa.Integer), ("height", sa.Integer), ("pages", sa.Integer), ("is_blank", sa.Boolean))


def upgrade() -> None:
    op.add_column("receipt", sa.Column("picture_key", sa.Text))
    for name, kind in _FACTS:
        op.add_column("receipt", sa.Column(name, kind))
    op.add_column("trader_document", sa.Column("picture_key", sa.Text))
    op.add_column("trader_document", sa.Column("pages", sa.Integer))


def downgrade() -> None:
    for name in ("pages", "picture_key"):
        op.drop_column("trader_document", name)
    for name in ("is_blank", "pages", "height", "width", "picture_key"):
        op.drop_column("receipt", name)
