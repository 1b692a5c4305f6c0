"""A store's colour as a style sheet of its own, since inline styles are forbidden."""

from __future__ import annotations

import re

_HEX = re.compile(r"#[0-9a-f]{6}", re.ASCII)
_DEFAULT = "#0b5fff"


def theme_css(accent: str) -> str:
    """Two properties: the accent, and black or white for text on it, whichever contrasts more (>= 4.5:1)."""
    colour = accent if _HEX.fullmatch(accent) else _DEFAULT
    return f":root{{--accent:{colour};--on-accent:{text_on(colour)}}}\n"


def text_on(colour: str) -> str:
    """Black or white, by the contrast ratio of WCAG 2.2."""
    light = luminance(colour)
    return "#ffffff" if 1.05 / (light + 0.05) >= (light + 0.05) / 0.05 else "#000000"


def luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb` (WCAG 2.2)."""
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
