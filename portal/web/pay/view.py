"""What one payment page shows: plain values, ready to be written into its template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from flask_babel import gettext as _
from flask_babel import ngettext
from markupsafe import Markup

from portal.core.ids import public_id
from portal.core.money import format_amount
from portal.merchants.queries import StoreTerms
from portal.orders.models import FINAL, Status
from portal.orders.payment_session import PaymentSession
from portal.orders.record import OrderRecord
from portal.reference.models import RequisiteKind
from portal.reference.queries import find_bank, find_method, get_currency
from portal.reference.requisite_numbers import grouped
from portal.web.pay.formats import moment_text, money_text
from portal.web.pay.qr import qr_payload, qr_svg, upi_link


class Screen(StrEnum):
    """One clear screen for each state; the value is its template."""

    CHOOSE = "choose"
    LOOKING = "looking"
    REVIEW = "review"
    PAY = "pay"
    CHECKING = "checking"
    AGREE = "agree"
    DISPUTED = "disputed"
    DONE = "done"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    FAILED = "failed"


_SCREENS = {
    Status.REVIEW: Screen.REVIEW,
    Status.AWAITING_PAYMENT: Screen.PAY,
    Status.AWAITING_CONFIRMATION: Screen.CHECKING,
    Status.DISPUTED: Screen.DISPUTED,
    Status.COMPLETED: Screen.DONE,
    Status.EXPIRED: Screen.EXPIRED,
    Status.CANCELLED: Screen.CANCELLED,
    Status.FAILED: Screen.FAILED,
}
# Seconds until a browser without JavaScript looks again; on the paying page it looks when the time is over.
_REFRESH_S = {
    Screen.CHOOSE: 60, Screen.LOOKING: 5, Screen.REVIEW: 15, Screen.CHECKING: 10, Screen.DISPUTED: 60,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class StoreView:
    name: str
    contact: str | None
    contact_href: str | None
    public_id: str
    theme_version: str
    has_logo: bool


@dataclass(frozen=True, slots=True)
class RequisiteView:
    """Whom to pay. `groups` are shown, `plain` is copied; `code` is an account's BIC or IFSC."""

    method: str
    kind: str
    code_name: str
    code: str
    groups: Sequence[str]
    plain: str
    holder: str
    bank: str | None
    qr: Markup | None
    app_link: str | None


@dataclass(frozen=True, slots=True)
class ReceiptView:
    id: str
    is_image: bool
    has_picture: bool


@dataclass(frozen=True, slots=True)
class PaymentView:
    """Everything the templates of a payment page read, beside the methods to choose from and the forms."""

    token: str
    screen: Screen
    version: int
    store: StoreView
    order_id: str
    amount: str
    amount_plain: str
    currency: str
    received: str | None
    is_other_amount: bool
    reported: str | None
    reported_minor: int | None
    description: str | None
    is_test: bool
    is_final: bool
    deadline: datetime | None
    deadline_text: str
    ended_at: datetime | None
    ended_text: str
    seconds_left: int | None
    minutes_text: str
    refresh_s: int | None
    requisite: RequisiteView | None
    masked: str | None
    paid_to: str | None
    method_name: str | None
    receipts: Sequence[ReceiptView]
    receipt_required: bool
    return_url: str | None


def view_of(session: PaymentSession, store: StoreTerms, token: str, language: str) -> PaymentView:
    """The page of this moment in one language; call it inside force_locale(language)."""
    order = session.order
    screen = screen_of(order)
    exponent = get_currency(order.currency).exponent
    seconds = seconds_left(order, session.now)
    method = find_method(order.method) if order.method else None
    bank = find_bank(order.requisite_bank) if order.requisite_bank else None
    received, reported = order.amount_received_minor, order.amount_reported_minor
    return PaymentView(
        token=token,
        screen=screen,
        version=order.version,
        store=_store_view(store),
        order_id=public_id("ord", order.id),
        amount=money_text(order.amount_minor, exponent, order.currency, language),
        amount_plain=format_amount(order.amount_minor, exponent),
        currency=order.currency,
        received=None if received is None else money_text(received, exponent, order.currency, language),
        is_other_amount=received is not None and received != order.amount_minor,
        reported=None if reported is None else money_text(reported, exponent, order.currency, language),
        reported_minor=reported,
        description=order.description,
        is_test=order.mode == "test",
        is_final=order.status in FINAL,
        deadline=order.due_at,
        deadline_text=moment_text(order.due_at, language) if order.due_at else "",
        ended_at=order.ended_at,
        ended_text=moment_text(order.ended_at, language) if order.ended_at else "",
        seconds_left=seconds,
        minutes_text=minutes_text(seconds),
        refresh_s=max(30, (seconds or 0) + 2) if screen is Screen.PAY else _REFRESH_S.get(screen),
        requisite=_requisite_view(session, exponent, language),
        masked=order.requisite_masked and order.requisite_masked.replace(" ", "\u00a0"),
        paid_to=bank.name(language) if bank else None,
        method_name=method.name(language) if method else None,
        receipts=[ReceiptView(public_id("rcp", r.id), r.is_image, r.has_picture) for r in session.receipts],
        receipt_required=store.receipt_required,
        return_url=_safe_url(order.return_url),
    )


def screen_of(order: OrderRecord) -> Screen:
    """The screen of a status; a method that is still open is asked for first, and an amount that the receiver reports."""
    if order.status == Status.MATCHING:
        return Screen.CHOOSE if order.method is None else Screen.LOOKING
    if order.status == Status.AWAITING_CONFIRMATION and order.amount_reported_minor is not None:
        return Screen.AGREE
    return _SCREENS[Status(order.status)]


def seconds_left(order: OrderRecord, now: datetime) -> int | None:
    """Whole seconds until the deadline by the database's clock, at least 0."""
    if order.due_at is None:
        return None
    return max(0, -int(-(order.due_at - now).total_seconds() // 1))


def minutes_text(seconds: int | None) -> str:
    """`14 minutes` in words, rounded up; for a moment without JavaScript."""
    if seconds is None:
        return ""
    if seconds < 60:
        return _("less than a minute")
    minutes = -(-seconds // 60)
    if minutes >= 120:
        hours = minutes // 60
        return ngettext("%(num)d hour", "%(num)d hours", hours)
    return ngettext("%(num)d minute", "%(num)d minutes", minutes)


def _store_view(store: StoreTerms) -> StoreView:
    return StoreView(
        name=store.name,
        contact=store.support_contact,
        contact_href=_contact_href(store.support_contact),
        public_id=public_id("st", store.id),
        theme_version=store.accent_colour.lstrip("#"),
        has_logo=store.logo_key is not None,
    )


def _contact_href(contact: str | None) -> str | None:
    """A link for an address or a phone number; other contacts are shown as text."""
    if contact is None:
        return None
    if contact.startswith("https://"):
        return contact
    if "@" in contact[1:] and " " not in contact:
        return f"mailto:{contact}"
    digits = "".join(char for char in contact if char.isdigit())
    return f"tel:+{digits}" if contact.startswith("+") and len(digits) >= 8 else None


def _requisite_view(session: PaymentSession, exponent: int, language: str) -> RequisiteView | None:
    order = session.order
    method = find_method(order.method) if order.method else None
    if session.number is None or method is None:
        return None
    bank = find_bank(order.requisite_bank) if order.requisite_bank else None
    amount = format_amount(order.amount_minor, exponent)
    holder = order.requisite_holder or ""
    payload = qr_payload(method.qr_standard, session.number, holder, amount, order.currency)
    is_upi = method.requisite_kind is RequisiteKind.UPI
    code, _slash, number = session.number.rpartition("/")
    return RequisiteView(
        method=method.name(language),
        kind=method.requisite_kind.value,
        code_name="IFSC" if order.currency == "INR" else "BIC",
        code=code,
        groups=grouped(method.requisite_kind, number).split(" "),
        plain=number,
        holder=holder,
        bank=bank.name(language) if bank else None,
        qr=qr_svg(payload) if payload else None,
        app_link=upi_link(session.number, holder, amount) if is_upi else None,
    )


def _safe_url(url: str | None) -> str | None:
    """The exact address that was registered with the order; never a scheme that runs something."""
    return url if url is not None and url.startswith(("https://", "http://")) else None
