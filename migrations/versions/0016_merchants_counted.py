"""how many stores and people a merchant has is kept in the merchant's row, for the list that is sorted by it

Triggers count, whoever opens and closes them, once a statement. Old code leaves both columns alone. Merchants are locked
in the order of their ids.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

_COUNTED = (("store", "stores"), ("merchant_member", "members"))
_FUNCTIONS = """
CREATE FUNCTION count_for_merchant() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  sign integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
  one record;
BEGIN
  FOR one IN SELECT merchant_id, count(*) AS n FROM changed GROUP BY merchant_id ORDER BY merchant_id LOOP
    EXECUTE format('UPDATE merchant SET %1$I = %1$I + $1 WHERE id = $2', TG_ARGV[0]) USING sign * one.n, one.merchant_id;
  END LOOP;
  RETURN NULL;
END $$;
CREATE FUNCTION count_for_other_merchant() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM merchant WHERE id IN (OLD.merchant_id, NEW.merchant_id) ORDER BY id FOR NO KEY UPDATE;
  EXECUTE format('UPDATE merchant SET %1$I = %1$I + CASE WHEN id = $2 THEN 1 ELSE -1 END WHERE id IN ($1, $2)', TG_ARGV[0])
    USING OLD.merchant_id, NEW.merchant_id;
  RETURN NULL;
END $$;
"""
_TRIGGERS = """
CREATE TRIGGER count_new_{column} AFTER INSERT ON {table} REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION count_for_merchant('{column}');
CREATE TRIGGER count_gone_{column} AFTER DELETE ON {table} REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION count_for_merchant('{column}');
CREATE TRIGGER count_moved_{column} AFTER UPDATE OF merchant_id ON {table}
  FOR EACH ROW WHEN (OLD.merchant_id <> NEW.merchant_id) EXECUTE FUNCTION count_for_other_merchant('{column}');
UPDATE merchant m SET {column} = c.n
  FROM (SELECT merchant_id, count(*) AS n FROM {table} GROUP BY merchant_id) c WHERE c.merchant_id = m.id;
"""


def upgrade() -> None:
    op.execute(_FUNCTIONS)
    for table, column in _COUNTED:
        op.add_column("merchant", sa.Column(column, sa.Integer, server_default="0", nullable=False))
        op.execute(_TRIGGERS.format(table=table, column=column))
        op.create_index(f"ix_merchant_{column}", "merchant", [column, "id"])


def downgrade() -> None:
    for table, column in _COUNTED:
        for when in ("new", "gone", "moved"):
            op.execute(f"DROP TRIGGER count_{when}_{column} ON {table}")
        op.drop_column("merchant", column)
    op.execute("DROP FUNCTION count_for_merchant(); DROP FUNCTION count_for_other_merchant()")
