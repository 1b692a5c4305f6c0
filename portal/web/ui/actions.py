"""Why, proof, verb, back: how a page asks before something is done with power, and what follows when it is done.

A row of `Action` is all that a new one needs: its dialog, its address and its permission are made from it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias, TypeVar

from flask import Blueprint, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel.speaklater import LazyString
from flask_login import current_user
from werkzeug.wrappers import Response

from portal.core.db import run_in_transaction
from portal.core.errors import (
    Conflict,
    DomainError,
    Forbidden,
    PayloadTooLarge,
    TooManyRequests,
    UnsupportedMedia,
    ValidationFailed,
)
from portal.core.permissions import Permission, requires
from portal.web.labels.refusals import words_of_error
from portal.web.shell.acting import acting_person
from portal.web.shell.flashes import flash
from portal.web.shell.guards import needs_sudo
from portal.web.shell.htmx import see_other
from portal.web.ui.forms import PageForm
from portal.web.ui.reason_form import ReasonForm

T = TypeVar("T")
View = Callable[..., ResponseReturnValue]
# Words that are always the same, or that depend on what the page is about (or on what the verb gave back).
Words: TypeAlias = str | LazyString | Callable[[Any], str]
# The page that the form is on, once more: its status, and what was refused if it is not the form that is wrong.
Again: TypeAlias = Callable[[int, DomainError | None], Response]
# What the page that a form is on can say; anything else gets a page of its own.
REFUSALS = (Conflict, Forbidden, ValidationFailed, TooManyRequests, PayloadTooLarge, UnsupportedMedia)


def _page_of_its_own(_status: int, refused: DomainError | None) -> Response:
    raise refused or ValidationFailed()


def carry_out(
    work: Callable[[], T],
    *,
    done: Words,
    back: str | Callable[[T], str],
    form: PageForm | None = None,
    again: Again = _page_of_its_own,
) -> Response:
    """As carry_out_and_answer, and then say that it is done and lead back: 303, or htmx's redirect."""

    def lead_back(result: T) -> Response:
        flash(words_for(done, result))
        return see_other(back if isinstance(back, str) else back(result))

    return carry_out_and_answer(work, lead_back, form=form, again=again)


def carry_out_and_answer(
    work: Callable[[], T],
    answer: Callable[[T], Response],
    *,
    form: PageForm | None = None,
    again: Again = _page_of_its_own,
) -> Response:
    """Do what a valid form asks for in one transaction, and answer by what came of it.

    `work` runs again where it lost a race: who acts, and whatever else the request knows, is read before it. That
    it counts once however often it is sent is the verb's, which compares with what its reader saw or changes nothing.
    """
    if form is not None and not form.validate():
        return again(422, None)
    try:
        result = run_in_transaction(work)
    except REFUSALS as error:
        return again(error.status, None if form is not None and form.refuse(error) else error)
    return answer(result)


def said(refused: DomainError | None) -> str:
    """The sentence of what was refused, if anything was."""
    return words_of_error(refused) if refused else ""


def words_for(words: Words, thing: object) -> str:
    return words(thing) if callable(words) else str(words)


def guarded(view: View, permission: Permission, proof: Callable[[View], View] | None) -> View:
    """The view as a route declares it: for whom, and with what proof of who they are (`needs_sudo`, `needs_proof`)."""
    return requires(permission)(proof(view) if proof else view)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a page says to the form that was sent from it: whose dialog is open (`about`), and what was refused."""

    status: int = 200
    about: str = ""
    form: ReasonForm | None = None
    problem: str = ""

    def render(self, template: str, /, **variables: Any) -> Response:
        page = render_template(
            template, form=self.form or ReasonForm(), about=self.about, words=self.problem, is_problem=True,
            **variables,
        )  # fmt: skip
        return make_response(page, self.status)


NOTHING_SENT = Reply()


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that may be done, with a reason, to what a page is about: a person, a merchant, a queue; asked in a dialog.

    What is done to an order is an `OrderAction`, or an `OrderProposal` if nobody does it alone (portal/web/shared/orders):
    those have pages of their own, and are done to the version that was seen.

    `run` takes the id of the page's address, `actor`, and what the form gives; `path` follows that address. `fits`, and
    `title`, `words` and `mark` where they depend on it, take what the page shows. `mark` is what its reader saw, which
    a SeenForm gives back; `done` may depend on what `run` returned.
    """

    name: str
    path: str
    permission: Permission
    run: Callable[..., object]
    button: LazyString
    title: Words
    words: Words
    done: Words
    tone: str = ""
    fits: Callable[[Any], bool] = lambda _thing: True
    form: type[ReasonForm] = ReasonForm
    mark: Words = ""
    proof: Callable[[View], View] | None = needs_sudo


class Offer(NamedTuple):
    """An action as its dialog is drawn (`components/ask.html`)."""

    action: Action
    title: str
    words: str
    mark: str
    url: str


@dataclass(frozen=True, slots=True)
class ActionPage:
    """A page with actions: `endpoint` is its name in the blueprint, `rule` its address, which ends with the id `key`.

    `draw` takes the id and the reply to what was sent; `back` is where who did something is led, if not to the page.
    """

    endpoint: str
    rule: str
    key: str
    actions: Sequence[Action]
    draw: Callable[[Any, Reply], Response]
    back: str = ""

    def offers(self, thing_id: Any, thing: object) -> list[Offer]:
        """What this visitor may do to the thing as it stands."""
        return [
            Offer(
                action, words_for(action.title, thing), words_for(action.words, thing), words_for(action.mark, thing),
                url_for(f".{self.endpoint}_{action.name}", **{self.key: thing_id}),
            )
            for action in self.actions
            if current_user.can(action.permission) and action.fits(thing)
        ]  # fmt: skip

    def add_to(self, blueprint: Blueprint) -> None:
        """Each action gets the address that its dialog's form is sent to."""
        for action in self.actions:
            view = guarded(self._doing(action), action.permission, action.proof)
            name = f"{self.endpoint}_{action.name}"
            blueprint.add_url_rule(f"{self.rule}/{action.path}", name, view, methods=["POST"])

    def _doing(self, action: Action) -> View:
        def do(**address: Any) -> Response:
            thing_id, form, actor = address[self.key], action.form(request.form), acting_person()
            return carry_out(
                lambda: action.run(thing_id, actor=actor, **form.given()), form=form, done=action.done,
                again=lambda status, refused: self.draw(thing_id, Reply(status, action.name, form, said(refused))),
                back=url_for(self.back) if self.back else url_for(f".{self.endpoint}", **address),
            )  # fmt: skip

        return do
