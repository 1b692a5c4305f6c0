"""What a customer looks at: the page, its status for the script, the store's look, receipts of theirs."""

from __future__ import annotations

import filetype
from flask import Response, jsonify, request
from werkzeug.wrappers import Response as BaseResponse

from portal.core.errors import NotFound
from portal.core.files import get_files
from portal.core.ids import parse_public_id
from portal.core.permissions import public
from portal.merchants.queries import StoreTerms, get_store
from portal.orders.models import Status
from portal.orders.payment_session import get_payment_session, get_session_status
from portal.orders.receipts import get_receipt
from portal.web.pay import bp
from portal.web.pay.rendering import back_to_page, render_session
from portal.web.pay.theme import theme_css
from portal.web.shared.receipts import upload_response

# That somebody looks at an order is not told to whoever holds its link.
_TOLD_AS: dict[str, str] = {Status.REVIEW: Status.MATCHING.value}
_LINK = "the token in the address is the authority"


@bp.get("/<token>")
@public(_LINK)
def show(token: str) -> Response:
    return render_session(get_payment_session(token), token)


@bp.get("/<token>/method")
@bp.get("/<token>/claim")
@bp.get("/<token>/receipts")
@bp.get("/<token>/cancellation")
@bp.get("/<token>/agreement")
@bp.get("/<token>/disagreement")
@public(_LINK)
def show_after_reload(token: str) -> BaseResponse:
    """Where a form was sent to, asked for again without it."""
    return back_to_page(token)


@bp.get("/<token>/status")
@public(_LINK)
def status(token: str) -> Response:
    """Tiny, for the script: 304 while the version is the one it knows."""
    now = get_session_status(token)
    shown = _TOLD_AS.get(now.status, now.status)
    response = jsonify(version=now.version, status=shown, seconds_left=now.seconds_left)
    response.set_etag(str(now.version))
    response.headers["Cache-Control"] = "no-store"
    response.make_conditional(request)
    return response


@bp.get("/<token>/receipts/<receipt_id>")
@public(_LINK)
def receipt(token: str, receipt_id: str) -> Response:
    order = get_payment_session(token).order
    key = parse_public_id("rcp", receipt_id)
    if key is None or order.is_final:
        raise NotFound()
    return upload_response(get_receipt(order.id, key), "receipt")


def _store(public_store_id: str) -> StoreTerms:
    key = parse_public_id("st", public_store_id)
    if key is None:
        raise NotFound()
    return get_store(key)


@bp.get("/theme/<store_id>.css")
@public("a colour that every customer of the store sees")
def theme(store_id: str) -> Response:
    response = Response(theme_css(_store(store_id).accent_colour), content_type="text/css; charset=utf-8")
    response.headers["Cache-Control"] = "public, max-age=3600"
    return response


@bp.get("/logo/<store_id>")
@public("a picture that every customer of the store sees")
def logo(store_id: str) -> Response:
    key = _store(store_id).logo_key
    if key is None:
        raise NotFound()
    content = get_files().read(key)
    kind = filetype.guess_mime(content[:8192])
    if kind not in {"image/jpeg", "image/png", "image/webp"}:
        raise NotFound()
    response = Response(content, content_type=kind)
    response.headers["Cache-Control"] = "public, max-age=3600"
    return response
