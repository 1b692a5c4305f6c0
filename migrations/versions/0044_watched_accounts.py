"""watch whose an account is and what it may hold, and find a rate of the history by its time

An account is noted when it is opened; what moves its balance fires no trigger. An account that was noted before, by an
upgrade that was taken back, gets no second note: what was changed past the house since stays found.
"""

from __future__ import annotations

from alembic import op

revision = "0044"
down_revision = "0042"

_COLUMNS = "owner_kind,owner_id,kind,currency,mode,floor,keeps_balance,created_at"
_TRIGGERS = """
CREATE TRIGGER note_new_ledger_account AFTER INSERT OR DELETE ON ledger_account
  FOR EACH ROW EXECUTE FUNCTION note_change('id', '{columns}');
CREATE TRIGGER note_changed_ledger_account AFTER UPDATE OF {columns} ON ledger_account
  FOR EACH ROW WHEN (({old}) IS DISTINCT FROM ({new})) EXECUTE FUNCTION note_change('id', '{columns}');
"""
_NOTE = """
INSERT INTO change_image (table_name, row_key, digest)
SELECT 'ledger_account', t.id::text,
       sha256(convert_to((SELECT jsonb_object_agg(c, to_jsonb(t) -> c)::text
                            FROM unnest(string_to_array('{columns}', ',')) AS c), 'UTF8'))
  FROM ledger_account t
 WHERE NOT EXISTS (SELECT FROM change_image i WHERE i.table_name = 'ledger_account' AND i.row_key = t.id::text)
"""


def upgrade() -> None:
    # Before the triggers: they hold off all postings until the end.
    op.create_index("ix_rate_history_base_quote_observed_at", "rate_history", ["base", "quote", "observed_at"])
    op.execute("SET LOCAL TIME ZONE 'UTC'; SET LOCAL bytea_output = 'hex'")
    old, new = (", ".join(f"{row}.{name}" for name in _COLUMNS.split(",")) for row in ("OLD", "NEW"))
    op.execute(_TRIGGERS.format(columns=_COLUMNS, old=old, new=new))
    op.execute(_NOTE.format(columns=_COLUMNS))


def downgrade() -> None:
    op.execute("DROP TRIGGER note_new_ledger_account ON ledger_account")
    op.execute("DROP TRIGGER note_changed_ledger_account ON ledger_account")
    op.drop_index("ix_rate_history_base_quote_observed_at", "rate_history")
