"""What holds for every action that a page offers: it asks why, wants the proof, is done once, and leads back."""

from __future__ import annotations

import re
import sys
import uuid
from collections.abc import Callable

import pytest
from flask import Flask

from portal.core.db import db, transaction
from portal.core.permissions import permission_of
from portal.identity.models import Role
from portal.merchants.models import Store
from portal.web.ui.actions import Action, ActionPage
from tests.web.admin.office import Office, column
from tests.web.admin.test_queues import dead_mail, went_wrong
from tests.web.auth.people import forget_proof, give_app
from tests.web.desk import Browser, Desk, new_user

WHY = "Somebody asked for it"
OFFERED = re.compile(r'id="ask-([a-z-]+)" data-dialog')


def pages() -> dict[str, ActionPage]:
    """Every page with actions, by its name."""
    modules = [module for name, module in sys.modules.items() if name.startswith("portal.web.")]
    found = [value for module in modules for value in vars(module).values() if isinstance(value, ActionPage)]
    return {page.endpoint: page for page in found}


def somebody(_desk: Desk) -> object:
    user = new_user(Role.SUPPORT)
    give_app(user)
    Browser(_desk.app.test_client()).begin_session(user)
    return user.id


def merchant(desk: Desk) -> object:
    with transaction():
        return db.session.get_one(Store, desk.scene.store_id).merchant_id


def queue(_desk: Desk) -> object:
    dead_mail()
    return "mail"


THINGS: dict[str, Callable[[Desk], object]] = {
    "person": somebody,
    "merchant": merchant,
    "trader": lambda desk: desk.trader.id,
    "requisite": lambda desk: desk.requisite.id,
    "queue": queue,
    "error": lambda _desk: went_wrong(f"Broken{uuid.uuid4().hex[:8]}"),
}


def actions() -> list[tuple[str, Action]]:
    return [(name, action) for name, page in pages().items() for action in page.actions]


def test_every_page_with_actions_is_walked_here(app: Flask) -> None:
    assert set(pages()) == set(THINGS)
    for name, page in pages().items():
        names = [action.name for action in page.actions]
        assert len(set(names)) == len(names), name


def test_an_actions_route_is_for_whom_its_row_says_and_wants_the_proof(app: Flask) -> None:
    for name, action in actions():
        view = app.view_functions[f"admin.{name}_{action.name}"]
        assert permission_of(view) is action.permission, (name, action.name)
        assert getattr(view, "needs_sudo", False) == (action.proof is not None), (name, action.name)


def audited() -> int:
    return int(column("SELECT count(*) FROM audit_entry WHERE reason = %(why)s", why=WHY)[0])


@pytest.mark.parametrize("name", sorted(THINGS))
def test_what_a_page_offers_asks_why_is_done_once_and_leads_back(
    office: Office, desk: Desk, name: str
) -> None:
    page, thing, done = pages()[name], THINGS[name](desk), set()
    address = re.sub(r"<[^>]+>", str(thing), f"/admin{page.rule}")
    # What can be done after something was done is offered then: each as soon as it is.
    while offered := set(OFFERED.findall(office.browser.get(address).text)) - done:
        action = next(action for action in page.actions if action.name in offered)
        done.add(action.name)
        carry_out_once(office, f"{address}/{action.path}", address, action)
    assert done


def carry_out_once(office: Office, path: str, address: str, action: Action) -> None:
    shown = office.browser.get(address).text.partition(f'id="ask-{action.name}"')[2]
    seen = {"seen": marked[1]} if (marked := re.search(r'name="seen" value="([^"]+)"', shown)) else {}
    before = audited()
    blank = office.post(path, seen | {"reason": "    "})
    assert blank.status_code == 422
    assert f'id="ask-{action.name}" data-dialog open' in blank.text
    assert "field-problem" in blank.text
    assert audited() == before
    answer = office.post(path, seen | {"reason": f"  {WHY} "})
    assert (answer.status_code, answer.location) == (303, "/admin/errors" if "/errors/" in path else address)
    said = office.browser.get(answer.location).text
    assert said.count('class="notice"') == 1
    assert audited() == before + 1
    assert office.post(path, seen | {"reason": WHY}, htmx=True).status_code in {204, 409}
    assert audited() == before + 1


@pytest.mark.proves("ASVS 33")
def test_a_proof_that_has_grown_old_leads_to_a_new_one_and_does_nothing(office: Office, desk: Desk) -> None:
    forget_proof(office.ada)
    before = audited()
    for name, action in actions():
        address = re.sub(r"<[^>]+>", str(THINGS[name](desk)), f"/admin{pages()[name].rule}")
        if action.proof is not None:
            answer = office.post(f"{address}/{action.path}", {"reason": WHY})
            assert (answer.status_code, answer.location.partition("?")[0]) == (303, "/sudo"), action.name
            assert f'id="ask-{action.name}"' not in office.browser.get(address).text
    assert audited() == before
