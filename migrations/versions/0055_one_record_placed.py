"""an order is placed from one record, in parts

Old code goes on: what it calls hands its arguments on.
"""

from __future__ import annotations

import re
from pathlib import Path

from alembic import op

revision = "0055"
down_revision = "0054"

_SQL = Path(__file__).resolve().parent.parent / "sql"


def upgrade() -> None:
    op.execute((_SQL / "0055_place_order.sql").read_text())


def downgrade() -> None:
    former = _former("0005_place_order.sql", "place_order")
    op.execute(former.replace("language plpgsql as", "language plpgsql set enable_seqscan = off as", 1))
    parts = re.findall(
        r"^create or replace function (place_order_\w+)",
        (_SQL / "0055_place_order.sql").read_text(),
        re.MULTILINE,
    )
    op.execute(f"DROP FUNCTION place_order(new_order), {', '.join(parts)}")
    op.execute("DROP TYPE new_order, found_requisite")


def _former(file: str, function: str) -> str:
    text = (_SQL / file).read_text()
    found = re.search(rf"^create function {function}\(.*?^end \$\$;$", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise LookupError(f"{file} has no {function}")
    return found[0].replace("create function", "create or replace function", 1)
