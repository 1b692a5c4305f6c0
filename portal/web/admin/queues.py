"""`/admin/queues`: what waits, who works, what was given up; stopping a queue, trying again, dismissing."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from flask import flash, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from portal.core.db import transaction
from portal.core.permissions import Permission, requires
from portal.core.processes.presence import list_workers
from portal.core.queues import QueueName
from portal.queues import service
from portal.queues.figures import QueueState, list_dead_letters, list_queues
from portal.queues.service import NothingToDismiss, NothingToReplay
from portal.web.admin import blueprint
from portal.web.admin.acting import admin_actor
from portal.web.auth.sudo import needs_sudo
from portal.web.labels.refusals import words_of_error
from portal.web.shell.htmx import see_other
from portal.web.ui.reason_form import ReasonForm

ONE = "/queues/<any(matching,events,webhooks,mail,maintenance):queue>"


def queue_words(name: str) -> str:
    words = {
        QueueName.MATCHING: _("Matching"),
        QueueName.EVENTS: _("Events"),
        QueueName.WEBHOOKS: _("Webhooks"),
        QueueName.MAIL: _("Mail"),
        QueueName.MAINTENANCE: _("Maintenance"),
    }
    return words[QueueName(name)]


def queue_sentence(name: str) -> str:
    words = {
        QueueName.MATCHING: _("Orders that wait for a trader."),
        QueueName.EVENTS: _("What happened, to be handed on to webhooks, people and open pages."),
        QueueName.WEBHOOKS: _("Deliveries to stores."),
        QueueName.MAIL: _("Letters to people."),
        QueueName.MAINTENANCE: _(
            "Roll-ups, rates, the audit log's seals, proofs, and what is to be forgotten."
        ),
    }
    return words[QueueName(name)]


@blueprint.get("/queues")
@requires(Permission.QUEUE_VIEW)
def queues() -> ResponseReturnValue:
    return render_template(
        "admin/queues/list.html", queues=list_queues(), workers=list_workers(), queue_words=queue_words
    )


@blueprint.get(ONE)
@requires(Permission.QUEUE_VIEW)
def queue(queue: str) -> ResponseReturnValue:
    return _page(QueueName(queue))


@blueprint.post(f"{ONE}/pause")
@requires(Permission.QUEUE_MANAGE)
@needs_sudo
def queue_pause(queue: str) -> ResponseReturnValue:
    return _change(QueueName(queue), "pause", service.pause_queue, _("The queue is paused."))


@blueprint.post(f"{ONE}/drain")
@requires(Permission.QUEUE_MANAGE)
@needs_sudo
def queue_drain(queue: str) -> ResponseReturnValue:
    return _change(
        QueueName(queue), "drain", service.drain_queue, _("What is due is worked off, then it pauses.")
    )


@blueprint.post(f"{ONE}/resumption")
@requires(Permission.QUEUE_MANAGE)
@needs_sudo
def queue_resume(queue: str) -> ResponseReturnValue:
    return _change(QueueName(queue), "resume", service.resume_queue, _("The queue goes on."))


@blueprint.post(f"{ONE}/replay")
@requires(Permission.QUEUE_MANAGE)
@needs_sudo
def queue_replay(queue: str) -> ResponseReturnValue:
    """All that the queue gave up, or the one named by `letter`."""
    return _of_dead(QueueName(queue), "replay", service.replay_dead, _("Tried again: %(count)s"))


@blueprint.post(f"{ONE}/dismissal")
@requires(Permission.QUEUE_MANAGE)
@needs_sudo
def queue_dismiss(queue: str) -> ResponseReturnValue:
    """All that the queue gave up, or the one named by `letter`."""
    return _of_dead(QueueName(queue), "dismiss", service.dismiss_dead, _("Dismissed: %(count)s"))


def _of_dead(name: QueueName, about: str, verb: Callable[..., int], done: str) -> Response:
    form = ReasonForm(request.form)
    letter, known = request.form.get("letter", ""), _id_of(request.form.get("letter", ""))
    if not form.validate() or (letter and known is None):
        return _page(name, 422, form=form, about=about)
    try:
        with transaction():
            count = verb(name, form.reason.data, actor=admin_actor(), ids=[known] if known else None)
    except (NothingToReplay, NothingToDismiss) as error:
        return _page(name, error.status, problem=words_of_error(error))
    flash(done % {"count": count})
    return see_other(url_for("admin.queue", queue=name.value))


def _id_of(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def _change(name: QueueName, about: str, verb: Callable[..., bool], done: str) -> Response:
    form = ReasonForm(request.form)
    if not form.validate():
        return _page(name, 422, form=form, about=about)
    with transaction():
        changed = verb(name, form.reason.data, actor=admin_actor())
    flash(done if changed else _("It was so already."))
    return see_other(url_for("admin.queue", queue=name.value))


def _page(
    name: QueueName, status: int = 200, *, form: ReasonForm | None = None, about: str = "", problem: str = ""
) -> Response:
    """`about` is the dialog that `form` was sent from."""
    state: QueueState = next(one for one in list_queues() if one.name is name)
    page = render_template(
        "admin/queues/one.html",
        queue=state,
        letters=list_dead_letters(name),
        queue_words=queue_words,
        queue_sentence=queue_sentence,
        form=form or ReasonForm(),
        about=about,
        words=problem,
        is_problem=True,
    )
    return make_response(page, status)
