"""a lowered limit of exposure lets nothing in, and a dispute over an expired payin keeps its amount from nobody

Old code is not concerned.
"""

from __future__ import annotations

import re
from pathlib import Path

from alembic import op

revision = "0056"
down_revision = "0055"

_SQL = Path(__file__).resolve().parent.parent / "sql"


def upgrade() -> None:
    op.execute((_SQL / "0056_exposure.sql").read_text())
    op.execute((_SQL / "0056_verdict.sql").read_text())


def downgrade() -> None:
    op.execute(_former("0052_verdict.sql", "has_open_amount"))
    op.execute(_former("0033_exposure.sql", "exposure_refusal"))
    op.execute("alter function exposure_refusal set enable_seqscan = off")


def _former(file: str, function: str) -> str:
    text = (_SQL / file).read_text()
    found = re.search(rf"^create function {function}\(.*?^end \$\$;$", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise LookupError(f"{file} has no {function}")
    return found[0].replace("create function", "create or replace function", 1)
