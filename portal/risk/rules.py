"""Conditions: which are possible, and whether they hold for an order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from ipaddress import ip_network
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from portal.core.errors import FieldProblem, ValidationFailed
from portal.risk.facts import FACTS, FactBook, FactType

LONGEST_WINDOW_MINUTES = 30 * 24 * 60


class Op(StrEnum):
    EQ = "eq"
    NE = "ne"
    LT = "lt"
    LE = "le"
    GT = "gt"
    GE = "ge"
    IN = "in"
    NOT_IN = "not_in"
    STARTS_WITH = "starts_with"
    IN_NETWORK = "in_network"
    NOT_IN_NETWORK = "not_in_network"


_ORDERED = frozenset({Op.EQ, Op.NE, Op.LT, Op.LE, Op.GT, Op.GE})
_OPS = {
    FactType.NUMBER: _ORDERED,
    FactType.AMOUNT: _ORDERED,
    FactType.TEXT: frozenset({Op.EQ, Op.NE, Op.IN, Op.NOT_IN, Op.STARTS_WITH}),
    FactType.ADDRESS: frozenset({Op.IN_NETWORK, Op.NOT_IN_NETWORK}),
    FactType.FLAG: frozenset({Op.EQ}),
}
_LISTED = frozenset({Op.IN, Op.NOT_IN, Op.IN_NETWORK, Op.NOT_IN_NETWORK})
_Texts = Annotated[tuple[StrictStr, ...], Field(min_length=1, max_length=1000)]


class Condition(BaseModel):
    """`fact op value`; facts about the past look back `minutes`. Amounts are decimal strings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fact: StrictStr
    op: Op
    value: StrictBool | StrictInt | StrictStr | _Texts
    minutes: StrictInt | None = Field(default=None, ge=1, le=LONGEST_WINDOW_MINUTES)

    @model_validator(mode="after")
    def _is_possible(self) -> Condition:
        fact = FACTS.get(self.fact)
        if fact is None:
            raise ValueError(f"there is no fact {self.fact[:40]!r}")
        if self.op not in _OPS[fact.type]:
            allowed = ", ".join(sorted(_OPS[fact.type]))
            raise ValueError(f"{fact.name} is compared with one of: {allowed}")
        if fact.has_window != (self.minutes is not None):
            raise ValueError(f"{fact.name} {'needs' if fact.has_window else 'takes no'} minutes")
        if not _fits(fact.type, self.op, self.value):
            raise ValueError(f"the value does not fit {fact.name} {self.op.value}")
        return self

    @property
    def needs_query(self) -> bool:
        return FACTS[self.fact].is_queried

    def holds(self, book: FactBook) -> bool:
        """Whether it is so. What the order does not tell never holds."""
        actual = book.value(self.fact, self.minutes)
        if actual is None:
            return False
        if FACTS[self.fact].type is FactType.AMOUNT:
            return _COMPARE[self.op](actual, Decimal(str(self.value)))
        return _COMPARE[self.op](actual, self.value)


def _fits(kind: FactType, op: Op, value: object) -> bool:
    if op in _LISTED:
        if not isinstance(value, tuple):
            return False
        return kind is not FactType.ADDRESS or all(_is_network(text) for text in value)
    if kind is FactType.FLAG:
        return isinstance(value, bool)
    if kind is FactType.NUMBER:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind is FactType.AMOUNT:
        return isinstance(value, str) and _is_amount(value)
    return isinstance(value, str) and bool(value)


def _is_amount(text: str) -> bool:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return False
    return amount.is_finite() and amount >= 0


def _is_network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return True


def _in_network(address: Any, networks: Sequence[str]) -> bool:
    return any(address in ip_network(network) for network in networks)


_COMPARE: dict[Op, Callable[[Any, Any], bool]] = {
    Op.EQ: lambda actual, value: bool(actual == value),
    Op.NE: lambda actual, value: bool(actual != value),
    Op.LT: lambda actual, value: bool(actual < value),
    Op.LE: lambda actual, value: bool(actual <= value),
    Op.GT: lambda actual, value: bool(actual > value),
    Op.GE: lambda actual, value: bool(actual >= value),
    Op.IN: lambda actual, value: actual in value,
    Op.NOT_IN: lambda actual, value: actual not in value,
    Op.STARTS_WITH: lambda actual, value: str(actual).startswith(value),
    Op.IN_NETWORK: _in_network,
    Op.NOT_IN_NETWORK: lambda actual, value: not _in_network(actual, value),
}
_CONDITIONS = TypeAdapter(Annotated[tuple[Condition, ...], Field(min_length=1, max_length=20)])


def read_conditions(given: object) -> tuple[Condition, ...]:
    """The conditions of a JSON list. Raises ValidationFailed with a sentence for each thing that is wrong."""
    try:
        return _CONDITIONS.validate_python(given)
    except ValidationError as error:
        problems = [
            FieldProblem(
                "conditions" + "".join(f"[{part}]" for part in problem["loc"] if isinstance(part, int)),
                "invalid",
                problem["msg"].removeprefix("Value error, "),
            )
            for problem in _problems(error)
        ]
        detail = "; ".join(dict.fromkeys(problem.message for problem in problems))
        raise ValidationFailed(f"The conditions are not possible: {detail}.", errors=problems) from None


def _problems(error: ValidationError) -> list[ErrorDetails]:
    """What is wrong with single conditions; what is wrong with the list only when nothing else is."""
    problems = error.errors(include_input=False, include_url=False)
    return [problem for problem in problems if problem["loc"]] or problems


def as_json(conditions: Sequence[Condition]) -> list[dict[str, Any]]:
    return [condition.model_dump(mode="json", exclude_none=True) for condition in conditions]


def all_hold(conditions: Sequence[Condition], book: FactBook) -> bool:
    """Whether every condition holds; looks no further than the first that does not."""
    return all(condition.holds(book) for condition in conditions)
