"""The bare payment page: the same template, from constants. No order, no language, no form library."""

from __future__ import annotations

from datetime import UTC, datetime
from gettext import NullTranslations
from types import SimpleNamespace as Plain
from typing import Any

from flask import Flask, render_template, url_for

TOKEN = "abcdefghijklmnopqrstuvwxyz"
_STORE = Plain(
    name="Store 0", contact=None, contact_href=None, public_id="st_" + "0" * 26, theme_version="0b5fff", has_logo=False
)  # fmt: skip
_REQUISITE = Plain(
    method="Bank card", kind="card", code_name="BIC", code="", groups=["2200", "9000", "0000", "0000"],
    plain="2200900000000000", holder="BENCH", bank=None, qr=None, app_link=None,
)  # fmt: skip
_DEADLINE = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)
_VIEW = Plain(
    token=TOKEN, screen="pay", version=1, store=_STORE, order_id="ord_" + "0" * 26, amount="RUB\u00a0123,456.78",
    amount_plain="123456.78", currency="RUB", received=None, is_other_amount=False, description=None, is_test=False,
    is_final=False, deadline=_DEADLINE, deadline_text="1 Jan, 12:00\u00a0UTC", ended_at=None, ended_text="",
    seconds_left=900, minutes_text="15 minutes", refresh_s=902, requisite=_REQUISITE, masked=None, paid_to=None,
    method_name="Bank card", receipts=[], receipt_required=False, return_url=None,
)  # fmt: skip


def _field(name: str, label: str, description: str = "") -> Plain:
    return Plain(name=name, label=Plain(text=label), description=description, errors=(), data=None)


_FORM = Plain(
    name=_field("name", "Name of the account's owner", "As your bank shows it."),
    last4=_field("last4", "Last 4 digits of your card or account"),
    bank=_field("bank", "Bank you paid from"),
    reference=_field("reference", "Reference or transaction number"),
    receipt=_field("receipt", "Receipt"),
    errors={},
)
_ADDRESSES = {
    "pay.show": f"/pay/{TOKEN}",
    "pay.status": f"/pay/{TOKEN}/status",
    "pay.claim": f"/pay/{TOKEN}/claim",
    "pay.cancel": f"/pay/{TOKEN}/cancellation",
    "pay.choose_problem": f"/pay/{TOKEN}/problem",
}


def _link(endpoint: str, **_values: Any) -> str:
    return _ADDRESSES[endpoint]


def _asset(name: str) -> str:
    return f"/static/{name}?v=0123456789ab"


_CONTEXT = {
    "view": _VIEW, "form": _FORM, "notice": None, "language": "en", "languages": {"en": "English", "ru": "Русский"},
    "dir": "ltr", "csrf_field": "csrf_token", "csrf_value": "A" * 24, "link": _link, "refreshes": True,
    "is_side": False,
}  # fmt: skip


def register(app: Flask, banks: list[str]) -> None:
    """Serve the page at `/page`; `banks` are the suggestions that the real page offers."""
    app.jinja_env.add_extension("jinja2.ext.i18n")
    nothing = NullTranslations()
    app.jinja_env.install_gettext_translations(nothing, newstyle=True)  # type: ignore[attr-defined]
    app.jinja_env.globals.update(asset=_asset)
    app.add_url_rule("/pay/theme/<store_id>.css", "pay.theme", str)

    @app.get("/page")
    def page() -> str:
        return render_template("pay/pay.html", banks=banks, url_for=url_for, **_CONTEXT)
