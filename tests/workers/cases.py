"""What may run in the background, each with what makes it due, its effect counted in rows, and its object gone."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from portal.approvals.access import change_access
from portal.core.actors import SYSTEM
from portal.core.db import hot, run_in_transaction, transaction
from portal.core.ids import new_id
from portal.core.modes import Mode
from portal.core.permissions import Permission, Reach
from portal.identity.access.changes import AccessChange
from portal.identity.models import Role
from portal.identity.service import create_user
from portal.mail.rendering import Letter
from portal.reference import rate_feed, setting_changes
from portal.webhooks.attempt import judge
from portal.webhooks.leases import claim_deliveries
from portal.webhooks.outcomes import record_outcomes
from portal.webhooks.service import EndpointUrl, set_endpoint
from portal.workers import clock, jobs
from portal.workers.postman import _post
from portal.workers.relay import _relay
from tests.access.people import acting, person
from tests.approvals.room import past_the_house
from tests.rows import change
from tests.scene import Scene


def sql(text: str, **values: Any) -> list[dict[str, Any]]:
    return change(text, values)


def one(text: str, **values: Any) -> Any:
    return next(iter(sql(text, **values)[0].values()))


def duty(name: str) -> Callable[[], object]:
    everything = (clock.BEAT, *clock.DEADLINES, *clock.UPKEEP, *clock.PROOFS)
    return next(known.act for known in everything if known.name == name)


@dataclass
class World:
    """A scene, and what a case keeps of what it has prepared."""

    scene: Scene
    folder: Path
    patch: pytest.MonkeyPatch
    kept: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """`effect` counts, in rows, how often the work has had its effect on what `prepare` made due."""

    prepare: Callable[[World], None]
    act: Callable[[], object]
    effect: Callable[[World], int]
    gone: Callable[[World], object]


def waiting_order(world: World) -> None:
    trader = world.scene.trader(working=False)
    world.scene.requisite(trader)
    order = world.scene.payin()
    sql("UPDATE trader SET is_working = true WHERE id = %(id)s", id=trader.id)
    sql("UPDATE requisite SET trader_payin_on = true WHERE trader_id = %(id)s", id=trader.id)
    sql("UPDATE orders SET retry_at = now() WHERE id = %(id)s", id=order.id)
    world.kept |= {"order": order.id, "trader": trader.id}


def steps(event: str) -> Callable[[World], int]:
    text = "SELECT count(*) FROM order_event WHERE order_id = %(id)s AND to_status = %(status)s"
    return lambda world: one(text, id=world.kept["order"], status=event)


def end_order(world: World) -> None:
    """Orders stay for good: gone is one that has moved on meanwhile."""
    sql(
        "UPDATE orders SET due_at = NULL, retry_at = NULL, window_leaves_at = NULL WHERE id = %(id)s",
        id=world.kept["order"],
    )


def unpaid_order(world: World) -> None:
    world.scene.requisite(world.scene.trader())
    order = world.scene.payin()
    world.kept |= {"order": order.id, "requisite": order.requisite_id, "amount": order.amount_minor}


def overdue(world: World) -> None:
    unpaid_order(world)
    sql("UPDATE orders SET due_at = now() - interval '1 s' WHERE id = %(id)s", id=world.kept["order"])


def silence(world: World) -> None:
    unpaid_order(world)
    with transaction():
        hot("SET LOCAL session_replication_role = replica")
        hot(
            "UPDATE order_event SET at = at - interval '1 hour' WHERE order_id = %(id)s",
            {"id": world.kept["order"]},
        )
    sql("INSERT INTO heartbeat (role, beat_at) VALUES ('clock', now() - interval '10 min')"
        " ON CONFLICT (role) DO UPDATE SET beat_at = excluded.beat_at, given_back_until = NULL")  # fmt: skip
    world.kept["due_at"] = one("SELECT due_at FROM orders WHERE id = %(id)s", id=world.kept["order"])


def moved(world: World) -> int:
    """By how many outages of ten minutes the deadline has moved."""
    text = "SELECT round(extract(epoch FROM due_at - %(was)s) / 600) FROM orders WHERE id = %(id)s"
    return int(one(text, id=world.kept["order"], was=world.kept["due_at"]))


def leaving_window(world: World) -> None:
    unpaid_order(world)
    sql(
        "UPDATE orders SET window_leaves_at = now() - interval '1 s' WHERE id = %(id)s",
        id=world.kept["order"],
    )
    world.kept["sum"] = 10 * world.kept["amount"]
    sql(
        "UPDATE requisite SET window_amount = %(sum)s WHERE id = %(id)s",
        sum=world.kept["sum"],
        id=world.kept["requisite"],
    )


def freed(world: World) -> int:
    left = one("SELECT window_amount FROM requisite WHERE id = %(id)s", id=world.kept["requisite"])
    return (world.kept["sum"] - left) // world.kept["amount"]


EXACT = """
SELECT coalesce((SELECT sum(balance) FROM ledger_rollup), 0) + coalesce((SELECT sum(amount) FROM ledger_unfolded), 0)
"""


def postings(world: World) -> None:
    world.scene.trader()
    world.kept |= {"exact": one(EXACT), "waiting": one("SELECT count(*) FROM ledger_unfolded")}
    assert world.kept["waiting"]


def folded(world: World) -> int:
    assert one(EXACT) == world.kept["exact"]
    return int(one("SELECT count(*) FROM ledger_unfolded") == 0)


def old_key(world: World) -> None:
    sql("INSERT INTO idempotency_key (store_id, mode, path, key, fingerprint, status, body_encrypted, created_at)"
        " VALUES (%(store)s, 'live', '/x', 'old', 'f', 201, 'b', now() - interval '40 days')", store=world.scene.store_id)  # fmt: skip


def old_mail(_world: World) -> None:
    sql("INSERT INTO mail (id, kind, recipient, locale, params, state, done_at) VALUES (%(id)s, 'new_order', 'old@x.test',"
        " 'en', '{}', 'sent', now() - interval '900 days')", id=new_id())  # fmt: skip


def old_sign_in(_world: World) -> None:
    sql(
        "INSERT INTO sign_in_attempt (email, succeeded, at) VALUES ('old@x.test', false, now() - interval '900 days')"
    )


def old_report(_world: World) -> None:
    sql("INSERT INTO error_report (kind, fingerprint, logger, level, role, count, first_at, last_at, sample) VALUES"
        " ('Old', 'old', 'x', 'ERROR', 'web', 1, now() - interval '900 days', now() - interval '900 days', 'x')")  # fmt: skip


def forgotten(table: str, condition: str) -> tuple[Callable[[World], int], Callable[[World], object]]:
    """Whether the old row is gone; and the same row deleted before anybody came to it."""
    left = f"SELECT (count(*) = 0)::int FROM {table} WHERE {condition}"
    return lambda _world: one(left), lambda _world: sql(f"DELETE FROM {table} WHERE {condition}")


def verified_until_now(world: World) -> None:
    world.kept["trader"] = world.scene.trader().id
    sql(
        "UPDATE trader SET verified_until = now() - interval '1 s' WHERE id = %(id)s", id=world.kept["trader"]
    )


def audited(world: World) -> None:
    world.kept["entry"] = one(
        "INSERT INTO audit_entry (actor_kind, action) VALUES ('system', 'trial.made') RETURNING id"
    )


def sealed_head(world: World) -> None:
    audited(world)
    with transaction():
        clock.seal_waiting()
    settings = clock.get_settings().model_copy(update={"audit_heads_dir": world.folder})
    world.patch.setattr(clock, "get_settings", lambda: settings)


def heads(world: World) -> int:
    """Exported heads; the same one written twice by two clocks at once proves the same."""
    file = world.folder / "audit-heads.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    return len({head["sequence"] for head in map(json.loads, lines) if "chain" not in head})


def draining(_world: World) -> None:
    sql("INSERT INTO queue_stop (queue, state, reason) VALUES ('maintenance', 'draining', 'trial')")


def feed(world: World) -> None:
    sql("UPDATE rate_pair SET source_kind = 'manual'")
    pair = sql("SELECT base, quote, coalesce(current_micros, 1000000) AS rate FROM rate_pair LIMIT 1")[0]
    sql("UPDATE rate_pair SET source_kind = 'http_json', is_active = true, feed_url = 'https://feed.test/', json_pointer = '/r',"
        " next_refresh_at = now(), refresh_every_s = 600 WHERE base = %(base)s AND quote = %(quote)s",
        base=pair["base"], quote=pair["quote"])  # fmt: skip
    world.kept["rates"] = one("SELECT count(*) FROM rate_history")
    rate = f"{pair['rate'] / 10**6:.6f}"
    fetch = rate_feed.refresh_due_rates
    world.patch.setattr(rate_feed, "refresh_due_rates", lambda: fetch(lambda _url: {"r": rate}))


def happened(world: World) -> None:
    with transaction():
        set_endpoint(world.scene.store_id, Mode.TEST, EndpointUrl("https://shop.test/hook"))
    world.kept["event"] = new_id()
    sql("INSERT INTO event (id, type, mode, store_id, subject_kind, subject_id, version, data) VALUES (%(id)s,"
        " 'order.completed', 'test', %(store)s, 'order', %(id)s, 1, '{}')",
        id=world.kept["event"], store=world.scene.store_id)  # fmt: skip


def to_deliver(world: World) -> None:
    happened(world)
    _relay()


def deliver() -> int:
    """Claim and record, as the sender does; the network answers 200."""

    class Ok:
        status, body, headers = 200, b"thanks", {}

    claims = run_in_transaction(lambda: claim_deliveries(limit=50, per_endpoint=4, failing=False, busy={}))
    return run_in_transaction(lambda: record_outcomes([judge(claim, Ok(), 5) for claim in claims]))  # type: ignore[arg-type]


def letter(world: World) -> None:
    world.kept["mail"] = new_id()
    sql("INSERT INTO mail (id, kind, recipient, locale, params) VALUES (%(id)s, 'new_order', 'new@x.test', 'en',"
        " '{\"order\": \"ord_x\", \"amount\": \"7 RUB\", \"link\": \"/trader\"}')", id=world.kept["mail"])  # fmt: skip
    CARRIED.clear()


CARRIED: list[Letter] = []


class Pigeon:
    def carry(self, letter: Letter) -> None:
        CARRIED.append(letter)

    def rest(self) -> None: ...


KEYS = forgotten("idempotency_key", "key = 'old'")
MAILS = forgotten("mail", "recipient = 'old@x.test'")
SIGN_INS = forgotten("sign_in_attempt", "email = 'old@x.test'")
REPORTS = forgotten("error_report", "fingerprint = 'old'")
MATCHED = steps("awaiting_payment")


def nothing(_world: World) -> None:
    """There is no object that could go."""


def no_event(world: World) -> None:
    sql("DELETE FROM webhook_delivery WHERE event_id = %(id)s", id=world.kept["event"])
    sql("DELETE FROM event WHERE id = %(id)s", id=world.kept["event"])


def no_feed(_world: World) -> None:
    sql("UPDATE rate_pair SET source_kind = 'manual'")


def rates_taken(world: World) -> int:
    return one("SELECT count(*) FROM rate_history") - world.kept["rates"]


def administrator(world: World) -> None:
    with transaction():
        world.kept["admin"] = create_user(f"{new_id().hex}@example.test", "Ada", None, [Role.ADMIN]).id


def told(kind: str) -> Callable[[World], int]:
    text = "SELECT count(*) FROM notification WHERE kind = %(kind)s AND user_id = %(admin)s"
    return lambda world: one(text, kind=kind, admin=world.kept["admin"])


def told_of_store(world: World) -> int:
    """What other tests of this module left open is near the limit as well."""
    text = (
        "SELECT count(*) FROM notification WHERE kind = 'exposure_high' AND user_id = %(admin)s"
        " AND starts_with(about, %(store)s)"
    )
    return one(text, admin=world.kept["admin"], store=str(world.scene.store_id))


def ageing_rate(world: World) -> None:
    administrator(world)
    sql("UPDATE rate_pair SET is_active = (base, quote) = ('USDT', 'RUB')")
    sql(
        "UPDATE rate_pair SET stale_after_s = 7200, observed_at = now() - interval '119 min' WHERE quote = 'RUB'"
    )


def fresh_rates(_world: World) -> None:
    sql("UPDATE rate_pair SET observed_at = now() WHERE observed_at IS NOT NULL")


def store_near_a_limit(world: World) -> None:
    administrator(world)
    world.scene.requisite(world.scene.trader())
    with transaction():
        setting_changes.set_value("exposure_store_open", 100, SYSTEM)
    world.kept["order"] = world.scene.payin(9_000_00).id


def no_limit_near(_world: World) -> None:
    with transaction():
        setting_changes.reset("exposure_store_open", SYSTEM)


def overdue_request(world: World) -> None:
    with transaction():
        whom, by = person(Role.SUPPORT), person(Role.ADMIN)
        change = AccessChange(grant={Permission.PAYIN_CONFIRM: Reach.TEAM})
        world.kept["request"] = change_access(whom.id, change, "Covers", actor=acting(by))
    late = "UPDATE approval_request SET expires_at = now() - interval '1 s' WHERE id = %(id)s"
    past_the_house(late, id=world.kept["request"])


def times_expired(world: World) -> int:
    text = (
        "SELECT count(*) FROM audit_entry WHERE action = 'approval.expired' AND after ->> 'request' = %(id)s"
    )
    return int(one(text, id=str(world.kept["request"])))


def withdrawn_request(world: World) -> None:
    past_the_house(
        "UPDATE approval_request SET state = 'withdrawn', ended_at = now() WHERE id = %(id)s",
        id=world.kept["request"],
    )


CASES: dict[str, Case] = {
    "duty: approvals": Case(overdue_request, duty("approvals"), times_expired, withdrawn_request),
    "duty: ageing rates": Case(ageing_rate, duty("ageing rates"), told("rate_ageing"), fresh_rates),
    "duty: exposure": Case(store_near_a_limit, duty("exposure"), told_of_store, no_limit_near),
    "duty: beat": Case(silence, duty("beat"), moved, end_order),
    "duty: due orders": Case(overdue, duty("due orders"), steps("expired"), end_order),
    "duty: waiting payins": Case(waiting_order, duty("waiting payins"), MATCHED, end_order),
    "job: match_waiting": Case(waiting_order, jobs.match_waiting, MATCHED, end_order),
    "duty: requisite limits": Case(leaving_window, duty("requisite limits"), freed, end_order),
    "duty: ledger roll-up": Case(postings, duty("ledger roll-up"), folded, nothing),
    "duty: rates": Case(feed, duty("rates"), rates_taken, no_feed),
    "job: refresh_rates": Case(feed, jobs.refresh_rates, rates_taken, no_feed),
    "duty: old idempotency keys": Case(old_key, duty("old idempotency keys"), *KEYS),
    "duty: old mail and notifications": Case(old_mail, duty("old mail and notifications"), *MAILS),
    "duty: old sign-ins": Case(old_sign_in, duty("old sign-ins"), *SIGN_INS),
    "duty: old error reports": Case(old_report, duty("old error reports"), *REPORTS),
    "duty: verifications": Case(
        verified_until_now,
        duty("verifications"),
        lambda world: one(
            "SELECT count(*) FROM trader_decision WHERE trader_id = %(id)s AND outcome = 'expired'", id=world.kept["trader"]
        ),
        lambda world: sql("UPDATE trader SET verified_until = NULL WHERE id = %(id)s", id=world.kept["trader"]),
    ),
    "duty: audit seals": Case(
        audited,
        duty("audit seals"),
        lambda world: one("SELECT count(*) FROM audit_seal WHERE entry_id = %(id)s", id=world.kept["entry"]),
        nothing,
    ),
    "duty: chains": Case(
        audited,
        duty("chains"),
        lambda world: one(
            "SELECT count(*) FROM chain_link WHERE chain = 'audit' AND ids @> array[%(id)s::bigint]", id=world.kept["entry"]
        ),
        nothing,
    ),
    "duty: audit head": Case(sealed_head, duty("audit head"), heads, nothing),
    "duty: drained queues": Case(
        draining,
        duty("drained queues"),
        lambda _world: one("SELECT count(*) FROM queue_stop WHERE state = 'paused'"),
        lambda _world: sql("DELETE FROM queue_stop"),
    ),
    "duty: ledger proof": Case(
        lambda _world: sql("DELETE FROM proof_run") and None,
        duty("ledger proof"),
        lambda _world: one("SELECT count(*) FROM proof_run"),
        nothing,
    ),
    "loop: relay": Case(
        happened,
        _relay,
        lambda world: one("SELECT count(*) FROM webhook_delivery WHERE event_id = %(id)s", id=world.kept["event"]),
        no_event,
    ),
    "loop: sender": Case(
        to_deliver,
        deliver,
        lambda world: one(
            "SELECT count(*) FROM webhook_attempt a JOIN webhook_delivery d ON d.id = a.delivery_id"
            " WHERE d.event_id = %(id)s AND d.state = 'delivered'", id=world.kept["event"],
        ),
        no_event,
    ),
    "loop: postman": Case(
        letter,
        lambda: _post(Pigeon()),
        lambda world: len([one for one in CARRIED if one.recipient == "new@x.test"]),
        lambda world: sql("DELETE FROM mail WHERE id = %(id)s", id=world.kept["mail"]),
    ),
}  # fmt: skip
