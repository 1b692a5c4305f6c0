"""Reading balances and statements. All amounts are minor units."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from portal.core.db import hot
from portal.core.modes import Mode
from portal.ledger.models import AccountKind, EntryKind, OwnerKind

_BALANCES = """
SELECT a.id, a.kind, a.currency, a.owner_kind, a.owner_id, a.mode,
       CASE WHEN a.keeps_balance THEN a.balance
            ELSE coalesce((SELECT r.balance FROM ledger_rollup r WHERE r.account_id = a.id), 0)
               + coalesce((SELECT sum(u.amount) FROM ledger_unfolded u WHERE u.account_id = a.id), 0)::bigint
       END AS balance
  FROM ledger_account a
 WHERE a.owner_kind = %(owner_kind)s AND a.owner_id IS NOT DISTINCT FROM %(owner_id)s AND a.mode = %(mode)s
 ORDER BY a.currency, a.kind
"""


@dataclass(frozen=True, slots=True)
class Balance:
    account_id: int
    kind: AccountKind
    currency: str
    minor: int


def list_balances(owner_kind: OwnerKind, owner_id: uuid.UUID | None, mode: Mode) -> list[Balance]:
    """Exact balances of all accounts of an owner (roll-up plus newer postings in one snapshot)."""
    rows = hot(_BALANCES, {"owner_kind": owner_kind.value, "owner_id": owner_id, "mode": mode.value})
    return [
        Balance(row["id"], AccountKind(row["kind"]), row["currency"], int(row["balance"])) for row in rows
    ]


_BALANCES_OF = """
SELECT owner_id, kind, currency, balance FROM ledger_account
 WHERE owner_kind = ANY(%(kinds)s) AND owner_id = ANY(%(owners)s::uuid[]) AND mode = %(mode)s AND keeps_balance
 ORDER BY currency, kind
"""


@dataclass(frozen=True, slots=True)
class OwnedBalance:
    owner_id: uuid.UUID
    kind: AccountKind
    currency: str
    minor: int


def list_balances_of(
    owner_kinds: Sequence[OwnerKind], owner_ids: Sequence[uuid.UUID], mode: Mode
) -> list[OwnedBalance]:
    """Exact balances of several owners at once: stores, traders, leads."""
    params = {"kinds": [kind.value for kind in owner_kinds], "owners": list(owner_ids), "mode": mode.value}
    return [
        OwnedBalance(row["owner_id"], AccountKind(row["kind"]), row["currency"], int(row["balance"]))
        for row in hot(_BALANCES_OF, params)
    ]


_SUMS = """
SELECT a.owner_kind, a.kind, a.currency, sum(
         CASE WHEN a.keeps_balance THEN a.balance
              ELSE coalesce((SELECT r.balance FROM ledger_rollup r WHERE r.account_id = a.id), 0)
                 + coalesce((SELECT sum(u.amount) FROM ledger_unfolded u WHERE u.account_id = a.id), 0)
         END)::bigint AS balance
  FROM ledger_account a WHERE a.mode = %(mode)s GROUP BY a.owner_kind, a.kind, a.currency
 ORDER BY a.currency, a.owner_kind, a.kind
"""


@dataclass(frozen=True, slots=True)
class BalanceSum:
    """What all owners of one kind have together."""

    owner_kind: OwnerKind
    kind: AccountKind
    currency: str
    minor: int


def sum_balances(mode: Mode) -> list[BalanceSum]:
    """Exact sums over all accounts, by kind of owner, kind of money and currency. Grows with accounts alone."""
    return [
        BalanceSum(
            OwnerKind(row["owner_kind"]), AccountKind(row["kind"]), row["currency"], int(row["balance"])
        )
        for row in hot(_SUMS, {"mode": mode.value})
    ]


def balance_minor(
    owner_kind: OwnerKind, owner_id: uuid.UUID | None, kind: AccountKind, currency: str, mode: Mode
) -> int:
    """The exact balance of one account; 0 when it was never opened."""
    for balance in list_balances(owner_kind, owner_id, mode):
        if balance.kind == kind and balance.currency == currency:
            return balance.minor
    return 0


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One posting as its owner sees it. `balance_after_minor` is None where no running balance is kept."""

    posting_id: int
    entry_kind: str
    subject_kind: str
    subject_id: uuid.UUID
    account_kind: AccountKind
    currency: str
    amount_minor: int
    balance_after_minor: int | None
    at: datetime
    reason: str | None


_STATEMENT = """
SELECT p.id, p.amount, p.currency, p.balance_after, e.kind AS entry_kind, e.subject_kind, e.subject_id,
       e.created_at, e.reason, a.kind AS account_kind
  FROM ledger_account a
  JOIN LATERAL (
    SELECT * FROM ledger_posting p
     WHERE p.account_id = a.id AND p.id < %(after)s
     ORDER BY p.id DESC LIMIT %(limit)s
  ) p ON true
  JOIN ledger_entry e ON e.id = p.entry_id
 WHERE a.owner_kind = %(owner_kind)s AND a.owner_id IS NOT DISTINCT FROM %(owner_id)s AND a.mode = %(mode)s
   AND a.kind = ANY(%(kinds)s)
 ORDER BY p.id DESC LIMIT %(limit)s
"""
_NEWEST = 2**62


def list_statement(
    owner_kind: OwnerKind,
    owner_id: uuid.UUID | None,
    mode: Mode,
    kinds: Sequence[AccountKind],
    *,
    after: int | None = None,
    limit: int = 50,
) -> list[StatementLine]:
    """Newest postings first, those that come after the posting of this id, which is the last line of a page."""
    params = {
        "owner_kind": owner_kind.value,
        "owner_id": owner_id,
        "mode": mode.value,
        "kinds": [kind.value for kind in kinds],
        "after": _NEWEST if after is None else after,
        "limit": limit,
    }
    return [
        StatementLine(
            row["id"],
            row["entry_kind"],
            row["subject_kind"],
            row["subject_id"],
            AccountKind(row["account_kind"]),
            row["currency"],
            row["amount"],
            row["balance_after"],
            row["created_at"],
            row["reason"],
        )
        for row in hot(_STATEMENT, params)
    ]


# All entries of one subject with their postings, as JSON: for a statement that reads them beside other things.
ENTRIES_OF_SUBJECT = """
SELECT jsonb_agg(jsonb_build_object('id', e.id, 'kind', e.kind, 'at', e.created_at, 'round', e.round, 'postings', (
         SELECT jsonb_agg(jsonb_build_object('owner_kind', a.owner_kind, 'owner_id', a.owner_id, 'kind', a.kind,
                                             'currency', p.currency, 'minor', p.amount) ORDER BY p.id)
           FROM ledger_posting p JOIN ledger_account a ON a.id = p.account_id WHERE p.entry_id = e.id)) ORDER BY e.id)
  FROM ledger_entry e WHERE e.subject_id = %(subject_id)s
"""


@dataclass(frozen=True, slots=True)
class PostingLine:
    """One movement of an entry: whose money of which kind, in signed minor units."""

    owner_kind: OwnerKind
    owner_id: uuid.UUID | None
    kind: AccountKind
    currency: str
    minor: int


@dataclass(frozen=True, slots=True)
class EntryLine:
    """One balanced event with its postings in the order in which they were written."""

    id: int
    kind: EntryKind
    at: datetime
    round: int
    postings: tuple[PostingLine, ...]


def entries_from(rows: Sequence[Mapping[str, Any]] | None) -> tuple[EntryLine, ...]:
    """What ENTRIES_OF_SUBJECT gave."""
    return tuple(
        EntryLine(
            row["id"], EntryKind(row["kind"]), datetime.fromisoformat(row["at"]), row["round"],
            tuple(_posting(posting) for posting in row["postings"] or ()),
        )
        for row in rows or ()
    )  # fmt: skip


def _posting(row: Mapping[str, Any]) -> PostingLine:
    owner = uuid.UUID(row["owner_id"]) if row["owner_id"] else None
    return PostingLine(
        OwnerKind(row["owner_kind"]), owner, AccountKind(row["kind"]), row["currency"], row["minor"]
    )


_OWNERS = """
SELECT DISTINCT owner_kind, owner_id FROM ledger_account WHERE mode = %(mode)s ORDER BY owner_kind, owner_id
"""


def list_owners(mode: Mode) -> list[tuple[OwnerKind, uuid.UUID | None]]:
    """Everybody who has an account in this mode."""
    return [(OwnerKind(row["owner_kind"]), row["owner_id"]) for row in hot(_OWNERS, {"mode": mode.value})]
