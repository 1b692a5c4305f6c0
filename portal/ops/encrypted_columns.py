"""Every column that holds encrypted values, for key rotation and `flask doctor`. A test keeps the list whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from portal.ops.key_rotation import Bound, EncryptedColumn


def _row(table: str, column: str, key: str = "id") -> Callable[[Mapping[str, Any]], Bound]:
    return lambda row: (table, column, row[key])


def _answer(row: Mapping[str, Any]) -> Bound:
    return "idempotency_key", f"{row['path']}\0{row['key']}", row["store_id"]


COLUMNS: tuple[EncryptedColumn, ...] = (
    EncryptedColumn("requisite", "number_encrypted", _row("requisite", "number")),
    EncryptedColumn("orders", "recipient_number_encrypted", _row("orders", "recipient_number")),
    EncryptedColumn("orders", "customer_encrypted", _row("orders", "customer")),
    EncryptedColumn("orders", "payer_encrypted", _row("orders", "payer")),
    EncryptedColumn("webhook_endpoint", "secret_encrypted", _row("webhook_endpoint", "secret")),
    EncryptedColumn("webhook_endpoint", "former_secret_encrypted", _row("webhook_endpoint", "former_secret")),
    EncryptedColumn("totp_factor", "secret_encrypted", _row("totp_factor", "secret_encrypted", "user_id")),
    EncryptedColumn("mail", "secret_encrypted", _row("mail", "secret")),
    EncryptedColumn("idempotency_key", "body_encrypted", _answer),
    # A copy of its requisite's number, as the answer showed it.
    EncryptedColumn(
        "idempotency_key", "secret", _row("requisite", "number", "secret_row_id"), reads=("secret_row_id",)
    ),
)
