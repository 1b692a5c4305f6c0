"""`/balances`: what the store has, and the statement of how it came about."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from flask import Response, request
from pydantic import Field

from portal.api.answers import answer
from portal.api.authentication import Caller, current_caller
from portal.api.operations import operation
from portal.api.v1 import api_v1
from portal.api.v1.cursors import cursor_of, number_of
from portal.api.v1.orders_schemas import Cursor, Limit
from portal.api.validation import Answer, Query, validated_query
from portal.core.ids import public_id
from portal.core.money import format_amount
from portal.identity.models import Scope
from portal.ledger.models import AccountKind, OwnerKind
from portal.ledger.queries import NEWEST, StatementLine, list_balances, list_statement
from portal.orders.representation import moment
from portal.reference.queries import get_currency

_KINDS = (AccountKind.AVAILABLE, AccountKind.HELD)
_SUBJECT_PREFIXES = {"order": "ord", "deposit": "dep", "withdrawal": "wdr", "dispute": "dsp"}


class BalanceOut(Answer):
    """`available` can be spent; `held` is set aside for open payouts and withdrawals."""

    currency: str
    available: str
    held: str


class BalancesOut(Answer):
    object: Literal["balances"]
    mode: Literal["live", "test"]
    data: list[BalanceOut]


class ListEntries(Query):
    account: Annotated[Literal["available", "held"] | None, Field(description="One of the two accounts.")] = (
        None
    )
    cursor: Cursor | None = None
    limit: Limit = 20


class EntryOut(Answer):
    """One movement on one account; `subject_id` is the order (deposit, withdrawal ...) it belongs to."""

    object: Literal["entry"]
    kind: str
    account: Literal["available", "held"]
    currency: str
    amount: str
    balance_after: str | None
    subject: str
    subject_id: str
    reason: str | None
    created_at: datetime


class EntryList(Answer):
    object: Literal["list"]
    data: list[EntryOut]
    has_more: bool
    next_cursor: str | None


@api_v1.get("/balances", provide_automatic_options=False)
@operation(summary="Read the balances", tag="Balances", scope=Scope.BALANCES_READ, answer=BalancesOut)
def balances() -> Response:
    caller = current_caller()
    return answer({"object": "balances", "mode": caller.mode.value, "data": _balances(caller)})


def _balances(caller: Caller) -> list[dict[str, str]]:
    """Available and held by currency; a new store has zeros in its settlement currency."""
    minor = {caller.store.settlement_currency: dict.fromkeys(_KINDS, 0)}
    for balance in list_balances(OwnerKind.STORE, caller.store.id, caller.mode):
        if balance.kind in _KINDS:
            minor.setdefault(balance.currency, dict.fromkeys(_KINDS, 0))[balance.kind] = balance.minor
    return [
        {
            "currency": code,
            "available": format_amount(kinds[AccountKind.AVAILABLE], get_currency(code).exponent),
            "held": format_amount(kinds[AccountKind.HELD], get_currency(code).exponent),
        }
        for code, kinds in sorted(minor.items())
    ]


@api_v1.get("/balances/entries", provide_automatic_options=False)
@operation(
    summary="List the movements on the balances, newest first",
    tag="Balances",
    scope=Scope.BALANCES_READ,
    query=ListEntries,
    answer=EntryList,
    problems=(400, 422),
)
def entries() -> Response:
    caller = current_caller()
    asked = validated_query(ListEntries, request.args)
    kinds = _KINDS if asked.account is None else (AccountKind(asked.account),)
    before = number_of(asked.cursor)
    found = list_statement(
        OwnerKind.STORE, caller.store.id, caller.mode, kinds,
        before=NEWEST if before is None else before, limit=asked.limit + 1,
    )  # fmt: skip
    page = found[: asked.limit]
    has_more = len(found) > len(page)
    return answer(
        {
            "object": "list",
            "data": [_entry(line) for line in page],
            "has_more": has_more,
            "next_cursor": cursor_of(page[-1].posting_id) if has_more else None,
        }
    )


def _entry(line: StatementLine) -> dict[str, object]:
    exponent = get_currency(line.currency).exponent
    after = line.balance_after_minor
    prefix = _SUBJECT_PREFIXES.get(line.subject_kind)
    return {
        "object": "entry",
        "kind": line.entry_kind,
        "account": line.account_kind.value,
        "currency": line.currency,
        "amount": format_amount(line.amount_minor, exponent),
        "balance_after": None if after is None else format_amount(after, exponent),
        "subject": line.subject_kind,
        "subject_id": public_id(prefix, line.subject_id) if prefix else str(line.subject_id),
        "reason": line.reason,
        "created_at": moment(line.at),
    }
