"""Two administrators, a payin, and a proposal to complete it with more than its amount."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from portal.approvals.kinds import Kind
from portal.approvals.models import ApprovalRequest, ApprovalState
from portal.approvals.queries import get_request, look_at
from portal.approvals.service import decide_now, propose
from portal.core.actors import CUSTOMER
from portal.core.db import db, hot, transaction
from portal.identity.models import Role, User
from portal.ledger.models import AccountKind
from portal.orders.above_tolerance import COMPLETION, CompletionPayload
from portal.orders.queries import get_order
from portal.orders.record import OrderRecord
from portal.orders.service import claim_payin
from portal.traders.models import Trader
from tests.access.people import acting, person
from tests.scene import Scene, build_scene

# Of a payin of 1,500.00 RUB at 95: 9,000.00 came.
ASKED, RECEIVED = 1500_00, 9000_00
A, MORE = 15_789_474, 94_736_842


@dataclass
class Room:
    """`ada` proposes, `ben` decides; `bo` is a third administrator."""

    scene: Scene = field(init=False)
    trader: Trader = field(init=False)
    order: OrderRecord = field(init=False)
    ada: User = field(init=False)
    ben: User = field(init=False)
    bo: User = field(init=False)

    def __post_init__(self) -> None:
        with transaction():
            self.scene = build_scene()
            self.ada, self.ben, self.bo = (person(Role.ADMIN, name=name) for name in ("Ada", "Ben", "Bo"))
            self.trader = self.scene.trader()
            self.scene.requisite(self.trader)
        for user in (self.ada, self.ben, self.bo):
            db.session.expunge(user)  # threads use them
        self.order = self.claimed()

    def claimed(self) -> OrderRecord:
        order = self.scene.payin(ASKED)
        with transaction():
            return claim_payin(get_order(order.id, lock=True), None, actor=CUSTOMER)

    def propose(
        self,
        received_minor: int = RECEIVED,
        *,
        by: User | None = None,
        kind: Kind[Any] = COMPLETION,
        **how: Any,
    ) -> ApprovalRequest:
        payload = CompletionPayload(order_id=self.order.id, received_minor=received_minor)
        with transaction():
            made = propose(kind, payload, "The bank's statement says so", actor=acting(by or self.ada), **how)
            db.session.refresh(made)
        db.session.expunge(made)
        return made

    def decide(
        self,
        request: ApprovalRequest,
        by: User | None = None,
        *,
        is_approved: bool = True,
        seen: bytes | None = None,
    ) -> None:
        mark = look_at(get_request(request.id)).seen if seen is None else seen
        reason = None if is_approved else "It can't be"
        decide_now(request.id, mark, is_approved=is_approved, actor=acting(by or self.ben), reason=reason)

    def now(self) -> OrderRecord:
        return get_order(self.order.id)

    def state(self, request: ApprovalRequest) -> ApprovalState:
        return ApprovalState(get_request(request.id).state)

    def money(self) -> tuple[int, int, int]:
        """What the trader has free and on hold, and the store."""
        free = self.scene.trader_balance(self.trader)
        return free, self.scene.trader_balance(self.trader, AccountKind.HELD), self.scene.store_balance()

    def entries(self) -> list[str]:
        rows = hot(
            "SELECT kind FROM ledger_entry WHERE subject_id = %(id)s ORDER BY id", {"id": self.order.id}
        )
        return [row["kind"] for row in rows]

    def ledger_sum(self) -> dict[str, int]:
        sql = """SELECT p.currency, sum(p.amount)::bigint AS total FROM ledger_posting p
                   JOIN ledger_entry e ON e.id = p.entry_id WHERE e.subject_id = %(id)s GROUP BY 1"""
        return {row["currency"]: row["total"] for row in hot(sql, {"id": self.order.id})}

    def audited(self) -> list[tuple[str, object]]:
        sql = "SELECT action, actor_id FROM audit_entry WHERE subject_id = %(id)s ORDER BY id"
        return [(row["action"], row["actor_id"]) for row in hot(sql, {"id": str(self.order.id)})]


def past_the_house(sql: str, **values: object) -> None:
    """A statement of somebody who owns the database: no trigger stops it."""
    with transaction():
        hot("SET LOCAL session_replication_role = replica")
        hot(sql, values)
