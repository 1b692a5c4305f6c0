"""HTML, by audience."""

from __future__ import annotations

from flask import Flask

from portal.web import admin, auth, lead, merchant, pay, streams, support, trader
from portal.web.account import notifications, profile, tokens, views
from portal.web.account import security as account_security
from portal.web.dev import components, mailbox
from portal.web.labels import filters
from portal.web.shared.orders import page as order_page
from portal.web.shell import (
    assets,
    csrf,
    flashes,
    health,
    hidden_text,
    hosts,
    languages,
    limits,
    navigation,
    security,
    theme,
)
from portal.web.shell.converters import OrderIdConverter, ReceiptIdConverter
from portal.web.ui import error_pages, formats


def register(app: Flask) -> None:
    """Put the portals and the payment page into the application, with what all pages share."""
    app.url_map.converters.update(order_id=OrderIdConverter, receipt_id=ReceiptIdConverter)
    hosts.register(app)
    security.register(app)
    limits.register(app)
    csrf.register(app)
    hidden_text.register(app)
    languages.register(app)
    formats.register(app)
    filters.register(app)
    order_page.register(app)
    theme.register(app)
    navigation.register(app)
    assets.register(app)
    error_pages.register(app)
    flashes.register(app)
    auth.register(app)
    app.register_blueprint(account_security.blueprint)
    app.register_blueprint(profile.blueprint)
    app.register_blueprint(tokens.blueprint)
    notifications.register(app)
    app.register_blueprint(streams.blueprint)
    views.register(app)
    mailbox.register(app)
    components.register(app)
    app.register_blueprint(health.blueprint)
    app.register_blueprint(pay.bp)
    for portal in (trader, merchant, lead, support, admin):
        app.register_blueprint(portal.blueprint)
