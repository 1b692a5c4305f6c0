"""Refusals on the payment page are pages that say what to do, not error screens."""

from __future__ import annotations

from flask import Response, make_response, render_template, request
from flask_babel import LazyString, force_locale, ngettext
from flask_babel import lazy_gettext as _l
from werkzeug.exceptions import RequestEntityTooLarge

from portal.core.errors import DomainError, NotFound
from portal.core.uploads.turns import UploadsBusy, UploadsPaused
from portal.orders.receipts import ReceiptNotExpected, TooManyReceipts
from portal.reference.errors import InMaintenance
from portal.web.pay import bp
from portal.web.pay.guard import FormOutdated, wait_after_miss
from portal.web.pay.languages import direction_of, pick_language
from portal.web.pay.rendering import render_now
from portal.web.shell.hidden_text import HiddenText

_NOTICES = (
    (
        FormOutdated,
        _l("The form was too old or came from another site. Nothing was changed: try again here."),
    ),
    (
        HiddenText,
        _l("Something you wrote holds characters that can't be seen. Nothing was changed: type it again."),
    ),
    (ReceiptNotExpected, _l("No receipt is needed here any more. This is where the payment stands.")),
    (TooManyReceipts, _l("There are enough receipts for this payment already.")),
    (
        UploadsBusy,
        _l(
            "Many receipts are being read at this moment. Nothing was changed: attach it again in a few seconds."
        ),
    ),
)
_MOVED_ON = _l("The payment has moved on meanwhile. This is where it stands.")
_BUSY = _l("We could not do this right now. Nothing was changed: try again in a moment.")


@bp.errorhandler(DomainError)
def refused(refusal: DomainError) -> Response:
    """The page of the payment with a sentence about what was refused; its own page where there is none."""
    token = (request.view_args or {}).get("token")
    if isinstance(refusal, NotFound) or token is None:
        return _unknown()
    if isinstance(refusal, InMaintenance):
        return _plain("pay/maintenance.html", refusal.status, refusal.retry_after_s, token=token)
    if (refusal.status in {429, 503} and not isinstance(refusal, UploadsBusy)) or request.path.endswith(
        "/status"
    ):
        return _plain("pay/busy.html", refusal.status, refusal.retry_after_s)
    notice = next((text for kind, text in _NOTICES if isinstance(refusal, kind)), _MOVED_ON)
    if isinstance(refusal, UploadsPaused):
        notice = LazyString(_paused, refusal.wait_s)
    try:
        page = render_now(token, status=refusal.status, notice=notice)
    except NotFound:
        return _unknown()
    except InMaintenance as closed:
        return _plain("pay/maintenance.html", closed.status, closed.retry_after_s, token=token)
    if refusal.retry_after_s is not None:
        page.headers["Retry-After"] = str(refusal.retry_after_s)
    return page


def _paused(wait_s: int) -> str:
    """Files of this customer, or of another one of their network, had to be killed."""
    return ngettext(
        "Files from your network took too much to read. Nothing was changed: attach the receipt in %(num)d second.",
        "Files from your network took too much to read. Nothing was changed: attach the receipt in %(num)d seconds.",
        wait_s,
    )


@bp.errorhandler(RequestEntityTooLarge)
def too_large(_error: RequestEntityTooLarge) -> Response:
    token = (request.view_args or {}).get("token", "")
    notice = _l("This file is too large: 10 MB at most. Nothing was changed: send a screenshot instead.")
    try:
        return render_now(token, status=413, notice=notice)
    except NotFound:
        return _unknown()


def _unknown() -> Response:
    """No such payment; whoever asked for many of those waits."""
    is_guess = (request.view_args or {}).get("token") is not None
    wait_s = wait_after_miss() if is_guess else None
    return _plain("pay/unknown.html", 404) if wait_s is None else _plain("pay/busy.html", 429, wait_s)


def _plain(template: str, status: int, retry_after_s: int | None = None, **variables: str) -> Response:
    """A page that knows nothing of the order."""
    language = pick_language(None)
    with force_locale(language):
        html = render_template(template, language=language, dir=direction_of(language), **variables)
    response = make_response(html, status)
    if retry_after_s is not None:
        response.headers["Retry-After"] = str(retry_after_s)
    return response
