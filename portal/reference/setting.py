"""What a setting is, and the registry of all there are; portal.reference.configuration has them and their values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T", int, bool, str)


@dataclass(frozen=True, slots=True)
class Setting(Generic[T]):
    """One setting: its type is that of `default`; bounds are inclusive."""

    key: str
    default: T
    sentence: str
    minimum: int | None = None
    maximum: int | None = None
    is_timezone: bool = False

    @property
    def type_name(self) -> str:
        if self.is_timezone:
            return "time zone"
        return {bool: "yes/no", int: "whole number", str: "text"}[type(self.default)]


REGISTRY: dict[str, Setting[Any]] = {}


def setting(
    key: str,
    default: T,
    sentence: str,
    minimum: int | None = None,
    maximum: int | None = None,
    *,
    is_timezone: bool = False,
) -> Setting[T]:
    """Declare one; an operator may override it at once."""
    declared = Setting(key, default, sentence, minimum, maximum, is_timezone)
    REGISTRY[key] = declared
    return declared
