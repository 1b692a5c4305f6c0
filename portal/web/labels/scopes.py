"""What an API key may do."""

from __future__ import annotations

from collections.abc import Mapping

from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString

from portal.identity.models import Scope

SCOPE: Mapping[Scope, LazyString] = {
    Scope.ORDERS_READ: _l("See orders, and what can be served now"),
    Scope.ORDERS_WRITE: _l("Create payins, cancel them, send receipts"),
    Scope.PAYOUTS_WRITE: _l("Create payouts and confirm them"),
    Scope.BALANCES_READ: _l("See balances and ledger entries"),
    Scope.WITHDRAWALS_WRITE: _l("Ask for withdrawals"),
    Scope.WEBHOOKS_WRITE: _l("Change where webhooks go"),
}
