"""Finding and opening accounts. An account's id never changes, so it is remembered in process."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from portal.core.db import after_commit, hot
from portal.core.modes import Mode
from portal.ledger.models import AccountKind, OwnerKind

_ids: dict[AccountOf, int] = {}
_generation = 0

_FIND = """
SELECT id FROM ledger_account
 WHERE owner_kind = %(owner_kind)s AND owner_id IS NOT DISTINCT FROM %(owner_id)s AND kind = %(kind)s
   AND currency = %(currency)s AND mode = %(mode)s
"""
_OPEN = """
INSERT INTO ledger_account (owner_kind, owner_id, kind, currency, mode, floor, keeps_balance)
VALUES (%(owner_kind)s, %(owner_id)s, %(kind)s, %(currency)s, %(mode)s, %(floor)s, %(keeps_balance)s)
ON CONFLICT (owner_kind, owner_id, kind, currency, mode) DO NOTHING
RETURNING id
"""


@dataclass(frozen=True, slots=True)
class AccountOf:
    """Whose money of which kind: what makes an account unique."""

    owner_kind: OwnerKind
    owner_id: uuid.UUID | None
    kind: AccountKind
    currency: str
    mode: Mode

    @property
    def floor(self) -> int | None:
        """`available` and `held` never fall below zero; the others may be negative."""
        return 0 if self.kind in {AccountKind.AVAILABLE, AccountKind.HELD} else None

    @property
    def keeps_balance(self) -> bool:
        """Platform and world are touched by every order: their balance is rolled up, not kept in a row."""
        return self.owner_kind not in {OwnerKind.PLATFORM, OwnerKind.WORLD}


def account_id(account: AccountOf) -> int:
    """The id of the account, opening it first if need be. Call inside transaction()."""
    known = _ids.get(account)
    if known is not None:
        return known
    params = {
        "owner_kind": account.owner_kind.value,
        "owner_id": account.owner_id,
        "kind": account.kind.value,
        "currency": account.currency,
        "mode": account.mode.value,
        "floor": account.floor,
        "keeps_balance": account.keeps_balance,
    }
    # The insert waits for a twin that opens the same account; its row is then visible to the second look.
    rows = hot(_FIND, params) or hot(_OPEN, params) or hot(_FIND, params)
    found = int(rows[0]["id"])
    after_commit(lambda: _ids.setdefault(account, found))
    return found


def known_id(account: AccountOf) -> int:
    """What account_id() says without a statement. Raises KeyError where it needs one."""
    return _ids[account]


def generation() -> int:
    """Another number once accounts were forgotten: for whoever remembers ids themselves."""
    return _generation


def forget_accounts() -> None:
    """Drop what is remembered (after a restore or a rolled-back test)."""
    global _generation  # noqa: PLW0603 - the process's own, as what is remembered
    _generation += 1
    _ids.clear()


def store_account(store_id: uuid.UUID, kind: AccountKind, currency: str, mode: Mode) -> AccountOf:
    return AccountOf(OwnerKind.STORE, store_id, kind, currency, mode)


def trader_account(trader_id: uuid.UUID, kind: AccountKind, currency: str, mode: Mode) -> AccountOf:
    return AccountOf(OwnerKind.TRADER, trader_id, kind, currency, mode)


def lead_account(lead_id: uuid.UUID, kind: AccountKind, currency: str, mode: Mode) -> AccountOf:
    return AccountOf(OwnerKind.LEAD, lead_id, kind, currency, mode)


def platform_account(kind: AccountKind, currency: str, mode: Mode) -> AccountOf:
    return AccountOf(OwnerKind.PLATFORM, None, kind, currency, mode)


def world_account(kind: AccountKind, currency: str, mode: Mode) -> AccountOf:
    return AccountOf(OwnerKind.WORLD, None, kind, currency, mode)
