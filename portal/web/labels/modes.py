"""Live and test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString

from portal.core.modes import Mode

MODE: Mapping[Mode, LazyString] = {Mode.TEST: _l("Test"), Mode.LIVE: _l("Live")}
# In the midst of a line.
MODE_IN_A_LINE: Mapping[Mode, LazyString] = {Mode.TEST: _l("test"), Mode.LIVE: _l("live")}


def mode_choices() -> Sequence[tuple[str, LazyString]]:
    return [(mode.value, words) for mode, words in MODE.items()]


def mode_in_a_line(mode: str) -> str:
    return str(MODE_IN_A_LINE[Mode(mode)])
