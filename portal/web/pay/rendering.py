"""From a payment session to its page, in the customer's language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from flask import Response, g, make_response, redirect, render_template, request, url_for
from flask_babel import force_locale
from werkzeug.wrappers import Response as BaseResponse
from wtforms import Form

from portal.matching.queries import OpenMethod, methods_available
from portal.merchants.queries import StoreTerms, get_store
from portal.orders.payment_session import PaymentSession, get_payment_session, note_disclosure
from portal.orders.record import OrderRecord
from portal.reference.amounts import bounds_of
from portal.reference.maintenance import refuse_in_maintenance
from portal.reference.queries import get_method, list_banks, method_terms
from portal.web.labels.languages import LANGUAGE
from portal.web.pay.forms import ClaimForm
from portal.web.pay.guard import CSRF_FIELD, csrf_token
from portal.web.pay.languages import asked_language, direction_of, pick_language
from portal.web.pay.view import PaymentView, Screen, view_of
from portal.web.shell.languages import words_now

# No token has such letters.
_ANY_TOKEN = "ANY-TOKEN"  # noqa: S105


@dataclass(frozen=True, slots=True)
class MethodChoice:
    """A method that can be served now, with the banks to choose from (none: the method alone is enough)."""

    code: str
    name: str
    banks: Sequence[tuple[str, str]]
    bank_required: bool


def render_session(
    session: PaymentSession,
    token: str,
    *,
    template: str | None = None,
    status: int = 200,
    notice: str | None = None,
    form: Form | None = None,
    **extra: Any,
) -> Response:
    """The page of this session: the screen of its state, or another template about it.

    `notice` is a sentence of this language's catalogue (lazy), `form` what was typed, with its errors.
    Raises InMaintenance where there is nothing to do but to begin.
    """
    store = get_store(session.order.store_id)
    g.pay_return_origins = store.return_origins
    language = pick_language(session.order.locale)
    with force_locale(language):
        view = view_of(session, store, token, language)
        if view.screen is Screen.CHOOSE and template is None:
            refuse_in_maintenance()
            extra["choices"] = _choices(session.order, store, language)
            extra["chosen"] = request.values.get("method", "")
        html = render_template(
            template or f"pay/{view.screen.value}.html",
            view=view, form=form if form is not None else _blank_form(language), notice=notice, language=language,
            languages=LANGUAGE, dir=direction_of(language), csrf_field=CSRF_FIELD,
            csrf_value=csrf_token(token), link=link_of(token), banks=_bank_names(session.order, view, language),
            refreshes=status == 200 and form is None, is_side=template is not None,
            is_refused=status == 422,
            **words_now(), **extra,
        )  # fmt: skip
    if session.number is not None and not session.is_disclosed and request.method != "HEAD":
        note_disclosure(session.order.id)
    return make_response(html, status)


@lru_cache(maxsize=8)
def _blank_form(_language: str) -> ClaimForm:
    """What nobody has filled in is the same for everybody who reads this language: made once, in its words."""
    form = ClaimForm()
    for field in form:
        field.label.text, field.description = str(field.label.text), str(field.description)
    return form


def render_now(token: str, **options: Any) -> Response:
    """The page as it is after whatever has just been tried."""
    return render_session(get_payment_session(token), token, **options)


def back_to_page(token: str) -> BaseResponse:
    """After a change: see the page (303), in the language that was chosen."""
    return redirect(link_of(token)("pay.show"), 303)


def link_of(token: str) -> Any:
    """Addresses of this session that keep the language chosen by hand."""
    language, root, quoted = asked_language(), request.script_root, quote(token, safe="")

    def link(endpoint: str, **values: str) -> str:
        values.setdefault("lang", language or "")
        return _address(root, endpoint, **values).replace(_ANY_TOKEN, quoted)

    return link


@lru_cache(maxsize=512)
def _address(_root: str, endpoint: str, *, lang: str, **values: Any) -> str:
    """A page names a dozen addresses, the same ones for every session but for the token."""
    return url_for(endpoint, token=_ANY_TOKEN, lang=lang or None, **values)


def _choices(order: OrderRecord, store: StoreTerms, language: str) -> list[MethodChoice]:
    """The ways to pay this amount that somebody can serve now."""
    found = methods_available(store, order.mode, order.currency, order.amount_minor, order.settlement_minor)
    return [_choice(one, order.currency, language) for one in found if _takes(one.method, order)]


def _takes(method: str, order: OrderRecord) -> bool:
    bounds = bounds_of(order.currency, method)
    return bounds is not None and bounds.hold(order.amount_minor)


def _choice(found: OpenMethod, currency: str, language: str) -> MethodChoice:
    """Only banks through which somebody can be paid now, in the catalogue's order."""
    terms = method_terms(found.method, currency)
    served = set(found.banks)
    banks = [(b.code, b.name(language)) for b in list_banks(found.method, currency) if b.code in served]
    return MethodChoice(
        found.method,
        get_method(found.method).name(language),
        banks,
        terms is not None and terms.bank_required,
    )


def _bank_names(order: OrderRecord, view: PaymentView, language: str) -> list[str]:
    """Suggestions for "the bank you paid from", where that can be asked."""
    if view.screen not in {Screen.PAY, Screen.EXPIRED} or order.method is None:
        return []
    return [bank.name(language) for bank in list_banks(order.method, order.currency)]
