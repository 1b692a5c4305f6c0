"""The demo's people, shops and money. Nothing of this exists in a production installation."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from portal.core.actors import SYSTEM
from portal.core.db import db, transaction
from portal.core.ids import new_id, public_id
from portal.core.modes import Mode
from portal.identity.models import Role, User
from portal.identity.queries import find_user_by_email
from portal.identity.service import create_user, set_password
from portal.identity.tokens.api_keys import find_key, issue_api_key
from portal.ledger.accounts import account_id, store_account
from portal.ledger.models import AccountKind
from portal.ledger.service import deposit, deposit_to_account
from portal.merchants.models import Merchant, Store
from portal.merchants.queries import PlanTerms, stores
from portal.merchants.service import NewStore, create_merchant, create_store, set_traffic_rule
from portal.reference import configuration as config
from portal.reference import setting_changes
from portal.reference.example_numbers import example_number
from portal.reference.queries import list_banks, list_currencies, list_methods, method_terms
from portal.reference.seeding import seed_reference
from portal.reference.service import PairTerms, change_terms, set_rate
from portal.settings import get_settings
from portal.traders.models import Trader
from portal.traders.sandbox import seed_sandbox
from portal.traders.seeding import add_approved_requisite
from portal.traders.service import (
    NewRequisite,
    create_trader,
    set_working,
    verify_trader,
)
from portal.traders.teams import open_team
from portal.webhooks.service import check_endpoint_url, reveal_secret, set_endpoint

USDT = 10**6
RATES = {"RUB": 95_000_000, "KZT": 520_500_000, "UZS": 12_650_000_000, "EUR": 920_000, "INR": 88_600_000}
PEOPLE = {
    Role.MERCHANT: "Acme, the merchant",
    Role.TRADER: "Tara, a trader",
    Role.LEAD: "Lena, a team lead",
    Role.SUPPORT: "Sofia, support",
    Role.ADMIN: "Ada, the admin",
}
PLAN = PlanTerms(store_fee_bps=300, fixed_minor=0, trader_commission_bps=120, lead_commission_bps=30)
SIMULATED_TRADERS = 4
_HOUR_S = 3600
_FIRST_REQUISITES = {"card": 8, "sbp": 6}

Facts = dict[str, Any]


def seed_demo(base_url: str, shop_url: str, known: Mapping[str, Any] | None = None) -> Facts:
    """Make the demo's world, or find it again, and return what var/demo.json says.

    `known` is what an earlier start wrote: its passwords and keys stay valid. Raises RuntimeError in
    production.
    """
    if get_settings().environment == "production":
        raise RuntimeError("The demo's people are not for a production installation.")
    _seed_reference()
    _lengthen_grace()
    if known and not _is_still_there(known):
        known = None
    passwords = _passwords(known)
    users = {role: _user(role, passwords[role.value], is_new=known is None) for role in PEOPLE}
    tara, crew = _traders(users[Role.LEAD], users[Role.TRADER])
    store_id = _store(
        users[Role.MERCHANT], "Acme shop", [shop_url, base_url, "https://shop.example"], [tara], crew
    )
    simulated = _store(users[Role.MERCHANT], "Simulated shop", [base_url], crew, [tara])
    keys = dict(known["api_keys"]) if known else _keys(store_id)
    hook = f"{shop_url}/webhooks/nostro"
    return {
        "base_url": base_url,
        "shop_url": shop_url,
        "logins": {
            role.value: {"email": users[role].email, "password": passwords[role.value]} for role in PEOPLE
        },
        "api_keys": keys,
        "store_id": public_id("st", store_id),
        "webhook_secret": _webhook(store_id, hook, Mode.LIVE),
        "simulation": _simulation(simulated, crew, known),
    }


def _seed_reference() -> None:
    with transaction():
        seed_reference()
        seed_sandbox()
    for currency, micros in RATES.items():
        with transaction():
            # Nobody keeps the demo's rates by hand, so they stay good for as long as a demo may run.
            change_terms("USDT", currency, PairTerms(stale_after_s=30 * 86400))
            set_rate("USDT", currency, micros, SYSTEM, force=True)


def _lengthen_grace() -> None:
    """The demo's people sign in with a password alone; whoever set another grace keeps it."""
    grace = config.SECOND_FACTOR_GRACE_S
    if config.get(grace) == grace.default and grace.maximum is not None:
        with transaction():
            setting_changes.set_value(grace.key, grace.maximum, SYSTEM)


def _passwords(known: Mapping[str, Any] | None) -> dict[str, str]:
    if known:
        return {role: login["password"] for role, login in known["logins"].items()}
    return {role.value: secrets.token_urlsafe(12) for role in PEOPLE}


def _is_still_there(known: Mapping[str, Any]) -> bool:
    """Whether this database is the one that an earlier start filled."""
    return all(find_key(secret, 0) is not None for secret in known["api_keys"].values())


def _user(role: Role, password: str, *, is_new: bool) -> User:
    """The person of this role; a database that outlived var/ gets the new password."""
    email = f"{role.value}@demo.nostro.example"
    with transaction():
        user = find_user_by_email(email)
        if user is None:
            return create_user(email, PEOPLE[role], password, [role])
        if is_new:
            set_password(user, password)
        return user


def _traders(lead: User, user: User) -> tuple[uuid.UUID, list[uuid.UUID]]:
    """Tara, who is worked by hand, and the traders that the simulator works."""
    first = db.session.scalar(select(Trader).where(Trader.user_id == user.id))
    if first is not None:
        team = select(Trader.id).where(Trader.team_id == first.team_id, Trader.id != first.id)
        return first.id, list(db.session.scalars(team.order_by(Trader.id)))
    with transaction():
        team_id = open_team("Lena's team", lead.id, actor=SYSTEM).id
        tara = _trader("Tara", team_id, user.id, 0)
        crew = []
        for n in range(1, SIMULATED_TRADERS + 1):
            login = create_user(
                f"trader{n}@demo.nostro.example", f"Simulated trader {n}", None, [Role.TRADER]
            )
            crew.append(_trader(f"Simulated trader {n}", team_id, login.id, n))
    return tara, crew


def _trader(name: str, team_id: uuid.UUID, user_id: uuid.UUID, n: int) -> uuid.UUID:
    trader = create_trader(name, user_id=user_id, team_id=team_id, actor=SYSTEM)
    verify_trader(trader.id)
    set_working(trader.id, True)
    deposit(trader.id, 50_000 * USDT, "USDT", Mode.LIVE, subject_id=new_id(), reference="demo", actor=SYSTEM)
    for currency in list_currencies():
        for method in () if currency.is_settlement else list_methods(currency.code):
            for number in range(_FIRST_REQUISITES.get(method.code, 3)):
                _requisite(trader, name, method.code, currency.code, n * 100 + number)
    return trader.id


def _requisite(trader: Trader, name: str, method: str, currency: str, n: int) -> None:
    terms = method_terms(method, currency)
    assert terms is not None
    banks: list[str | None] = [bank.code for bank in list_banks(method, currency)]
    new = NewRequisite(
        method=method, currency=currency, number=example_number(method, currency, 1000 + n),
        holder=f"{name.upper()} N.", bank=banks[n % min(len(banks), 6)] if banks else None, min_amount=terms.min_minor,
        max_amount=terms.max_minor, max_open_orders=20, day_amount_limit=terms.max_minor * 50,
        # One hour for those whom the simulator works, so that orders leave while it runs.
        window_s=_HOUR_S if n >= 100 else 24 * _HOUR_S, window_amount_limit=terms.max_minor * 40,
    )  # fmt: skip
    add_approved_requisite(trader.id, new)


def _store(
    owner: User, name: str, origins: list[str], pinned: list[uuid.UUID], excluded: list[uuid.UUID]
) -> uuid.UUID:
    """A store with money to pay out, served by the pinned traders alone."""
    with transaction():
        found = db.session.scalar(select(Store).where(Store.name == name))
        if found is not None:
            found.return_origins = sorted({*found.return_origins, *origins})
            stores.changed()
            return found.id
        merchant = db.session.scalar(select(Merchant).where(Merchant.name == "Acme"))
        merchant = merchant or create_merchant("Acme", [owner.id], actor=SYSTEM)
        new = NewStore(
            name, origins, support_contact="help@acme.example",
            plans=[("payin", None, PLAN), ("payout", None, PLAN)],
        )  # fmt: skip
        store = create_store(merchant.id, new, actor=SYSTEM)
        for mode in Mode:
            account = account_id(store_account(store.id, AccountKind.AVAILABLE, "USDT", mode))
            deposit_to_account(
                account, 20_000 * USDT, "USDT", mode, subject_id=new_id(), reference="demo", actor=SYSTEM
            )
        for trader_id in pinned:
            set_traffic_rule(store.id, trader_id, "pin", actor=SYSTEM)
        for trader_id in excluded:
            set_traffic_rule(store.id, trader_id, "exclude", actor=SYSTEM)
    return store.id


def _keys(store_id: uuid.UUID) -> dict[str, str]:
    with transaction():
        return {mode.value: issue_api_key(store_id, mode, "demo")[1] for mode in Mode}


def _webhook(store_id: uuid.UUID, url: str, mode: Mode) -> str:
    checked = check_endpoint_url(url, mode)
    with transaction():
        endpoint, _ = set_endpoint(store_id, mode, checked)
        return reveal_secret(endpoint)


def _simulation(store_id: uuid.UUID, crew: list[uuid.UUID], known: Mapping[str, Any] | None) -> Facts:
    """What the simulator signs in with: a key of its own store and the crew's passwords."""
    if known and "simulation" in known:
        return dict(known["simulation"])
    traders = []
    with transaction():
        for trader_id in crew:
            trader = db.session.get(Trader, trader_id)
            assert trader is not None
            user = db.session.get(User, trader.user_id)
            assert user is not None
            password = secrets.token_urlsafe(12)
            set_password(user, password)
            traders.append({"email": user.email, "password": password})
        key = issue_api_key(store_id, Mode.LIVE, "simulator")[1]
    return {"api_key": key, "traders": traders}
