"""A small world for tests of money: one store, traders with requisites and deposits, made by the real verbs."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert, select

from portal.audit.masking import masked
from portal.core.actors import SYSTEM, Actor, ActorKind
from portal.core.crypto import blind_index, encrypt
from portal.core.db import db, hot, transaction
from portal.core.ids import new_id
from portal.core.modes import Mode
from portal.identity.models import Role, User, UserRole
from portal.ledger.accounts import account_id, store_account, trader_account
from portal.ledger.models import AccountKind, OwnerKind
from portal.ledger.queries import balance_minor
from portal.ledger.service import deposit, deposit_to_account
from portal.merchants.models import FeePlan
from portal.merchants.queries import PlanTerms, StoreTerms, get_store, stores
from portal.merchants.service import NewStore, create_merchant, create_store
from portal.orders.models import Direction
from portal.orders.queries import get_order
from portal.orders.record import OrderRecord
from portal.orders.service.create import Customer, NewOrder, Recipient, create_order
from portal.reference.queries import default_settlement_currency
from portal.reference.requisite_numbers import normalise
from portal.reference.service import set_rate
from portal.traders.models import Requisite, Trader
from portal.traders.queries import traders
from portal.traders.seeding import add_approved_requisite
from portal.traders.service import (
    NewRequisite,
    create_trader,
    refresh_readiness,
    set_working,
    verify_trader,
)
from portal.traders.teams import open_team
from tests.moulds import keep, mould_of

USDT = 10**6
_SUPPORT = new_id()  # a party to no order
_numbers = itertools.count(1)


def card_number() -> str:
    """A new number with a right check digit."""
    body = f"4111{next(_numbers):011d}"
    total = 0
    for place, digit in enumerate(reversed(body)):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return body + str(-total % 10)


@dataclass
class Scene:
    """Ids of the people of one test. Acme's store charges 3 %, traders earn 1 %, the lead 0.5 %."""

    store_id: uuid.UUID
    lead_id: uuid.UUID
    team_id: uuid.UUID

    @property
    def store(self) -> StoreTerms:
        return get_store(self.store_id)

    @property
    def merchant(self) -> Actor:
        return Actor(ActorKind.MERCHANT, self.store_id)

    @property
    def support(self) -> Actor:
        return Actor(ActorKind.SUPPORT, _SUPPORT)

    def trader(self, *, deposit_minor: int = 10_000 * USDT, working: bool = True) -> Trader:
        return made_trader("Tara", self.team_id, Mode.LIVE, deposit_minor, working=working)

    def requisite(self, trader: Trader, *, on: bool = True, **limits: Any) -> Requisite:
        values = {"min_amount": 100_00, "max_amount": 1_000_000_00, "max_open_orders": 100} | limits
        new = NewRequisite(
            method="card", currency="RUB", number=card_number(), holder="TARA P.", bank="sber", **values
        )
        return made_requisite(trader, new, on=on)

    def copies_of(self, requisite: Requisite, count: int) -> None:
        """As many more of its trader in the same state, each with a number and a place in the ring of its own.

        Written in one statement: to hand each in and to approve it looks at all others of the trader.
        """
        if not count:
            return
        table = Requisite.__table__
        own = {
            "id",
            "number_encrypted",
            "number_index",
            "number_masked",
            "number_last4",
            "ring",
            "created_at",
        }
        with transaction():
            row = db.session.execute(select(table).where(table.c.id == requisite.id)).mappings().one()
            same = {c.name: row[c.name] for c in table.columns if c.computed is None and c.name not in own}
            db.session.execute(insert(table), [same | _card(card_number()) for _ in range(count)])

    def payin(self, amount_minor: int = 1500_00, **values: Any) -> OrderRecord:
        new = NewOrder(Direction.PAYIN, amount_minor, "RUB", **({"method": "card"} | values))
        return self.create(new)

    def payout(self, amount_minor: int = 1500_00, **values: Any) -> OrderRecord:
        recipient = Recipient(normalise("card", card_number(), "RUB"), "IVAN P.")
        new = NewOrder(
            Direction.PAYOUT, amount_minor, "RUB", method="card", bank="sber", recipient=recipient, **values
        )
        return self.create(new)

    def create(self, new: NewOrder) -> OrderRecord:
        with transaction():
            created = create_order(self.store, Mode.LIVE, new, actor=self.merchant)
        assert created.order_id is not None
        return get_order(created.order_id)

    def fund_store(self, amount_minor: int = 1000 * USDT) -> None:
        with transaction():
            account = account_id(store_account(self.store_id, AccountKind.AVAILABLE, "USDT", Mode.LIVE))
            deposit_to_account(
                account, amount_minor, "USDT", Mode.LIVE, subject_id=new_id(), reference="test", actor=SYSTEM
            )

    def trader_balance(self, trader: Trader, kind: AccountKind = AccountKind.AVAILABLE) -> int:
        currency = "RUB" if kind is AccountKind.FIAT else "USDT"
        return balance_minor(OwnerKind.TRADER, trader.id, kind, currency, Mode.LIVE)

    def store_balance(self, kind: AccountKind = AccountKind.AVAILABLE) -> int:
        return balance_minor(OwnerKind.STORE, self.store_id, kind, "USDT", Mode.LIVE)


def build_scene(**plan: Any) -> Scene:
    """Call inside transaction() or with its isolation: a merchant with a store, a lead with a team."""
    what = ("scene", default_settlement_currency(), *sorted(plan.items()))
    if (mould := mould_of(what)) is None:
        scene = _scene_by_verbs(plan)
        plans = db.session.scalars(select(FeePlan.id).where(FeePlan.store_id == scene.store_id))
        made = (scene.store_id, scene.lead_id, scene.team_id, scene.store.merchant_id, *plans)
        email = db.session.get_one(User, scene.lead_id).email
        keep(
            what, made, [email],
            users="id", user_role="user_id", team="id", merchant="id", store="id", fee_plan="id",
        )  # fmt: skip
    else:
        scene, others = Scene(new_id(), new_id(), new_id()), (new_id(), new_id(), new_id())
        mould.cast(
            scene.store_id, scene.lead_id, scene.team_id, *others, f"lead-{uuid.uuid4().hex}@example.test"
        )
        stores.changed()
        traders.changed()
    # Last, since a transaction that has changed a rate reads all reference data anew, each time.
    set_rate("USDT", "RUB", 95_000_000, SYSTEM, force=True)
    return scene


def _scene_by_verbs(plan: Mapping[str, Any]) -> Scene:
    lead = User(email=f"lead-{uuid.uuid4().hex}@example.test", name="Lena")
    lead.roles = [UserRole(role=Role.LEAD.value)]
    db.session.add(lead)
    db.session.flush()
    team = open_team("Lena's team", lead.id, actor=SYSTEM)
    merchant = create_merchant("Acme", actor=SYSTEM)
    terms = PlanTerms(
        **(
            {"store_fee_bps": 300, "fixed_minor": 0, "trader_commission_bps": 100, "lead_commission_bps": 50}
            | plan
        )
    )
    plans = [("payin", None, terms), ("payout", None, terms)]
    store = create_store(
        merchant.id, NewStore("Acme shop", ["https://shop.example"], plans=plans), actor=SYSTEM
    )
    return Scene(store.id, lead.id, team.id)


def made_trader(
    name: str, team_id: uuid.UUID, mode: Mode, deposit_minor: int, *, working: bool = True
) -> Trader:
    """A verified trader of this team, with a deposit of USDT unless it is 0."""
    currency = default_settlement_currency()
    what = ("trader", name, mode, working, currency)
    with transaction():
        if (mould := mould_of(what)) is None:
            trader = create_trader(name, team_id=team_id, mode=mode, actor=SYSTEM)
            verify_trader(trader.id)
            set_working(trader.id, working)
            keep(what, [trader.id], [team_id], trader="id")
        else:
            trader_id = new_id()
            mould.cast(trader_id, team_id)
            trader = db.session.get_one(Trader, trader_id)
            for kind in (AccountKind.AVAILABLE, AccountKind.HELD):
                account_id(trader_account(trader_id, kind, currency, mode))
            traders.changed()
        if deposit_minor:
            deposit(
                trader.id, deposit_minor, "USDT", mode, subject_id=new_id(), reference="test", actor=SYSTEM
            )
    return trader


def made_requisite(trader: Trader, new: NewRequisite, *, on: bool = True) -> Requisite:
    """An approved card of the trader for roubles, switched on unless told otherwise."""
    assert (new.method, new.currency) == ("card", "RUB")
    mode, currency = Mode(trader.mode), default_settlement_currency()
    what = ("requisite", new.bank, on)
    with transaction():
        if (mould := mould_of(what)) is None:
            requisite = add_approved_requisite(trader.id, new, is_on=on)
            keep(what, [requisite.id], [trader.id, masked({"number": new.number})["number"]], requisite="id")
            return requisite
        row = asdict(new) | _card(new.number) | {"mode": mode.value}
        for column, kind in (("available", AccountKind.AVAILABLE), ("held", AccountKind.HELD)):
            row[f"{column}_account_id"] = account_id(trader_account(trader.id, kind, currency, mode))
        row["decided_at"] = row["approved_at"] = datetime.now(UTC)
        row = {name: _in_json(value) for name, value in row.items()}
        mould.cast(row["id"], trader.id, masked({"number": new.number})["number"], requisite=row)
        refresh_readiness(trader.id)
        return db.session.get_one(Requisite, uuid.UUID(row["id"]))


def _in_json(value: Any) -> Any:
    """As jsonb_populate_recordset() reads it."""
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    return value if isinstance(value, int | None) else str(value)


def _card(text: str) -> dict[str, Any]:
    """An id with the columns of this number."""
    number, requisite_id = normalise("card", text, "RUB"), new_id()
    return {
        "id": requisite_id,
        "number_encrypted": encrypt("requisite", "number", requisite_id, number.number),
        "number_index": blind_index("requisite", number.number),
        "number_masked": number.masked,
        "number_last4": number.last4,
    }


def as_trader(trader: Trader) -> Actor:
    return Actor(ActorKind.TRADER, trader.id)


def counters(requisite: Requisite) -> dict[str, Any]:
    sql = "SELECT open_orders, day_amount, day_count, window_amount, total_amount FROM requisite WHERE id = %(id)s"
    return hot(sql, {"id": requisite.id})[0]


__all__ = ["USDT", "Customer", "Scene", "as_trader", "build_scene", "card_number", "counters"]
