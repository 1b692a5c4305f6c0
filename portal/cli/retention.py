"""`flask retention`: personal data is forgotten after its time; amounts, the ledger and the audit log stay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from flask.cli import AppGroup

from portal.audit.service import record_audit
from portal.cli.json_output import AS_JSON, echo_json
from portal.cli.progress import Bars
from portal.cli.terminal import echo
from portal.core.actors import Actor, ActorKind
from portal.core.db import transaction
from portal.core.idempotency import delete_old_keys
from portal.identity.retention import forget_each_sign_in
from portal.mail.outbox import forget_old_mail
from portal.notifications.service import forget_old_notifications
from portal.orders.retention import Forgetting, forget_people, forget_receipts, forget_told_recipients
from portal.reference import configuration as config
from portal.reference.setting import Setting

retention = AppGroup("retention", help="Forget personal data after its time.")
commands = [retention]

_OPS = Actor(ActorKind.OPS)
_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of personal data, the setting that says for how long it is kept, and the forgetting of it."""

    name: str
    period: Setting[int]
    forget: Callable[[int], Forgetting]


def _repeated(forget: Callable[[int], int]) -> Callable[[int], Forgetting]:
    """A verb that forgets at most _BATCH at a time, until it finds nothing."""

    def steps(period: int) -> Iterator[int]:
        while True:
            with transaction():
                done = forget(period)
            if not done:
                return
            yield done

    return lambda period: Forgetting(0, steps(period))


KINDS: tuple[Kind, ...] = (
    Kind("payers, customers and recipients", config.RETENTION_PEOPLE_DAYS, forget_people),
    Kind("recipients in events", config.RETENTION_PEOPLE_DAYS, forget_told_recipients),
    Kind("receipts", config.RETENTION_RECEIPTS_DAYS, forget_receipts),
    Kind(
        "idempotency keys",
        config.IDEMPOTENCY_RETENTION_H,
        _repeated(lambda hours: delete_old_keys(hours, limit=_BATCH)),
    ),
    Kind(
        "sign-ins",
        config.RETENTION_SIGN_INS_DAYS,
        _repeated(lambda days: sum(forget_each_sign_in(_BATCH, days=days))),
    ),
    Kind(
        "mail", config.RETENTION_MAIL_DAYS, _repeated(lambda days: forget_old_mail(limit=_BATCH, days=days))
    ),
    Kind(
        "notifications",
        config.RETENTION_NOTIFICATIONS_DAYS,
        _repeated(lambda days: forget_old_notifications(limit=_BATCH, days=days)),
    ),
)


@retention.command("run")
@AS_JSON
def run(as_json: bool) -> None:
    """Forget what is older than its period, in small transactions beside everything else. Repeatable.

    The periods are settings: flask settings list. Balances, postings, amounts, timelines and the audit log
    are never touched. Run it nightly.
    """
    forgotten = {}
    with Bars(shown=not as_json) as bars:
        for kind in KINDS:
            forgotten[kind.name] = _forget(kind, bars)
    periods = {kind.period.key: config.get(kind.period) for kind in KINDS}
    with transaction():
        counts = {name: count for name, count in forgotten.items() if count}
        record_audit("retention.run", actor=_OPS, after={"forgotten": counts, "periods": periods})
    if as_json:
        echo_json({"ok": True, "forgotten": forgotten, "periods": periods})
        return
    for kind in KINDS:
        unit = "h" if kind.period.key.endswith("_h") else "days"
        echo(f"{forgotten[kind.name]:8} {kind.name}, older than {config.get(kind.period)} {unit}")


def _forget(kind: Kind, bars: Bars) -> int:
    forgetting = kind.forget(config.get(kind.period))
    done = 0
    for step in forgetting.steps:
        done += step
        bars.tell(kind.name, done, max(forgetting.total, done))
    return done
