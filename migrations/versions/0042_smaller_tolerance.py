"""a store's tolerance begins at 10 basis points and 1 unit, and stores that have the former default get it

Stores that have exactly 100 basis points and 5 units, and for which no tolerance was ever set (store.tolerance_set in
the audit log), have what they were given and get the new default; all others keep theirs. A row changed past the house
before keeps its tolerance, so that its change stays found. Old code reads the row and asks the customer more often.
"""

from __future__ import annotations

from alembic import op

revision = "0042"
down_revision = "0041"

_FORMER, _NOW = (100, 5_000_000), (10, 1_000_000)
# As the last note of the row says that it stands; the columns of its triggers.
_MOVE = """
DO $$
DECLARE
  watched text[] := (SELECT string_to_array(encode(tgargs, 'escape'), '\\000') FROM pg_trigger
                      WHERE tgname = 'note_changed_store' AND tgrelid = 'store'::regclass);
BEGIN
  UPDATE store s SET tolerance_bps = {now[0]}, tolerance_minor = {now[1]}
   WHERE tolerance_bps = {former[0]} AND tolerance_minor = {former[1]}
     AND NOT EXISTS (SELECT 1 FROM audit_entry a
                      WHERE a.action = 'store.tolerance_set' AND a.subject_id = s.id::text)
     AND (SELECT i.digest FROM change_image i WHERE i.table_name = 'store' AND i.row_key = s.id::text
           ORDER BY i.id DESC LIMIT 1)
       = sha256(convert_to((SELECT jsonb_object_agg(c, to_jsonb(s) -> c)::text
                              FROM unnest(string_to_array(watched[2], ',')) AS c), 'UTF8'));
END $$
"""


def upgrade() -> None:
    _begin_at(_NOW, _FORMER)


def downgrade() -> None:
    _begin_at(_FORMER, _NOW)


def _begin_at(now: tuple[int, int], former: tuple[int, int]) -> None:
    op.alter_column("store", "tolerance_bps", server_default=str(now[0]))
    op.alter_column("store", "tolerance_minor", server_default=str(now[1]))
    op.execute("SET LOCAL TIME ZONE 'UTC'; SET LOCAL bytea_output = 'hex'")
    op.execute(_MOVE.format(now=now, former=former))
