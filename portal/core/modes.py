"""Live and test: two worlds that never meet."""

from enum import StrEnum


class Mode(StrEnum):
    LIVE = "live"
    TEST = "test"
