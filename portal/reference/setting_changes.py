"""Changing settings: what an operator writes, checked, remembered, and heard by every process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from portal.audit.service import record_audit
from portal.core.actors import Actor
from portal.core.db import db
from portal.core.errors import FieldProblem
from portal.reference.configuration import find, snapshot
from portal.reference.errors import SettingRefused
from portal.reference.models import ConfigSetting, ConfigSettingHistory
from portal.reference.setting import REGISTRY, Setting, problem_of


def parse(setting: Setting[Any], written: str) -> Any:
    """The value of a text such as "900" or "yes". Raises SettingRefused with a sentence."""
    value: object = written.strip()
    if isinstance(setting.default, bool):
        value = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}.get(
            str(value).lower(), value
        )
    elif isinstance(setting.default, int):
        with suppress(ValueError):
            value = int(str(value)) if str(value).isascii() else value
    _refuse_unless_possible(setting, value)
    return value


def _refuse_unless_possible(setting: Setting[Any], value: object) -> None:
    problem = problem_of(setting, value)
    if problem:
        raise SettingRefused(problem, errors=[FieldProblem("value", "invalid", problem)])


@dataclass(frozen=True, slots=True)
class SettingState:
    setting: Setting[Any]
    value: Any
    is_default: bool
    updated_at: datetime | None


def list_settings() -> Iterator[SettingState]:
    """All settings by their place in the registry, with the stored values (not the cached ones)."""
    stored = {row.key: row for row in db.session.scalars(select(ConfigSetting))}
    for key, setting in REGISTRY.items():
        row = stored.get(key)
        value = setting.default if row is None else row.value
        yield SettingState(setting, value, row is None, row.updated_at if row else None)


def set_value(key: str, value: int | bool | str, actor: Actor) -> None:
    """Override a setting; `value` has the setting's type. In force everywhere within seconds of the commit.

    Raises UnknownSetting, SettingRefused. Leaves a row of history. Needs transaction().
    """
    setting = find(key)
    _refuse_unless_possible(setting, value)
    row = db.session.get(ConfigSetting, key, with_for_update=True)
    old = None if row is None else row.value
    if row is None:
        row = ConfigSetting(key=key)
        db.session.add(row)
    row.value, row.updated_at = value, func.clock_timestamp()
    row.actor_kind, row.actor_id = actor.kind.value, actor.id
    _remember(setting, old, value, actor)


def reset(key: str, actor: Actor) -> None:
    """Back to the default. Raises UnknownSetting. Leaves a row of history. Needs transaction()."""
    setting = find(key)
    row = db.session.get(ConfigSetting, key, with_for_update=True)
    if row is None:
        return
    db.session.delete(row)
    _remember(setting, row.value, None, actor)


def _remember(setting: Setting[Any], old: object, new: object, actor: Actor) -> None:
    db.session.add(
        ConfigSettingHistory(
            key=setting.key, old_value=old, new_value=new, actor_kind=actor.kind.value, actor_id=actor.id
        )
    )
    db.session.flush()
    before, after = (setting.default if value is None else value for value in (old, new))
    subject = ("setting", setting.key)
    record_audit(
        "setting.changed", actor=actor, subject=subject, before={"value": before}, after={"value": after}
    )
    snapshot.changed()
