"""`/account/notifications`: what somebody was told, the bell's count, and how they want to be told."""

from __future__ import annotations

import logging
import uuid

import psycopg
from flask import Blueprint, Flask, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.exc import SQLAlchemyError

from portal.core.db import db, transaction
from portal.core.permissions import Permission, requires
from portal.notifications.queries import (
    COUNTED_TO,
    count_unread,
    get_link,
    list_choices,
    list_notifications,
)
from portal.notifications.service import choose, mark_read
from portal.web.labels.notifications import told
from portal.web.shell.htmx import fragment, see_other
from portal.web.shell.visitor import background
from portal.web.ui.lists.place import id_after

log = logging.getLogger(__name__)
blueprint = Blueprint("notifications", __name__, url_prefix="/account/notifications")
PAGE = 30


@blueprint.get("")
@requires(Permission.ACCOUNT_VIEW)
def index() -> ResponseReturnValue:
    after = id_after()
    lines = list_notifications(current_user.id, after=after, limit=PAGE + 1)
    older = lines[PAGE - 1].id if len(lines) > PAGE else None
    return render_template("account/notifications.html", lines=lines[:PAGE], older=older, after=after)


@blueprint.get("/count")
@requires(Permission.ACCOUNT_VIEW)
@background
def count() -> ResponseReturnValue:
    """What is inside the bell."""
    return fragment("account/_bell.html")


@blueprint.post("/reading")
@requires(Permission.ACCOUNT_VIEW)
def read_all() -> ResponseReturnValue:
    with transaction():
        mark_read(current_user.id)
    return see_other(url_for("notifications.index"))


@blueprint.post("/<uuid:notification_id>/reading")
@requires(Permission.ACCOUNT_VIEW)
def read_one(notification_id: uuid.UUID) -> ResponseReturnValue:
    """Mark it as read and go where it leads."""
    with transaction():
        link = get_link(current_user.id, notification_id)
        mark_read(current_user.id, notification_id)
    return see_other(link)


@blueprint.get("/choices")
@requires(Permission.ACCOUNT_VIEW)
def show_choices() -> ResponseReturnValue:
    choices = list_choices(current_user.id, current_user.session.roles)
    return render_template("account/notification_choices.html", choices=choices)


@blueprint.post("/choices")
@requires(Permission.ACCOUNT_VIEW)
def save_choices() -> ResponseReturnValue:
    """A box for each kind and way: what is not ticked is not wanted."""
    with transaction():
        for choice in list_choices(current_user.id, current_user.session.roles):
            choose(
                current_user.id,
                choice.kind,
                in_app=f"{choice.kind}-in_app" in request.form,
                by_mail=f"{choice.kind}-by_mail" in request.form,
            )
    return redirect(url_for("notifications.show_choices", saved=1), code=303)


def unread_notifications() -> int:
    """What the bell says. Asks the database once a page, and never keeps a page from being shown."""
    if "visitor" not in g:
        return 0
    try:
        return count_unread(g.visitor.id)
    except (SQLAlchemyError, psycopg.Error):
        log.warning("the bell could not be counted", exc_info=True)
        db.session.rollback()
        return 0


def register(app: Flask) -> None:
    app.register_blueprint(blueprint)
    app.jinja_env.globals.update(
        unread_notifications=unread_notifications, unread_counted_to=COUNTED_TO, told=told
    )
