"""watch every column that decides, of disputes too, and an order's reported amount

A row gets its new note only when it stands as it was noted last: what was changed past the house before stays found.
Old code changes rows as it always did. The triggers are replaced, not dropped: reading goes on.
"""

from __future__ import annotations

from alembic import op

revision = "0032"
down_revision = "0031"

# Key, columns watched so far, columns watched from here on.
GROWN = (
    (
        "users",
        "id",
        "email,name,password_hash,is_active",
        "password_changed_at,locale,timezone,has_second_factor,created_at",
    ),
    ("user_role", "user_id,role", "user_id,role", "created_at"),
    ("permission_grant", "user_id,permission", "reach,is_denied,reason,granted_by,approved_by", "created_at"),
    ("totp_factor", "user_id", "secret_encrypted,confirmed_at", "created_at"),
    ("passkey", "id", "user_id,credential_id,public_key,set_aside_at", "name,transports,created_at"),
    (
        "api_key",
        "id",
        "store_id,mode,name,secret_hash,scopes,allowed_networks,expires_at,revoked_at",
        "last4,created_at",
    ),
    ("merchant", "id", "name,is_active", "created_at"),
    ("merchant_member", "merchant_id,user_id", "role,has_all_stores", "created_at"),
    (
        "store",
        "id",
        "merchant_id,name,settlement_currency,return_origins,is_active,payin_enabled,payout_enabled,receipt_required",
        "logo_key,accent_colour,support_contact,tolerance_bps,tolerance_minor,created_at",
    ),
    (
        "fee_plan",
        "id",
        "store_id,direction,method,store_fee_bps,fixed_minor,trader_commission_bps,lead_commission_bps,allows_negative_margin",
        "created_at",
    ),
    ("team", "id", "name,lead_id", "payin_on,payout_on,created_at"),
    (
        "trader",
        "id",
        "user_id,team_id,mode,status,is_blocked,verified_until",
        "name,is_working,blocked_reason,lead_payin_on,lead_payout_on,created_at",
    ),
    (
        "requisite",
        "id",
        "trader_id,mode,method,currency,bank,number_encrypted,number_index,number_masked,number_last4,holder,status,available_account_id,held_account_id,min_amount,max_amount,max_open_orders,day_amount_limit,day_count_limit,window_s,window_amount_limit,total_amount_limit,submitted_by,decided_by",
        "payin_on,payout_on,trader_payin_on,trader_payout_on,tier,weight,ring,created_at,approved_at,decided_at,decision_reason",
    ),
    (
        "webhook_endpoint",
        "id",
        "store_id,mode,url,event_types,secret_encrypted,former_secret_encrypted,disabled_at,deleted_at",
        "former_secret_until,disabled_reason,verified_at,created_at",
    ),
    ("config_setting", "key", "value", "actor_kind,actor_id,updated_at"),
    ("currency", "code", "exponent,is_settlement,is_active", "name_en,name_ru"),
    (
        "rate_pair",
        "base,quote",
        "source_kind,feed_url,json_pointer,spread_bps,max_deviation_bps,stale_after_s,is_active",
        "refresh_every_s",
    ),
    (
        "risk_rule",
        "id",
        "name,conditions,action,mode",
        "priority,version,actor_kind,actor_id,created_at,updated_at",
    ),
    ("risk_list_entry", "id", "list,kind,value,expires_at", "reason,actor_kind,actor_id,created_at"),
    (
        "receipt",
        "id",
        "order_id,kind,file_key,content_type,size_bytes,sha256,look,actor_kind,actor_id",
        "picture_key,width,height,pages,is_blank,created_at",
    ),
)
DISPUTE = "order_id,reason,words,claimed_minor,opened_by_kind,opened_by_id,opened_at,outcome,decision_reason,decided_by_kind,decided_by_id,decided_at"
_TRIGGERS = """
CREATE OR REPLACE TRIGGER note_new_{table} AFTER INSERT OR DELETE ON {table}
  FOR EACH ROW EXECUTE FUNCTION note_change('{key}', '{columns}');
"""
_CHANGED = """
CREATE OR REPLACE TRIGGER note_changed_{table} AFTER UPDATE OF {of} ON {table}
  FOR EACH ROW WHEN (({old}) IS DISTINCT FROM ({new})) EXECUTE FUNCTION note_change('{key}', '{columns}');
"""
_NOTE = """
INSERT INTO change_image (table_name, row_key, digest) SELECT '{table}', {row_key}, {digest} FROM {table} t
"""
_AS_NOTED = """
 WHERE {former} = (SELECT i.digest FROM change_image i WHERE i.table_name = '{table}' AND i.row_key = {row_key}
                    ORDER BY i.id DESC LIMIT 1)
"""


def upgrade() -> None:
    op.execute("SET LOCAL TIME ZONE 'UTC'; SET LOCAL bytea_output = 'hex'")
    for table, key, former, added in GROWN:
        _watch(table, key, f"{former},{added}")
        _note(table, key, f"{former},{added}", _AS_NOTED, former)
    _watch("dispute", "id", DISPUTE)
    _note("dispute", "id", DISPUTE)
    # Orders come without one: a trigger on each new order would note nothing.
    op.execute(_CHANGED.format(**_named("orders", "id", "amount_reported_minor")))
    _note("orders", "id", "amount_reported_minor", " WHERE amount_reported_minor IS NOT NULL")


def downgrade() -> None:
    op.execute("SET LOCAL TIME ZONE 'UTC'; SET LOCAL bytea_output = 'hex'")
    op.execute("DROP TRIGGER note_changed_orders ON orders")
    op.execute("DROP TRIGGER note_new_dispute ON dispute; DROP TRIGGER note_changed_dispute ON dispute")
    for table, key, former, added in GROWN:
        _watch(table, key, former)
        _note(table, key, former, _AS_NOTED, f"{former},{added}")


def _watch(table: str, key: str, columns: str) -> None:
    op.execute((_TRIGGERS + _CHANGED).format(**_named(table, key, columns)))


def _note(table: str, key: str, columns: str, where: str = "", former: str = "") -> None:
    """Rows as they stand; with `where` those alone."""
    named = _named(table, key, columns) | {"digest": _digest(columns), "former": _digest(former)}
    op.execute((_NOTE + where).format(**named))


def _named(table: str, key: str, columns: str) -> dict[str, str]:
    return {
        "table": table,
        "key": key,
        "columns": columns,
        "of": columns.replace(",", ", "),
        "old": _row_of(columns, "OLD"),
        "new": _row_of(columns, "NEW"),
        "row_key": " || '/' || ".join(f"t.{column}::text" for column in key.split(",")),
    }


def _row_of(columns: str, row: str) -> str:
    listed = ", ".join(f"{row}.{column}" for column in columns.split(","))
    return listed if "," in columns else f"ROW({listed})"


def _digest(columns: str) -> str:
    return (
        "sha256(convert_to((SELECT jsonb_object_agg(c, to_jsonb(t) -> c)::text"
        f" FROM unnest(string_to_array('{columns}', ',')) AS c), 'UTF8'))"
    )
