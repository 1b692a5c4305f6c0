"""When a web process looks for garbage: after many objects, and never among those that stay as long as it does."""

from __future__ import annotations

import gc

# After Python's own 700 it was every third page, for a tenth of their processor time. What waits to be freed is that
# of some hundred pages.
LOOK_AFTER = 20_000


def look_seldom() -> None:
    """Call it when everything is loaded: what is there now is never looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(LOOK_AFTER, 10, 10)
