"""`/account/views`: saved views of lists, kept and deleted from the lists themselves."""

from __future__ import annotations

import uuid
from typing import NamedTuple

from flask import Blueprint, Flask, current_app, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user

from portal.core.db import run_in_transaction, transaction
from portal.core.errors import BadRequest, Conflict, ValidationFailed
from portal.core.permissions import Permission, requires
from portal.identity.saved_views import MOST_NAME, MOST_VIEWS, delete_view, list_views, save_view
from portal.web.shell.flashes import flash
from portal.web.shell.htmx import see_other
from portal.web.shell.next_page import safe_next
from portal.web.ui.lists.shown import Shown

blueprint = Blueprint("views", __name__, url_prefix="/account/views")


class ViewTab(NamedTuple):
    """A view above its list."""

    id: uuid.UUID | None
    name: str
    href: str
    is_current: bool


def views_of(shown: Shown[object]) -> list[ViewTab]:
    """The visitor's views of this list, with the whole list first; empty where there are none."""
    if not current_user.is_authenticated:
        return []
    views = list_views(current_user.id, shown.listing.endpoint)
    tabs = [
        ViewTab(view.id, view.name, f"{shown.plain_url}?{view.query}", view.query == shown.view_query)
        for view in views
    ]
    is_whole = not shown.is_narrowed and not any(tab.is_current for tab in tabs)
    return [ViewTab(None, _("All"), shown.plain_url, is_whole), *tabs] if tabs else []


@blueprint.post("")
@requires(Permission.ACCOUNT_VIEW)
def save() -> ResponseReturnValue:
    listed, name = request.form.get("list", ""), request.form.get("name", "")
    if listed not in current_app.view_functions:
        raise BadRequest("There is no such list.")
    query, user_id = request.form.get("query", ""), current_user.id
    try:
        run_in_transaction(lambda: save_view(user_id, listed, name, query))
    except ValidationFailed:
        flash(_("Give the view a name of at most %(count)s characters.", count=MOST_NAME))
        return see_other(_back())
    except Conflict:
        flash(_("A list has at most %(count)s views. Delete one first.", count=MOST_VIEWS))
        return see_other(_back())
    flash(_("The view is saved."))
    return see_other(f"{_back().partition('?')[0]}?{query}")


@blueprint.post("/<uuid:view_id>/deletion")
@requires(Permission.ACCOUNT_VIEW)
def delete(view_id: uuid.UUID) -> ResponseReturnValue:
    with transaction():
        delete_view(current_user.id, view_id)
    flash(_("The view is deleted."))
    return see_other(_back())


def _back() -> str:
    return safe_next(request.form.get("next", "")) or url_for("auth.start")


def register(app: Flask) -> None:
    app.register_blueprint(blueprint)
    app.jinja_env.globals.update(views_of=views_of, longest_view_name=MOST_NAME)
