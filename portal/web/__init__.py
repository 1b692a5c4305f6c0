"""HTML, by audience."""

from __future__ import annotations

from flask import Flask

from portal.web import (
    assets,
    auth,
    csrf,
    errors,
    health,
    languages,
    limits,
    pay,
    presentation,
    security,
    trader,
)
from portal.web.account import notifications
from portal.web.account import security as account_security
from portal.web.converters import OrderIdConverter, ReceiptIdConverter
from portal.web.dev import mailbox


def register(app: Flask) -> None:
    """Put the portals and the payment page into the application, with what all pages share."""
    app.url_map.converters.update(order_id=OrderIdConverter, receipt_id=ReceiptIdConverter)
    security.register(app)
    limits.register(app)
    csrf.register(app)
    languages.register(app)
    presentation.register(app)
    assets.register(app)
    errors.register(app)
    auth.register(app)
    app.register_blueprint(account_security.blueprint)
    notifications.register(app)
    mailbox.register(app)
    app.register_blueprint(health.blueprint)
    app.register_blueprint(pay.bp)
    app.register_blueprint(trader.blueprint)
