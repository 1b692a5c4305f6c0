"""Writing to the ledger. Nothing else in Nostro writes its rows."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import psycopg

from portal.core.actors import Actor
from portal.core.db import hot
from portal.core.modes import Mode
from portal.ledger.accounts import account_id, trader_account, world_account
from portal.ledger.entries import Movement, Posting
from portal.ledger.errors import InsufficientFunds
from portal.ledger.models import AccountKind, EntryKind, SubjectKind

FLOOR_CONSTRAINT = "ck_ledger_account_floor"

# For statements that post an entry together with what it belongs to, in one round trip.
POST_SQL = (
    "ledger_post(%(entry_kind)s, %(mode)s, %(entry_subject)s, %(entry_subject_id)s::uuid, %(entry_round)s::int,"
    " %(actor_kind)s, %(actor_id)s::uuid, %(entry_reason)s::text, %(entry_reverses)s::bigint, %(entry_accounts)s::bigint[],"
    " %(entry_currencies)s::text[], %(entry_amounts)s::bigint[])"
)
_POST = f"SELECT {POST_SQL} AS entry_id"


def entry_params(
    posting: Posting | None, subject: SubjectKind, subject_id: uuid.UUID, reason: str | None = None
) -> dict[str, Any]:
    """Parameters of POST_SQL; with no posting `entry_kind` is None and the statement must not call it."""
    movements: Sequence[Movement] = posting.movements if posting else ()
    return {
        "entry_kind": posting.kind.value if posting else None,
        "entry_subject": subject.value,
        "entry_subject_id": subject_id,
        "entry_round": posting.round if posting else 0,
        "entry_reason": reason,
        "entry_reverses": None,
        "entry_accounts": [movement.account_id for movement in movements],
        "entry_currencies": [movement.currency for movement in movements],
        "entry_amounts": [movement.amount_minor for movement in movements],
    }


def post_entry(
    posting: Posting,
    mode: Mode,
    subject: SubjectKind,
    subject_id: uuid.UUID,
    *,
    actor: Actor,
    reason: str | None = None,
    reverses: int | None = None,
) -> int:
    """Post one balanced entry and return its id.

    Locks the rows of its accounts in ascending id. Raises InsufficientFunds when one would fall below its
    floor; an event that was posted before (same subject, kind and round) violates a unique index.
    """
    params = entry_params(posting, subject, subject_id, reason) | {
        "mode": mode.value,
        "actor_kind": actor.kind.value,
        "actor_id": actor.id,
        "entry_reverses": reverses,
    }
    try:
        return int(hot(_POST, params)[0]["entry_id"])
    except psycopg.errors.CheckViolation as error:
        raise refusal_of(error) from error


def refusal_of(error: psycopg.Error) -> Exception:
    """InsufficientFunds for a floor that would be broken; the error itself otherwise."""
    if error.diag.constraint_name == FLOOR_CONSTRAINT:
        return InsufficientFunds()
    return error


_RECORD_DEPOSIT = """
INSERT INTO deposit (id, account_id, currency, mode, amount_minor, reference, actor_kind, actor_id)
VALUES (%(id)s, %(account)s, %(currency)s, %(mode)s, %(amount)s, %(reference)s, %(actor_kind)s, %(actor_id)s)
"""


def deposit(
    trader_id: uuid.UUID,
    amount_minor: int,
    currency: str,
    mode: Mode,
    *,
    subject_id: uuid.UUID,
    reference: str,
    actor: Actor,
    reason: str | None = None,
) -> int:
    """Settlement money of a trader comes in: as deposit_to_account(), onto their `available`."""
    account = account_id(trader_account(trader_id, AccountKind.AVAILABLE, currency, mode))
    return deposit_to_account(
        account,
        amount_minor,
        currency,
        mode,
        subject_id=subject_id,
        reference=reference,
        actor=actor,
        reason=reason,
    )


def deposit_to_account(
    account: int,
    amount_minor: int,
    currency: str,
    mode: Mode,
    *,
    subject_id: uuid.UUID,
    reference: str,
    actor: Actor,
    reason: str | None = None,
) -> int:
    """Settlement money comes in from outside: account +X, world.settlement -X. Returns the entry's id.

    `reference` is by what it is found outside (a transaction's hash, a statement's line): an entry without its record
    is what `flask ledger verify` reports. `subject_id` names the deposit: the same one can't be posted twice.
    """
    world = account_id(world_account(AccountKind.SETTLEMENT, currency, mode))
    record = {
        "id": subject_id,
        "account": account,
        "currency": currency,
        "mode": mode.value,
        "amount": amount_minor,
    }
    hot(
        _RECORD_DEPOSIT,
        record | {"reference": reference, "actor_kind": actor.kind.value, "actor_id": actor.id},
    )
    movements = [Movement(account, currency, amount_minor), Movement(world, currency, -amount_minor)]
    posting = Posting(EntryKind.DEPOSIT, 0, movements)
    return post_entry(posting, mode, SubjectKind.DEPOSIT, subject_id, actor=actor, reason=reason)


_FOLD = """
WITH taken AS (
  DELETE FROM ledger_unfolded WHERE posting_id IN (
    SELECT posting_id FROM ledger_unfolded ORDER BY posting_id LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
  RETURNING account_id, amount
), folded AS (
  INSERT INTO ledger_rollup (account_id, balance)
  SELECT account_id, sum(amount) FROM taken GROUP BY account_id ORDER BY account_id
  ON CONFLICT (account_id) DO UPDATE
    SET balance = ledger_rollup.balance + excluded.balance, folded_at = clock_timestamp()
)
SELECT count(*) AS n FROM taken
"""


def fold_rollup(limit: int = 5000) -> int:
    """Fold up to `limit` new postings of platform and world into their roll-up; how many were folded.

    Safe to run by many at once: a posting leaves the queue in the transaction that adds it.
    """
    return int(hot(_FOLD, {"limit": limit})[0]["n"])
