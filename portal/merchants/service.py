"""Opening merchants and stores, and saving what they pay."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from urllib.parse import urlsplit

from sqlalchemy import select

from portal.audit.service import record_audit
from portal.core.actors import Actor
from portal.core.db import db
from portal.core.errors import ValidationFailed
from portal.identity.people.models import MerchantMember
from portal.merchants.models import FeePlan, Merchant, Store, StoreTraffic
from portal.merchants.queries import PlanTerms, stores
from portal.reference.queries import default_settlement_currency

_COLOUR = re.compile(r"#[0-9a-f]{6}", re.ASCII)


_STORE_FIELDS = (
    "name", "return_origins", "settlement_currency", "accent_colour", "support_contact", "receipt_required",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class NewStore:
    name: str
    return_origins: Sequence[str] = ()
    settlement_currency: str = field(default_factory=default_settlement_currency)
    accent_colour: str = "#0b5fff"
    support_contact: str | None = None
    receipt_required: bool = False
    plans: Sequence[tuple[str, str | None, PlanTerms]] = field(default_factory=tuple)


def create_merchant(name: str, members: Sequence[uuid.UUID] = (), *, actor: Actor) -> Merchant:
    """A new merchant with the people who work for it. Needs transaction()."""
    merchant = Merchant(name=name)
    db.session.add(merchant)
    db.session.flush()
    db.session.add_all(MerchantMember(merchant_id=merchant.id, user_id=user_id) for user_id in members)
    after = {"name": name, "members": members}
    record_audit("merchant.opened", actor=actor, subject=("merchant", merchant.id), after=after)
    return merchant


def create_store(merchant_id: uuid.UUID, new: NewStore, *, actor: Actor) -> Store:
    """Open a store with its fee plans. Raises ValidationFailed for an origin, a colour or a plan. Needs transaction()."""
    if not _COLOUR.fullmatch(new.accent_colour):
        raise ValidationFailed.of("accent_colour", "malformed", "Give a colour such as #0b5fff.")
    store = Store(
        merchant_id=merchant_id,
        name=new.name,
        return_origins=[normalised_origin(origin) for origin in new.return_origins],
        settlement_currency=new.settlement_currency,
        accent_colour=new.accent_colour,
        support_contact=new.support_contact,
        receipt_required=new.receipt_required,
    )
    db.session.add(store)
    db.session.flush()
    after = {"merchant": merchant_id} | {name: getattr(store, name) for name in _STORE_FIELDS}
    record_audit("store.opened", actor=actor, subject=("store", store.id), after=after)
    for direction, method, terms in new.plans:
        save_fee_plan(store.id, direction, method, terms, actor=actor)
    stores.changed()
    return store


def normalised_origin(text: str) -> str:
    """`scheme://host[:port]` of a registered origin; http only for this machine itself."""
    parts = urlsplit(text)
    local = parts.hostname in {"localhost", "127.0.0.1", "::1"}
    if parts.scheme not in {"https", "http"} or not parts.hostname or parts.username or parts.query:
        raise ValidationFailed.of(
            "return_origins", "malformed", "Give an origin such as https://shop.example."
        )
    if parts.path not in {"", "/"} or (parts.scheme == "http" and not local):
        raise ValidationFailed.of("return_origins", "malformed", "Give an https origin without a path.")
    return f"{parts.scheme}://{parts.netloc.lower()}"


def save_fee_plan(
    store_id: uuid.UUID,
    direction: str,
    method: str | None,
    terms: PlanTerms,
    *,
    actor: Actor,
    allows_negative_margin: bool = False,
) -> FeePlan:
    """Replace the plan of this direction and method. Orders that exist keep theirs. Needs transaction().

    Locks the former plan. Raises ValidationFailed when the commissions exceed the store's fee and nobody has allowed that.
    """
    margin = terms.store_fee_bps - terms.trader_commission_bps - terms.lead_commission_bps
    if margin < 0 and not allows_negative_margin:
        raise ValidationFailed.of(
            "store_fee_bps", "negative_margin", "The commissions are higher than the store's fee."
        )
    values = (terms.store_fee_bps, terms.fixed_minor, terms.trader_commission_bps, terms.lead_commission_bps)
    if (
        min(values) < 0
        or max(terms.store_fee_bps, terms.trader_commission_bps, terms.lead_commission_bps) > 5000
    ):
        raise ValidationFailed.of("store_fee_bps", "out_of_range", "Shares go from 0 to 50 percent.")
    saved = asdict(terms) | {"allows_negative_margin": allows_negative_margin}
    former = db.session.scalar(
        select(FeePlan)
        .where(
            FeePlan.store_id == store_id,
            FeePlan.direction == direction,
            FeePlan.method.is_not_distinct_from(method),
        )
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    before = None if former is None else {name: getattr(former, name) for name in saved}
    if former is not None:
        if before == saved:
            return former
        db.session.delete(former)
        db.session.flush()
    plan = FeePlan(store_id=store_id, direction=direction, method=method, **saved)
    db.session.add(plan)
    db.session.flush()
    record_audit(
        "store.fee_plan_set",
        actor=actor,
        subject=("store", store_id),
        before=before,
        after={"direction": direction, "method": method} | saved,
    )
    stores.changed()
    return plan


def set_traffic_rule(
    store_id: uuid.UUID, trader_id: uuid.UUID, rule: str | None, percent: int | None = None, *, actor: Actor
) -> None:
    """Pin, exclude or split by percent; None takes the rule away. The shares of a store sum to 100 at most.

    Raises ValidationFailed (percent). Needs transaction().
    """
    former = db.session.get(StoreTraffic, (store_id, trader_id), with_for_update=True)
    was = (former.rule, former.percent) if former else (None, None)
    if was == (rule, percent):
        return
    if former is not None:
        db.session.delete(former)
        db.session.flush()
    if rule is not None:
        taken = sum(
            row.percent or 0
            for row in db.session.query(StoreTraffic).filter_by(store_id=store_id, rule="split")
        )
        if rule == "split" and taken + (percent or 0) > 100:
            raise ValidationFailed.of("percent", "too_large", f"{100 - taken} percent are left.")
        db.session.add(StoreTraffic(store_id=store_id, trader_id=trader_id, rule=rule, percent=percent))
    db.session.flush()
    record_audit(
        "store.traffic_rule_set",
        actor=actor,
        subject=("store", store_id),
        before={"rule": was[0], "percent": was[1]},
        after={"trader": trader_id, "rule": rule, "percent": percent},
    )
    stores.changed()
