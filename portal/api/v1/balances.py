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
from portal.api.v1.cursors import number_after
from portal.api.v1.orders_schemas import Cursor, Limit
from portal.api.validation import Answer, Query, validated_query
from portal.core.cursors import encode_number
from portal.core.ids import public_id
from portal.core.money import format_amount
from portal.identity.models import Scope
from portal.ledger.models import AccountKind, EntryKind, OwnerKind, SubjectKind
from portal.ledger.queries import StatementLine, list_balances, list_statement
from portal.orders.representation import moment
from portal.reference.queries import get_currency

_KINDS = (AccountKind.AVAILABLE, AccountKind.HELD)
_SUBJECT_PREFIXES = {"order": "ord", "deposit": "dep", "withdrawal": "wdr", "dispute": "dsp"}


class BalanceOut(Answer):
    """`available` can be spent; `held` is set aside for open payouts and withdrawals."""

    currency: str
    """A settlement currency."""
    available: str
    """What can be spent or withdrawn."""
    held: str
    """What is set aside for open payouts and withdrawals."""


class BalancesOut(Answer):
    object: Literal["balances"]
    """What this is."""
    mode: Literal["live", "test"]
    """Whether this is money or play, as the key is."""
    data: list[BalanceOut]
    """One balance for each currency."""


class ListEntries(Query):
    account: Annotated[Literal["available", "held"] | None, Field(description="One of the two accounts.")] = (
        None
    )
    cursor: Cursor | None = None
    """`next_cursor` of the page before."""
    limit: Limit = 20


class EntryOut(Answer):
    """One movement on one account; `subject_id` is the order (deposit, withdrawal ...) it belongs to."""

    object: Literal["entry"]
    """What this is."""
    kind: EntryKind
    """Why the money moved."""
    account: Literal["available", "held"]
    """Which of the two accounts it moved on."""
    currency: str
    """A settlement currency."""
    amount: str
    """What was added to the account, or with a minus taken from it."""
    balance_after: str | None
    """What was on the account then; null until it is counted, some seconds later."""
    subject: SubjectKind
    """What kind of thing it moved for."""
    subject_id: str
    """The id of that thing."""
    reason: str | None
    """What somebody wrote to it, if anything."""
    created_at: datetime
    """When it moved."""


class EntryList(Answer):
    object: Literal["list"]
    """What this is."""
    data: list[EntryOut]
    """The newest first."""
    has_more: bool
    """Whether there are older ones."""
    next_cursor: str | None
    """Give it as `cursor` to see them; null on the last page."""


@api_v1.get("/balances", provide_automatic_options=False)
@operation(
    id="list_balances",
    summary="Read the balances",
    tag="Balances",
    scope=Scope.BALANCES_READ,
    answer=BalancesOut,
)
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
    id="list_balance_entries",
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
    found = list_statement(
        OwnerKind.STORE, caller.store.id, caller.mode, kinds,
        after=number_after(asked.cursor), limit=asked.limit + 1,
    )  # fmt: skip
    page = found[: asked.limit]
    has_more = len(found) > len(page)
    return answer(
        {
            "object": "list",
            "data": [_entry(line) for line in page],
            "has_more": has_more,
            "next_cursor": encode_number(page[-1].posting_id) if has_more else None,
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
