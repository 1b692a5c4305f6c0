"""How every change of the queue is answered: the board as it is now, with a word on what happened."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from flask import make_response, render_template, url_for
from werkzeug.wrappers import Response

from portal.orders.models import Status
from portal.web.shell.flashes import flash
from portal.web.shell.htmx import fragment, is_htmx, see_other
from portal.web.trader.board import Board, cards_of, read_board
from portal.web.trader.seat import current_seat


@dataclass(frozen=True, slots=True)
class FormState:
    """What is still open in one card: what was typed, what is wrong with it, or what is to be agreed to."""

    order_id: uuid.UUID
    name: str  # "amount", "decline", "proof"
    typed: str = ""
    problem: str = ""
    agreed_minor: int | None = None


def board_variables(board: Board) -> dict[str, Any]:
    """What `_board.html` is drawn from."""
    return {
        "board": board,
        "payins": cards_of(board.of("payin", Status.AWAITING_CONFIRMATION, Status.AWAITING_PAYMENT)),
        "payouts": cards_of(board.of("payout", Status.AWAITING_PAYOUT, Status.AWAITING_CONFIRMATION)),
        "disputed": cards_of(board.of("payin", Status.DISPUTED) + board.of("payout", Status.DISPUTED)),
        "late": cards_of(board.late),
    }


def done(words: str) -> Response:
    """Something was done (or had been done before): 200 with the board, or 303 to the queue."""
    if not is_htmx():
        flash(words)
        return see_other(url_for("trader.queue"))
    return _board(200, words=words)


def undone(words: str, status: int) -> Response:
    """Nothing was done, and why."""
    return _board(status, words=words, is_problem=True)


def still_open(form: FormState) -> Response:
    """A form needs another look: 422 when something is wrong with it, 200 when only agreement is asked."""
    return _board(422 if form.problem else 200, form=form)


def _board(
    status: int, *, words: str = "", is_problem: bool = False, form: FormState | None = None
) -> Response:
    variables = board_variables(read_board(current_seat()))
    variables |= {"words": words, "is_problem": is_problem, "form": form}
    if is_htmx():
        return fragment("trader/queue/_answer.html", status, **variables)
    return make_response(render_template("trader/queue/queue.html", seat=current_seat(), **variables), status)
