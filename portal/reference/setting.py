"""What a setting is, and the registry of all there are; portal.reference.configuration has them and their values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

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


def problem_of(setting: Setting[Any], value: object) -> str | None:
    """What is wrong with a value, in words; None when nothing is."""
    if type(value) is not type(setting.default):
        return f"{setting.key} is a {setting.type_name}."
    if isinstance(value, int) and not isinstance(value, bool):
        if setting.minimum is not None and value < setting.minimum:
            return f"{setting.key} is at least {setting.minimum}."
        if setting.maximum is not None and value > setting.maximum:
            return f"{setting.key} is at most {setting.maximum}."
    if setting.is_timezone and not _is_timezone(cast("str", value)):
        return f"{setting.key} is the name of a time zone, such as Europe/Moscow."
    return None


def _is_timezone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
