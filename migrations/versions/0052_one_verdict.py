"""what makes a requisite fit an order stands once, and so does what an order takes of it

Old code goes on: `pick_requisite` is asked and answers as before.
"""

from __future__ import annotations

import re
from pathlib import Path

from alembic import op

revision = "0052"
down_revision = "0051"

_SQL = Path(__file__).resolve().parent.parent / "sql"


def upgrade() -> None:
    op.execute((_SQL / "0052_verdict.sql").read_text())
    op.execute((_SQL / "0052_matching.sql").read_text())


def downgrade() -> None:
    op.execute(_former("0001_matching.sql", "match_try"))
    op.execute((_SQL / "0050_matching.sql").read_text())
    op.execute(_former("0005_place_order.sql", "pick_requisite"))
    made = re.findall(r"^create function (\w+)", (_SQL / "0052_verdict.sql").read_text(), re.MULTILINE)
    op.execute(f"DROP FUNCTION {', '.join(reversed(made))}")


def _former(file: str, function: str) -> str:
    text = (_SQL / file).read_text()
    found = re.search(rf"^create function {function}\(.*?^end \$\$;$", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise LookupError(f"{file} has no {function}")
    return found[0].replace("create function", "create or replace function", 1)
