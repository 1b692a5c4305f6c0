"""`/dev/mailbox`: the letters that would have left the house. In production there is no such page.

Open to everybody who reaches the house: an invited person has no login yet to read their invitation with.
"""

from __future__ import annotations

import re
import uuid

from flask import Blueprint, Flask, make_response, render_template, request
from flask.typing import ResponseReturnValue

from portal.core.permissions import public
from portal.mail.queries import get_mailbox_message, list_mailbox
from portal.settings import get_settings

blueprint = Blueprint("mailbox", __name__, url_prefix="/dev/mailbox")
_WHY_PUBLIC = "developers read the demo's mail here; not in production"


@blueprint.get("")
@public(_WHY_PUBLIC)
def index() -> ResponseReturnValue:
    recipient = request.args.get("to", "")
    return render_template("dev/mailbox.html", letters=list_mailbox(recipient), recipient=recipient)


@blueprint.get("/<uuid:message_id>")
@public(_WHY_PUBLIC)
def letter(message_id: uuid.UUID) -> ResponseReturnValue:
    message = get_mailbox_message(message_id)
    return render_template("dev/letter.html", letter=message, parts=_with_links(message.text))


@blueprint.get("/<uuid:message_id>/html")
@public(_WHY_PUBLIC)
def letter_html(message_id: uuid.UUID) -> ResponseReturnValue:
    """As a mail program shows it: nothing in it runs or loads."""
    response = make_response(get_mailbox_message(message_id).html)
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; frame-ancestors 'none'; sandbox allow-top-navigation-by-user-activation"
    )
    return response


def _with_links(text: str) -> list[tuple[str, bool]]:
    """The text in pieces; True for those that are addresses of this house."""
    address = re.compile(f"({re.escape(get_settings().public_url)}[^\\s]*)")
    return [(piece, index % 2 == 1) for index, piece in enumerate(address.split(text))]


def register(app: Flask) -> None:
    if get_settings().has_mailbox:
        app.register_blueprint(blueprint)
