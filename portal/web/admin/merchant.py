"""`/admin/merchants/<id>`: one merchant with stores and members, and whether its programs are let in."""

from __future__ import annotations

import uuid

from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from flask_login import current_user
from werkzeug.wrappers import Response

from portal.core.errors import NotFound
from portal.core.permissions import Permission, requires
from portal.identity.people.people_list import PeopleFilter, PersonSort, list_people_rows
from portal.merchants.blocking import Concerned, block_merchant, concerned_by_block, unblock_merchant
from portal.merchants.queries import list_stores_of_merchant
from portal.merchants.staff_list import MerchantLine, find_merchant_line
from portal.web.admin import blueprint
from portal.web.admin.audit.history import history_of
from portal.web.admin.people.lists import people_listing
from portal.web.ui.actions import NOTHING_SENT, Action, ActionPage, Reply
from portal.web.ui.lists.shown import fixed

_MEMBERS_SHOWN = 200


@blueprint.get("/merchants/<uuid:merchant_id>")
@requires(Permission.MERCHANT_VIEW)
def merchant(merchant_id: uuid.UUID) -> ResponseReturnValue:
    return _page(merchant_id)


def _page(merchant_id: uuid.UUID, reply: Reply = NOTHING_SENT) -> Response:
    found = find_merchant_line(merchant_id)
    if found is None:
        raise NotFound("There is no such merchant.")
    members = list_people_rows(
        PeopleFilter(merchant_id=merchant_id), PersonSort.NAME, is_descending=False, limit=_MEMBERS_SHOWN
    )
    concerned = concerned_by_block(merchant_id) if current_user.can(Permission.MERCHANT_BLOCK) else None
    return reply.render(
        "admin/merchant.html",
        merchant=found,
        stores=list_stores_of_merchant(merchant_id),
        members=fixed(people_listing(), members),
        concerned=concerned,
        offers=_MERCHANT.offers(merchant_id, (found, concerned)),
        history=history_of("merchant", merchant_id),
    )


def _what_blocking_does(shown: tuple[MerchantLine, Concerned]) -> str:
    keys, stores = shown[1].keys, shown[1].stores
    return " ".join((
        ngettext("%(num)d API key is refused with the code store_closed.",
                 "%(num)d API keys are refused with the code store_closed.", keys),
        ngettext("%(num)d store takes no new orders.", "%(num)d stores take no new orders.", stores),
        _("Members still sign in and read. Orders that run are finished, and the shop is told how they end."),
    ))  # fmt: skip


_MERCHANT = ActionPage("merchant", "/merchants/<uuid:merchant_id>", "merchant_id", (
    Action(
        "block", "block", Permission.MERCHANT_BLOCK, block_merchant,
        _l("Block the merchant"), lambda shown: _("Block %(name)s?", name=shown[0].name), _what_blocking_does,
        _l("The merchant is blocked. What runs is finished."),
        "danger", lambda shown: shown[0].is_active,
    ),
    Action(
        "unblock", "unblock", Permission.MERCHANT_BLOCK, unblock_merchant,
        _l("Let the merchant in again"), lambda shown: _("Let %(name)s in again?", name=shown[0].name),
        _l("Its API keys work again and its stores take orders."),
        _l("The merchant is let in again."),
        fits=lambda shown: not shown[0].is_active,
    ),
), _page)  # fmt: skip
_MERCHANT.add_to(blueprint)
