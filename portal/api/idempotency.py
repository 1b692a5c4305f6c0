"""The Idempotency-Key header, and calls that are answered once however often they are sent."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress

from flask import Response, request

from portal.api.answers import json_answer
from portal.api.authentication import Caller
from portal.api.problems import PROBLEM, from_refusal
from portal.api.strict_json import canonical_json
from portal.core.db import run_in_transaction
from portal.core.errors import BadRequest, Conflict
from portal.core.idempotency import (
    IdempotencyInProgress,
    IdempotentCall,
    StoredAnswer,
    begin_call,
    store_answer,
)

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
_LONGEST = 255


def read_key(*, required: bool = True) -> str | None:
    """The key of this request: 1 to 255 visible ASCII characters, bare or as a quoted string. Raises 400."""
    values = request.headers.getlist(HEADER)
    if not values:
        if required:
            raise BadRequest(
                "Send an Idempotency-Key, so that the call can be repeated safely.",
                code="idempotency_key_missing",
            )
        return None
    key = values[0]
    if len(key) > 1 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if len(values) > 1 or not 0 < len(key) <= _LONGEST or not key.isascii() or _has_unseen(key):
        raise BadRequest(
            "An Idempotency-Key is 1 to 255 visible ASCII characters.", code="idempotency_key_malformed"
        )
    return key


def _has_unseen(key: str) -> bool:
    return not key.isprintable() or " " in key


def call_of(caller: Caller, key: str, body: object) -> IdempotentCall:
    """The scope of a key and the fingerprint of what was asked: method, path and the validated body."""
    asked = f"{request.method}\0{request.path}\0".encode() + canonical_json(body)
    return IdempotentCall(caller.store.id, caller.mode, request.path, key, hashlib.sha256(asked).digest())


def replayable(answer: StoredAnswer, *, is_replay: bool) -> Response:
    response = json_answer(answer.body, answer.status)
    if answer.status >= 400:
        response.headers["Content-Type"] = PROBLEM
    if is_replay:
        response.headers[REPLAYED] = "true"
    return response


def run_once(call: IdempotentCall | None, work: Callable[[], StoredAnswer]) -> Response:
    """Do the work and keep its answer in the same transaction, or give the answer that was kept.

    A refusal by the state of things (409) rolls everything back and is kept as the answer; what is wrong with
    the request itself is not. Without a key the work is simply done. Raises IdempotencyInProgress (409) and
    IdempotencyKeyReused (422).
    """

    def once() -> Response:
        if call is None:
            return replayable(work(), is_replay=False)
        _, kept = begin_call(call)
        if kept is not None:
            return replayable(kept, is_replay=True)
        answer = work()
        store_answer(call, answer.status, answer.body)
        return replayable(answer, is_replay=False)

    try:
        return run_in_transaction(once)
    except Conflict as refusal:
        if call is None:
            raise
        return kept_refusal(call, refusal)


def kept_refusal(call: IdempotentCall, refusal: Conflict) -> Response:
    """Answer with a refusal and keep it under its key: a retry must not turn a no into a yes.

    A twin that still runs is no answer; it is raised again.
    """
    if isinstance(refusal, IdempotencyInProgress):
        raise refusal
    response = from_refusal(refusal)

    def keep() -> None:
        _, kept = begin_call(call)
        if kept is None:
            store_answer(call, response.status_code, response.get_data(as_text=True))

    with suppress(IdempotencyInProgress):
        run_in_transaction(keep)
    return response
