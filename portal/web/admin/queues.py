"""`/admin/queues`: what waits, who works, what was given up; stopping a queue, trying again, dismissing."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from flask import render_template
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString
from werkzeug.wrappers import Response
from wtforms import StringField
from wtforms.validators import UUID, Optional

from portal.core.permissions import Permission, requires
from portal.core.processes.presence import list_workers
from portal.core.queues import QueueName
from portal.queues import service
from portal.queues.figures import list_dead_letters, list_queues
from portal.web.admin import blueprint
from portal.web.ui.actions import NOTHING_SENT, Action, ActionPage, Reply
from portal.web.ui.reason_form import ReasonForm

ONE = "/queues/<any(matching,events,webhooks,mail,maintenance):queue>"


@blueprint.get("/queues")
@requires(Permission.QUEUE_VIEW)
def queues() -> ResponseReturnValue:
    return render_template("admin/queues/list.html", queues=list_queues(), workers=list_workers())


@blueprint.get(ONE)
@requires(Permission.QUEUE_VIEW)
def queue(queue: str) -> ResponseReturnValue:
    return _page(queue)


class DeadForm(ReasonForm):
    """About all that the queue gave up, or the one that is named."""

    letter = StringField(validators=[Optional(), UUID(_l("Reload the page and try again."))])

    def given(self) -> dict[str, Any]:
        return super().given() | {"ids": [uuid.UUID(self.letter.data)] if self.letter.data else None}


def _page(name: str, reply: Reply = NOTHING_SENT) -> Response:
    state = next(one for one in list_queues() if one.name == name)
    return reply.render(
        "admin/queues/one.html",
        queue=state,
        letters=list_dead_letters(state.name),
        offers=_QUEUE.offers(name, state),
    )


def _of_queue(verb: Callable[..., Any]) -> Callable[..., Any]:
    return lambda name, **given: verb(QueueName(name), **given)


def _if_changed(words: LazyString) -> Callable[[bool], str]:
    return lambda changed: str(words) if changed else _("It was so already.")


_QUEUE = ActionPage("queue", ONE, "queue", (
    Action(
        "resume", "resumption", Permission.QUEUE_MANAGE, _of_queue(service.resume_queue),
        _l("Let the queue go on"), _l("Let the queue go on?"), _l("Its work is taken again within seconds."),
        _if_changed(_l("The queue goes on.")), fits=lambda queue: queue.state != "running",
    ),
    Action(
        "pause", "pause", Permission.QUEUE_MANAGE, _of_queue(service.pause_queue), _l("Pause"), _l("Pause the queue?"),
        _l("What is in hand is finished, nothing new is taken. It stays so until somebody lets it go on, even when Redis is wiped."),
        _if_changed(_l("The queue is paused.")), "danger", lambda queue: queue.state != "paused",
    ),
    Action(
        "drain", "drain", Permission.QUEUE_MANAGE, _of_queue(service.drain_queue), _l("Drain"), _l("Drain the queue?"),
        _l("What is due now is tried once more, then the queue pauses."),
        _if_changed(_l("What is due is worked off, then it pauses.")), "danger", lambda queue: queue.state == "running",
    ),
    Action(
        "replay", "replay", Permission.QUEUE_MANAGE, _of_queue(service.replay_dead),
        _l("Try all again"), _l("Try again what failed for good?"), _l("Each gets all its tries anew."),
        lambda count: _("Tried again: %(count)s", count=count), "", lambda queue: queue.backlog.dead, DeadForm,
    ),
    Action(
        "dismiss", "dismissal", Permission.QUEUE_MANAGE, _of_queue(service.dismiss_dead),
        _l("Dismiss all"), _l("Dismiss what failed for good?"),
        _l("It is not tried again and not counted any more. What it was stays on record."),
        lambda count: _("Dismissed: %(count)s", count=count), "danger", lambda queue: queue.backlog.dead, DeadForm,
    ),
), _page)  # fmt: skip
_QUEUE.add_to(blueprint)
