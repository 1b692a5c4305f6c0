"""Maintenance: no new money comes in, what is running finishes. All processes hear of it within seconds."""

from __future__ import annotations

from portal.core.actors import Actor
from portal.reference import configuration as config
from portal.reference import setting_changes
from portal.reference.errors import InMaintenance


def is_in_maintenance() -> bool:
    """Whether new orders are refused now. From memory: costs neither a query nor a round trip."""
    return config.get(config.MAINTENANCE)


def refuse_in_maintenance() -> None:
    """Stands before everything by which new money would begin to move. Raises InMaintenance (503)."""
    if is_in_maintenance():
        raise InMaintenance(retry_after_s=config.get(config.MAINTENANCE_RETRY_AFTER_S))


def begin_maintenance(actor: Actor, *, retry_after_s: int | None = None) -> bool:
    """Refuse new money from the commit on; False when it was refused already. Needs transaction().

    Raises SettingRefused for a `retry_after_s` out of bounds.
    """
    if retry_after_s is not None:
        setting_changes.set_value(config.MAINTENANCE_RETRY_AFTER_S.key, retry_after_s, actor)
    if is_in_maintenance():
        return False
    setting_changes.set_value(config.MAINTENANCE.key, True, actor)
    return True


def end_maintenance(actor: Actor) -> bool:
    """Take new money again; False when it was taken anyway. Needs transaction()."""
    if not is_in_maintenance():
        return False
    setting_changes.reset(config.MAINTENANCE.key, actor)
    return True
