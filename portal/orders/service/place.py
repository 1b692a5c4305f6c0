"""The one statement that creates an order: replay, match, row, timeline, hold, event and key at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import psycopg

from portal.core.actors import Actor
from portal.core.crypto import decrypt
from portal.core.db import constraint_of, hot
from portal.core.errors import Conflict
from portal.core.idempotency import IdempotencyInProgress, IdempotentCall
from portal.core.ids import new_id
from portal.ledger.models import EntryKind
from portal.ledger.service import refusal_of
from portal.matching.service import bucket_of, note_taken, search_params
from portal.merchants.queries import StoreTerms
from portal.orders.accounts import store_accounts
from portal.orders.exposure.limits import limits_of, refusal_from
from portal.orders.models import Status
from portal.orders.record import OrderRecord
from portal.orders.representation import order_object, requisite_object
from portal.orders.service.assign import RETRY_EVERY_S
from portal.orders.transitions import Step, event_of, find_transition
from portal.reference import configuration as config

_FROM_ORDER = (
    "id", "mode", "direction", "store_id", "external_id", "status", "status_reason", "amount_minor",
    "currency", "method", "bank", "settlement_currency", "settlement_minor", "fee_minor", "rate_micros",
    "rate_source", "rate_at", "store_fee_bps", "fixed_fee_minor", "trader_commission_bps",
    "lead_commission_bps", "recipient_number_encrypted", "recipient_number_index", "recipient_masked",
    "recipient_holder", "customer_ref", "customer_ip", "customer_encrypted", "return_url", "description",
    "locale",
)  # fmt: skip
# The fields of the database's type of the same name, in its order.
NEW_ORDER = (
    "lock_key", "path", "key", "fingerprint", *_FROM_ORDER, "metadata", "token_hash",
    "is_searched", "limits", "day_timezone", "starts", "split_to", "only", "never", "match_s", "pay_s", "retry_s",
    "created_step", "matched_step", "matched_status", "matched_event",
    "entry_kind", "hold_minor", "from_account", "to_account", "actor_kind", "actor_id",
    "event_id", "event_type", "answer", "requisite_shown",
)  # fmt: skip
_PLACE = f"SELECT * FROM place_order(ROW({', '.join(f'%({name})s' for name in NEW_ORDER)})::new_order)"  # noqa: S608

# What only the database knows, as the answer's text holds it until then. No client can send NUL.
_STATUS, _NOW, _MATCH_BY, _PAY_BY = "\0status", "\0now", "\0match_by", "\0pay_by"
_REQUISITE, _BANK, _NUMBER, _HOLDER = "\0requisite", "\0bank", "\0number", "\0holder"
_NUMBER_TEXT = orjson.dumps(_NUMBER).decode()

_NO_SEARCH = dict.fromkeys(
    (
        "limits",
        "day_timezone",
        "starts",
        "split_to",
        "only",
        "never",
        "matched_step",
        "matched_status",
        "matched_event",
    )
)
_NO_HOLD = {"entry_kind": None, "hold_minor": 0, "from_account": None, "to_account": None}
_NO_CALL = dict.fromkeys(("lock_key", "path", "key", "fingerprint"))


class DuplicateExternalId(Conflict):
    code, title = "duplicate_external_id", "There is an order with this external_id already"


def place_order(
    order: OrderRecord, store: StoreTerms, *, search: bool, actor: Actor, call: IdempotentCall | None
) -> Mapping[str, Any]:
    """Write the order (whose times are not set yet) as the database's function of the same name tells.

    With `search` a payin is matched, and a requisite's limits and its trader's deposit are reserved. Gives the
    function's row; see answer_of. Locks the key, what limits of exposure are counted by, then the requisite, then
    accounts by id. Raises IdempotencyInProgress, IdempotencyKeyReused, InsufficientFunds, DuplicateExternalId,
    and with `search` LimitReached, AmountAboveLimit, Forbidden.
    """
    bucket = bucket_of(order.mode, order.method or "", order.currency, order.bank)
    params: dict[str, Any] = {name: getattr(order, name) for name in _FROM_ORDER}
    params |= _call_params(call) | _hold_params(order, search=search) | _answer_params(order)
    if search:
        params |= search_params(bucket, order.id, store.traffic_for(order.mode)) | _match_params(order, actor)
    else:
        params |= _NO_SEARCH
    params |= {
        "metadata": orjson.dumps(order.order_metadata).decode(), "token_hash": order.token_hash,
        "match_s": config.get(config.MATCH_WINDOW_S), "pay_s": config.get(config.PAY_WINDOW_S),
        "retry_s": RETRY_EVERY_S, "is_searched": search, "created_step": Step.CREATED.value,
        "actor_kind": actor.kind.value, "actor_id": actor.id, "event_id": new_id(), "event_type": _event_type(order),
    }  # fmt: skip
    try:
        row = hot(_PLACE, params)[0]
    except psycopg.errors.CheckViolation as error:
        raise refusal_of(error) from error
    except psycopg.errors.UniqueViolation as error:
        if constraint_of(error) == "uq_orders_external_id":
            raise DuplicateExternalId(extra={"external_id": order.external_id or ""}) from error
        raise
    if row["verdict"] == "limit" and (refusal := refusal_from(order, row)):
        raise refusal
    if row["verdict"] == "in_progress":
        raise IdempotencyInProgress(retry_after_s=1)
    if row["verdict"] == "placed" and search:
        note_taken(bucket, row)
    return row


def answer_of(row: Mapping[str, Any], call: IdempotentCall | None) -> str:
    """The answer's JSON text, with the requisite's full number; of a replay the text that was given.

    Raises IdempotencyKeyReused when the replayed call was another one.
    """
    if row["verdict"] == "replay":
        assert call is not None
        call.check(row["fingerprint"])
        if row["answer"] is None:
            return call.unseal(row["kept_body"])
    text: str = row["answer"]
    if row["secret"] is None:
        return text
    number = decrypt("requisite", "number", row["secret_row_id"], row["secret"])
    return text.replace(_NUMBER_TEXT, orjson.dumps(number).decode(), 1)


def _call_params(call: IdempotentCall | None) -> dict[str, Any]:
    if call is None:
        return _NO_CALL
    return {
        "lock_key": call.lock_key, "path": call.path, "key": call.key, "fingerprint": call.fingerprint,
    }  # fmt: skip


def _match_params(order: OrderRecord, actor: Actor) -> dict[str, Any]:
    """What may be reached of limits, and what becomes of the order when somebody is found."""
    row = find_transition(order.direction, order.status, Step.MATCHED, actor)
    return {
        "limits": limits_of(order.mode, order.settlement_currency),
        "matched_step": row.step.value, "matched_status": row.target.value, "matched_event": row.event,
    }  # fmt: skip


def _hold_params(order: OrderRecord, *, search: bool) -> dict[str, Any]:
    """A payin's hold is the settlement amount of whoever is matched; a payout's is the store's, fee included."""
    if order.is_payin:
        return _NO_HOLD | {"entry_kind": EntryKind.PAYIN_MATCHED.value if search else None}
    if order.status == Status.FAILED:
        return _NO_HOLD
    available, held = store_accounts(order)
    return {
        "entry_kind": EntryKind.PAYOUT_CREATED.value, "hold_minor": order.settlement_minor + order.fee_minor,
        "from_account": available, "to_account": held,
    }  # fmt: skip


def _answer_params(order: OrderRecord) -> dict[str, str]:
    shown = order_object(order, with_link=True) | {
        "status": _STATUS, "requisite": _REQUISITE, "match_by": _MATCH_BY, "pay_by": _PAY_BY,
        "created_at": _NOW, "updated_at": _NOW,
    }  # fmt: skip
    requisite = requisite_object(order.method, _BANK, _NUMBER, _HOLDER)
    return {"answer": orjson.dumps(shown).decode(), "requisite_shown": orjson.dumps(requisite).decode()}


def _event_type(order: OrderRecord) -> str | None:
    """What is told when nobody is matched: of one that the rules declined, as if somebody had refused it in review."""
    if order.status != Status.FAILED:
        return None
    return event_of(order.direction, Status.REVIEW, Step.REFUSED)


def explain_duplicate(error: DuplicateExternalId, first: str) -> DuplicateExternalId:
    """The same refusal with the public id of the first order, looked up after the roll-back."""
    return DuplicateExternalId(
        f"The order {first} has this external_id.", extra=error.extra | {"order_id": first}
    )
