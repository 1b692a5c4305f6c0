"""lists of people, traders, merchants and requisites: indexes of what they are sorted by and searched in

When somebody was last seen is kept with them; their sessions are forgotten in time. Old code leaves it as it is, and
the list then shows an older time. Whether they have a second factor, and how many requisites a trader has, is kept by
triggers, whoever changes it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0011"

_BTREE = (
    ("ix_users_name", "users", ["lower(name)", "id"]),
    ("ix_users_created_at", "users", ["created_at", "id"]),
    ("ix_users_last_seen_at", "users", ["coalesce(last_seen_at, '-infinity')", "id"]),
    ("ix_user_role_role", "user_role", ["role", "user_id"]),
    ("ix_trader_name", "trader", ["lower(name)", "id"]),
    ("ix_trader_created_at", "trader", ["created_at", "id"]),
    ("ix_trader_requisites", "trader", ["requisites", "id"]),
    ("ix_team_lead_id", "team", ["lead_id"]),
    ("ix_merchant_name", "merchant", ["lower(name)", "id"]),
    ("ix_merchant_created_at", "merchant", ["created_at", "id"]),
    ("ix_requisite_number_last4", "requisite", ["number_last4"]),
)
_PARTIAL = (
    ("ix_users_no_factor", "users", "id", "is_active AND NOT has_second_factor"),
    ("ix_users_off", "users", "id", "NOT is_active"),
    ("ix_trader_blocked", "trader", "id", "is_blocked"),
    ("ix_trader_unverified", "trader", "id", "status <> 'verified'"),
    ("ix_requisite_ready", "requisite", "trader_id", "can_take_payin"),
    ("ix_merchant_off", "merchant", "id", "NOT is_active"),
    ("ix_api_key_last_used_at", "api_key", "last_used_at", "last_used_at IS NOT NULL"),
)
_WORDS = (
    ("ix_users_words", "users", ["lower(name)", "email"]),
    ("ix_trader_words", "trader", ["lower(name)"]),
    ("ix_merchant_words", "merchant", ["lower(name)"]),
    ("ix_store_words", "store", ["lower(name)"]),
)

_FACTOR = """
CREATE FUNCTION note_second_factor() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  whose uuid := coalesce(NEW.user_id, OLD.user_id);
  has boolean := EXISTS (SELECT 1 FROM totp_factor WHERE user_id = whose AND confirmed_at IS NOT NULL)
    OR EXISTS (SELECT 1 FROM passkey WHERE user_id = whose AND set_aside_at IS NULL);
BEGIN
  UPDATE users SET has_second_factor = has WHERE id = whose AND has_second_factor <> has;
  RETURN NULL;
END $$;
CREATE TRIGGER note_second_factor AFTER INSERT OR DELETE OR UPDATE OF confirmed_at ON totp_factor
  FOR EACH ROW EXECUTE FUNCTION note_second_factor();
CREATE TRIGGER note_second_factor AFTER INSERT OR DELETE OR UPDATE OF set_aside_at ON passkey
  FOR EACH ROW EXECUTE FUNCTION note_second_factor();
UPDATE users u SET has_second_factor = true
 WHERE EXISTS (SELECT 1 FROM totp_factor WHERE user_id = u.id AND confirmed_at IS NOT NULL)
    OR EXISTS (SELECT 1 FROM passkey WHERE user_id = u.id AND set_aside_at IS NULL);
"""
_REQUISITES = """
CREATE FUNCTION count_requisites() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  before integer := CASE WHEN TG_OP <> 'INSERT' AND OLD.status <> 'archived' THEN 1 ELSE 0 END;
  after integer := CASE WHEN TG_OP <> 'DELETE' AND NEW.status <> 'archived' THEN 1 ELSE 0 END;
BEGIN
  IF before <> after THEN
    UPDATE trader SET requisites = requisites + after - before WHERE id = coalesce(NEW.trader_id, OLD.trader_id);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER count_requisites AFTER INSERT OR DELETE OR UPDATE OF status ON requisite
  FOR EACH ROW EXECUTE FUNCTION count_requisites();
UPDATE trader t SET requisites = r.n FROM (
  SELECT trader_id, count(*) AS n FROM requisite WHERE status <> 'archived' GROUP BY trader_id) r WHERE r.trader_id = t.id;
"""


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    op.add_column("users", sa.Column("last_seen_at", sa.DateTime(timezone=True)))
    op.execute(
        "UPDATE users u SET last_seen_at = s.at FROM (SELECT user_id, max(last_seen_at) AS at FROM user_session"
        " WHERE stage = 'open' GROUP BY user_id) s WHERE s.user_id = u.id"
    )
    op.add_column("users", sa.Column("has_second_factor", sa.Boolean, server_default=sa.false(), nullable=False))
    op.add_column("trader", sa.Column("requisites", sa.Integer, server_default="0", nullable=False))
    op.execute(_FACTOR)
    op.execute(_REQUISITES)
    for name, table, columns in _BTREE:
        op.create_index(name, table, [_column(column) for column in columns])
    for name, table, column, condition in _PARTIAL:
        op.create_index(name, table, [column], postgresql_where=sa.text(condition))
    for name, table, columns in _WORDS:
        op.create_index(name, table, [sa.text(f"{column} gin_trgm_ops") for column in columns], postgresql_using="gin")


def _column(text: str) -> sa.TextClause | str:
    return sa.text(text) if "(" in text else text


def downgrade() -> None:
    for name, table, *_rest in (*_WORDS, *_PARTIAL, *_BTREE):
        op.drop_index(name, table)
    op.execute("DROP TRIGGER count_requisites ON requisite; DROP FUNCTION count_requisites()")
    op.execute("DROP TRIGGER note_second_factor ON totp_factor; DROP TRIGGER note_second_factor ON passkey")
    op.execute("DROP FUNCTION note_second_factor()")
    op.drop_column("trader", "requisites")
    op.drop_column("users", "has_second_factor")
    op.drop_column("users", "last_seen_at")
    op.execute("DROP EXTENSION pg_trgm")
