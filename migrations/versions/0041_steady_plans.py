"""postings and payers are looked up by index, whatever the tables' sizes were when the plan was made

Old code is not concerned.
"""

from __future__ import annotations

import re
from pathlib import Path

from alembic import op

revision = "0041"
down_revision = "0040"

_SQL = Path(__file__).resolve().parent.parent / "sql"


def upgrade() -> None:
    op.execute((_SQL / "0041_steady_plans.sql").read_text())
    op.execute("alter function exposure_refusal set enable_seqscan = off")


def downgrade() -> None:
    op.execute(_former("0001_ledger_rules.sql", "ledger_postings_balance"))
    op.execute(_former("0033_exposure.sql", "exposure_of_payer"))
    op.execute("alter function exposure_refusal reset enable_seqscan")


def _former(file: str, name: str) -> str:
    found = re.search(rf"^create function {name}\(.*?^end \$\$;", (_SQL / file).read_text(), re.MULTILINE | re.DOTALL)
    if found is None:
        raise LookupError(f"there is no function {name}")
    return found[0].replace("create function", "create or replace function", 1)
