"""Tables that change seldom and decide much: each change of their rows leaves the new row's digest in `change_image`.

One trigger of the database does it, off the hot paths: counters and times of use are not watched. The proof compares
the newest digest of each row with the row as it stands, so that whatever went past the trigger is found.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Watched:
    """A table's key and the columns that are watched, each a list with commas as the trigger takes it."""

    table: str
    key: str
    columns: str


WATCHED = (
    Watched("users", "id", "email,name,password_hash,is_active"),
    Watched("user_role", "user_id,role", "user_id,role"),
    Watched("permission_grant", "user_id,permission", "reach,is_denied,reason,granted_by,approved_by"),
    Watched("totp_factor", "user_id", "secret_encrypted,confirmed_at"),
    Watched("passkey", "id", "user_id,credential_id,public_key,set_aside_at"),
    Watched("api_key", "id", "store_id,mode,name,secret_hash,scopes,allowed_networks,expires_at,revoked_at"),
    Watched("merchant", "id", "name,is_active"),
    Watched("merchant_member", "merchant_id,user_id", "role,has_all_stores"),
    Watched("merchant_member_store", "merchant_id,user_id,store_id", "store_id"),
    Watched(
        "store",
        "id",
        "merchant_id,name,settlement_currency,return_origins,is_active,payin_enabled,payout_enabled,receipt_required",
    ),
    Watched(
        "fee_plan",
        "id",
        "store_id,direction,method,store_fee_bps,fixed_minor,trader_commission_bps,lead_commission_bps,"
        "allows_negative_margin",
    ),
    Watched("store_traffic", "store_id,trader_id", "rule,percent"),
    Watched("team", "id", "name,lead_id"),
    Watched("trader", "id", "user_id,team_id,mode,status,is_blocked,verified_until"),
    Watched(
        "requisite",
        "id",
        "trader_id,mode,method,currency,bank,number_encrypted,number_index,number_masked,number_last4,holder,status,"
        "available_account_id,held_account_id,min_amount,max_amount,max_open_orders,day_amount_limit,day_count_limit,"
        "window_s,window_amount_limit,total_amount_limit,submitted_by,decided_by",
    ),
    Watched(
        "webhook_endpoint",
        "id",
        "store_id,mode,url,event_types,secret_encrypted,former_secret_encrypted,disabled_at,deleted_at",
    ),
    Watched("config_setting", "key", "value"),
    Watched("currency", "code", "exponent,is_settlement,is_active"),
    Watched("method_currency", "method,currency", "min_amount,max_amount,bank_required,is_active"),
    Watched(
        "rate_pair",
        "base,quote",
        "source_kind,feed_url,json_pointer,spread_bps,max_deviation_bps,stale_after_s,is_active",
    ),
    Watched("risk_rule", "id", "name,conditions,action,mode"),
    Watched("risk_list_entry", "id", "list,kind,value,expires_at"),
    Watched(
        "deposit", "id", "account_id,currency,mode,amount_minor,reference,actor_kind,actor_id,created_at"
    ),
    Watched(
        "receipt", "id", "order_id,kind,file_key,content_type,size_bytes,sha256,look,actor_kind,actor_id"
    ),
)


def key_sql(watched: Watched, row: str = "t") -> str:
    """The row's key as the trigger writes it."""
    return " || '/' || ".join(f"{row}.{column}::text" for column in watched.key.split(","))


def digest_sql(watched: Watched, row: str = "t") -> str:
    """The row's digest as the trigger writes it."""
    names = ", ".join(f"'{column}'" for column in watched.columns.split(","))
    whole = f"SELECT jsonb_object_agg(c, to_jsonb({row}) -> c)::text FROM unnest(array[{names}]) AS c"  # noqa: S608
    return f"sha256(convert_to(({whole}), 'UTF8'))"
