"""What the application's database role may do to each table. A test keeps the list whole and compares the database.

`nostro_owner` owns everything and runs the migrations, `nostro_writer` is the application, `nostro_reader` reads. The
rights are given after each `flask db upgrade` (portal/core/schema/rights.py); nobody truncates but the owner.
"""

from __future__ import annotations

# Rows that stay as they were written: read and added to.
HISTORY = frozenset(
    {
        "audit_entry", "audit_seal", "chain_link", "change_image", "config_setting_history", "deposit", "ledger_entry",
        "ledger_posting", "order_event", "past_assignment", "rate_history", "risk_decision", "trader_decision",
        "webhook_attempt",
    }
)  # fmt: skip
# Rows that change and never go.
KEPT = frozenset(
    {
        "api_key", "approval_request", "bank", "bank_method", "chain_mark", "currency", "dispute", "event", "exposure", "heartbeat", "invitation",
        "ledger_rollup", "mailbox_message", "merchant", "merchant_member", "method", "method_currency",
        "notification_choice", "orders", "permission_request", "proof_run", "rate_pair", "refresh_token", "requisite",
        "risk_rule", "store", "team", "trader", "trader_document", "users", "webhook_delivery", "webhook_endpoint",
    }
)  # fmt: skip
# Queues, sessions, choices, and what is forgotten after a while.
PASSING = frozenset(
    {
        "audit_unsealed", "config_setting", "error_report", "factor_attempt", "fee_plan", "idempotency_key",
        "ledger_unfolded", "mail", "merchant_member_store", "notification", "passkey", "passkey_challenge",
        "password_reset", "password_reset_ask", "permission_grant", "queue_stop", "receipt", "recovery_code",
        "risk_list_entry", "saved_view", "sign_in_attempt", "store_traffic", "totp_factor", "user_role",
        "user_session", "webhook_probe", "worker_presence",
    }
)  # fmt: skip
# Of these rows one column changes: balances move by the trigger of a posting, which acts as whoever posts.
ONE_COLUMN = {"ledger_account": "balance"}
# Alembic's own, for `flask doctor`.
READ = frozenset({"alembic_version"})
TABLES = HISTORY | KEPT | PASSING | READ | ONE_COLUMN.keys()


def writer_rights(table: str) -> frozenset[str]:
    """What the application may do to `table`, as in GRANT; a table that is in no list may be read."""
    if table in ONE_COLUMN:
        return frozenset({"SELECT", "INSERT", f"UPDATE ({ONE_COLUMN[table]})"})
    rights = {"SELECT"}
    if table in HISTORY | KEPT | PASSING:
        rights.add("INSERT")
    if table in KEPT | PASSING:
        rights.add("UPDATE")
    if table in PASSING:
        rights.add("DELETE")
    return frozenset(rights)
