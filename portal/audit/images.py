"""Tables that change seldom and decide much: each change of their rows leaves the new row's digest in `change_image`.

One trigger of the database does it, off the hot paths: counters and times of use are not watched. The proof compares
the newest digest of each row with the row as it stands, so that whatever went past the trigger is found.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Watched:
    """A table's key and the columns that are watched, each a list with commas as the trigger takes it.

    `is_born_empty`: a new row has NULL in each watched column and needs no note; only changes are noted.
    """

    table: str
    key: str
    columns: str
    is_born_empty: bool = False


WATCHED = (
    Watched(
        "users",
        "id",
        "email,name,password_hash,is_active,password_changed_at,locale,timezone,has_second_factor,created_at",
    ),
    Watched("user_role", "user_id,role", "user_id,role,created_at"),
    Watched(
        "permission_grant",
        "user_id,permission",
        "reach,is_denied,reason,granted_by,approved_by,created_at",
    ),
    Watched(
        "approval_request",
        "id",
        "kind,subject_kind,subject_id,subject_version,payload,payload_hash,mac,reason,proposed_by,created_at,"
        "expires_at,state,decided_by,decision_reason,ended_at",
    ),
    Watched("totp_factor", "user_id", "secret_encrypted,confirmed_at,created_at"),
    Watched("passkey", "id", "user_id,credential_id,public_key,set_aside_at,name,transports,created_at"),
    Watched(
        "api_key",
        "id",
        "store_id,mode,name,secret_hash,scopes,allowed_networks,expires_at,revoked_at,last4,created_at,mac",
    ),
    Watched("merchant", "id", "name,is_active,created_at"),
    Watched("merchant_member", "merchant_id,user_id", "role,has_all_stores,created_at"),
    Watched("merchant_member_store", "merchant_id,user_id,store_id", "store_id"),
    Watched(
        "store",
        "id",
        "merchant_id,name,settlement_currency,return_origins,is_active,payin_enabled,"
        "payout_enabled,receipt_required,logo_key,accent_colour,support_contact,"
        "tolerance_bps,tolerance_minor,created_at",
    ),
    Watched(
        "fee_plan",
        "id",
        "store_id,direction,method,store_fee_bps,fixed_minor,trader_commission_bps,"
        "lead_commission_bps,allows_negative_margin,created_at",
    ),
    Watched("store_traffic", "store_id,trader_id", "rule,percent"),
    Watched("team", "id", "name,lead_id,payin_on,payout_on,created_at"),
    Watched(
        "trader",
        "id",
        "user_id,team_id,mode,status,is_blocked,verified_until,name,is_working,"
        "blocked_reason,lead_payin_on,lead_payout_on,created_at",
    ),
    Watched(
        "requisite",
        "id",
        "trader_id,mode,method,currency,bank,number_encrypted,number_index,number_masked,"
        "number_last4,holder,status,available_account_id,held_account_id,min_amount,"
        "max_amount,max_open_orders,day_amount_limit,day_count_limit,window_s,"
        "window_amount_limit,total_amount_limit,submitted_by,decided_by,payin_on,payout_on,"
        "trader_payin_on,trader_payout_on,tier,weight,ring,created_at,approved_at,decided_at,"
        "decision_reason",
    ),
    Watched(
        "webhook_endpoint",
        "id",
        "store_id,mode,url,event_types,secret_encrypted,former_secret_encrypted,disabled_at,"
        "deleted_at,former_secret_until,disabled_reason,verified_at,created_at",
    ),
    Watched("config_setting", "key", "value,actor_kind,actor_id,updated_at"),
    Watched("currency", "code", "exponent,is_settlement,is_active,name_en,name_ru"),
    Watched("method_currency", "method,currency", "min_amount,max_amount,bank_required,is_active"),
    Watched(
        "rate_pair",
        "base,quote",
        "source_kind,feed_url,json_pointer,spread_bps,max_deviation_bps,stale_after_s,"
        "is_active,refresh_every_s",
    ),
    Watched(
        "risk_rule",
        "id",
        "name,conditions,action,mode,priority,version,actor_kind,actor_id,created_at,updated_at",
    ),
    Watched("risk_list_entry", "id", "list,kind,value,expires_at,reason,actor_kind,actor_id,created_at"),
    Watched(
        "deposit",
        "id",
        "account_id,currency,mode,amount_minor,reference,actor_kind,actor_id,created_at",
    ),
    # Whose money it is. Accounts are opened seldom and never change; what moves their balance is not watched.
    Watched("ledger_account", "id", "owner_kind,owner_id,kind,currency,mode,floor,keeps_balance,created_at"),
    Watched(
        "receipt",
        "id",
        "order_id,kind,file_key,content_type,size_bytes,sha256,look,actor_kind,actor_id,"
        "picture_key,width,height,pages,is_blank,created_at,seen_sha256",
    ),
    Watched(
        "dispute",
        "id",
        "order_id,reason,words,claimed_minor,opened_by_kind,opened_by_id,opened_at,outcome,"
        "decision_reason,decided_by_kind,decided_by_id,decided_at",
    ),
    # Orders are made by the hundred a second, all without a reported amount: the first note is of the first report.
    Watched("orders", "id", "amount_reported_minor", is_born_empty=True),
)
# What of a watched table is not watched, and why.
_COUNTER = "a counter that a trigger keeps, over rows that are proved themselves"
_USED = "written by each use, decides nothing"
_RECOUNTED = "a counter that each order moves; the proof recounts it from the orders"
_REFRESHED = "written by each refresh; the history of rates and each order's frozen terms tell what was used"
_SWITCHED = "follows from the row's watched columns and its counters; generated by the database"
EXCUSED: dict[str, dict[str, str]] = {
    "users": {"last_seen_at": _USED},
    "totp_factor": {
        "last_step": "written by each use; set back, a code that was used is good again for the rest of its minute or two"
    },
    "passkey": {"sign_count": _USED, "last_used_at": _USED},
    "api_key": {"last_used_at": _USED},
    "merchant": {"stores": _COUNTER, "members": _COUNTER},
    "trader": {"requisites": _COUNTER},
    "requisite": {
        **dict.fromkeys(
            ("open_orders", "day", "day_amount", "day_count", "window_amount", "total_amount"), _RECOUNTED
        ),
        **dict.fromkeys(("can_take_payin", "amounts"), _SWITCHED),
    },
    "ledger_account": {"balance": "moved by each posting; the proof sums it up from them"},
    "webhook_endpoint": {
        "failing_since": "written by deliveries that fail or arrive; decides nothing but a notice"
    },
    "rate_pair": dict.fromkeys(
        (
            "next_refresh_at",
            "last_error",
            "consecutive_failures",
            "current_micros",
            "current_source",
            "observed_at",
        ),
        _REFRESHED,
    ),
}
# Of an order the terms are chained from its first step on, what it was settled with at its end.
IN_CHAINS = frozenset({"orders"})


def key_sql(watched: Watched, row: str = "t") -> str:
    """The row's key as the trigger writes it."""
    return " || '/' || ".join(f"{row}.{column}::text" for column in watched.key.split(","))


def digest_sql(watched: Watched, row: str = "t") -> str:
    """The row's digest as the trigger writes it."""
    names = ", ".join(f"'{column}'" for column in watched.columns.split(","))
    whole = f"SELECT jsonb_object_agg(c, to_jsonb({row}) -> c)::text FROM unnest(array[{names}]) AS c"  # noqa: S608
    return f"sha256(convert_to(({whole}), 'UTF8'))"
