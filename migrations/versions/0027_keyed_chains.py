"""keyed chains over money, access, requisites and settings, and a note of each change of a watched row

The links are written by the clock, with a key from the environment. Old code changes watched rows as it always did: the
trigger notes it. The index of the timeline's ids is by blocks: an entry in it costs next to nothing.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0027"
down_revision = "0026"

SQL = Path(__file__).resolve().parent.parent / "sql"
WATCHED = (
    ("users", "id", "email,name,password_hash,is_active"),
    ("user_role", "user_id,role", "user_id,role"),
    ("permission_grant", "user_id,permission", "reach,is_denied,reason,granted_by,approved_by"),
    ("totp_factor", "user_id", "secret_encrypted,confirmed_at"),
    ("passkey", "id", "user_id,credential_id,public_key,set_aside_at"),
    ("api_key", "id", "store_id,mode,name,secret_hash,scopes,allowed_networks,expires_at,revoked_at"),
    ("merchant", "id", "name,is_active"),
    ("merchant_member", "merchant_id,user_id", "role,has_all_stores"),
    ("merchant_member_store", "merchant_id,user_id,store_id", "store_id"),
    ("store", "id", "merchant_id,name,settlement_currency,return_origins,is_active,payin_enabled,payout_enabled,receipt_required"),
    ("fee_plan", "id", "store_id,direction,method,store_fee_bps,fixed_minor,trader_commission_bps,lead_commission_bps,allows_negative_margin"),
    ("store_traffic", "store_id,trader_id", "rule,percent"),
    ("team", "id", "name,lead_id"),
    ("trader", "id", "user_id,team_id,mode,status,is_blocked,verified_until"),
    ("requisite", "id", "trader_id,mode,method,currency,bank,number_encrypted,number_index,number_masked,number_last4,holder,status,available_account_id,held_account_id,min_amount,max_amount,max_open_orders,day_amount_limit,day_count_limit,window_s,window_amount_limit,total_amount_limit,submitted_by,decided_by"),
    ("webhook_endpoint", "id", "store_id,mode,url,event_types,secret_encrypted,former_secret_encrypted,disabled_at,deleted_at"),
    ("config_setting", "key", "value"),
    ("currency", "code", "exponent,is_settlement,is_active"),
    ("method_currency", "method,currency", "min_amount,max_amount,bank_required,is_active"),
    ("rate_pair", "base,quote", "source_kind,feed_url,json_pointer,spread_bps,max_deviation_bps,stale_after_s,is_active"),
    ("risk_rule", "id", "name,conditions,action,mode"),
    ("risk_list_entry", "id", "list,kind,value,expires_at"),
    ("deposit", "id", "account_id,currency,mode,amount_minor,reference,actor_kind,actor_id,created_at"),
    ("receipt", "id", "order_id,kind,file_key,content_type,size_bytes,sha256,look,actor_kind,actor_id"),
)
_TRIGGERS = """
CREATE TRIGGER note_new_{table} AFTER INSERT OR DELETE ON {table}
  FOR EACH ROW EXECUTE FUNCTION note_change('{key}', '{columns}');
CREATE TRIGGER note_changed_{table} AFTER UPDATE OF {of} ON {table}
  FOR EACH ROW WHEN (({old}) IS DISTINCT FROM ({new})) EXECUTE FUNCTION note_change('{key}', '{columns}');
"""
# Rows from before get their first note here.
_FIRST = """
INSERT INTO change_image (table_name, row_key, digest)
SELECT '{table}', {row_key}, sha256(convert_to((
         SELECT jsonb_object_agg(c, to_jsonb(t) -> c)::text FROM unnest(string_to_array('{columns}', ',')) AS c), 'UTF8'))
  FROM {table} t
"""


def _listed(columns: str, row: str) -> str:
    return ", ".join(f"{row}.{column}" for column in columns.split(","))


def _row_of(names: str, row: str) -> str:
    listed = _listed(names, row)
    return listed if "," in names else f"ROW({listed})"


def upgrade() -> None:
    op.create_table(
        "change_image",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("row_key", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_change_image")),
    )
    op.create_index("ix_change_image_row", "change_image", ["table_name", "row_key", "id"])
    op.create_table(
        "chain_link",
        sa.Column("chain", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ids", postgresql.ARRAY(sa.BigInteger()), nullable=True),
        sa.Column("uuids", postgresql.ARRAY(sa.UUID()), nullable=True),
        sa.Column("digests", postgresql.ARRAY(sa.LargeBinary()), nullable=False),
        sa.Column("low_key", sa.Text(collation="C"), nullable=False),
        sa.Column("high_key", sa.Text(collation="C"), nullable=False),
        sa.Column("previous_mac", sa.LargeBinary(), nullable=False),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column(
            "sealed_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.CheckConstraint("sequence > 0", name=op.f("ck_chain_link_sequence")),
        sa.CheckConstraint(
            "octet_length(mac) = 32 AND octet_length(previous_mac) = 32", name=op.f("ck_chain_link_macs")
        ),
        sa.CheckConstraint(
            "coalesce(cardinality(ids), cardinality(uuids)) = cardinality(digests)", name=op.f("ck_chain_link_rows")
        ),
        sa.CheckConstraint("num_nonnulls(ids, uuids) = 1", name=op.f("ck_chain_link_one_kind")),
        sa.PrimaryKeyConstraint("chain", "sequence", name=op.f("pk_chain_link")),
    )
    op.create_index("ix_chain_link_high_key", "chain_link", ["chain", "high_key"])
    op.create_table(
        "chain_mark",
        sa.Column("chain", sa.Text(), nullable=False),
        sa.Column("low", sa.Text(), nullable=False),
        sa.Column("final", sa.Text(), nullable=False),
        sa.Column("seen", sa.Text(), nullable=False),
        sa.Column("seen_before", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.PrimaryKeyConstraint("chain", name=op.f("pk_chain_mark")),
    )
    op.create_index(
        "ix_order_event_id", "order_event", ["id"], postgresql_using="brin", postgresql_with={"autosummarize": "on"}
    )
    with op.get_bind().connection.cursor() as cursor:
        cursor.execute((SQL / "0027_note_change.sql").read_text(encoding="utf-8"))
    for table, key, columns in WATCHED:
        row_key = " || '/' || ".join(f"t.{column}::text" for column in key.split(","))
        named = {"table": table, "key": key, "columns": columns, "of": columns.replace(",", ", "), "row_key": row_key}
        op.execute(_TRIGGERS.format(old=_row_of(columns, "OLD"), new=_row_of(columns, "NEW"), **named))
        op.execute(_FIRST.format(**named))


def downgrade() -> None:
    for table, _key, _columns in WATCHED:
        op.execute(f"DROP TRIGGER note_new_{table} ON {table}; DROP TRIGGER note_changed_{table} ON {table}")
    op.execute("DROP FUNCTION note_change()")
    op.drop_index("ix_order_event_id", "order_event")
    op.drop_table("chain_mark")
    op.drop_table("chain_link")
    op.drop_table("change_image")
