"""What is text that people and programs send: everything that can be seen, and nothing that hides or reorders it.

One home for every way in: forms, queries, JSON, arguments of commands. Refused are control characters (NUL, ESC, C1),
marks that turn the direction, characters of no width or that look like nothing, and halves of surrogate pairs. Line
breaks and tabs are for texts of several lines. Joiners are part of words (Persian, Hindi) and of emoji: they stay
between two characters that are not ASCII, and hide nowhere else. Passwords are no text: nobody is shown one.
"""

from __future__ import annotations

import re
import unicodedata

LINE_BREAKS = "\n\r\t"
_JOINERS = "\u200c\u200d"
_HIDING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# Letters and marks by category, blank or without width by what they look like.
_BLANKS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
# What a terminal would obey, or show in another order than it is.
_NOT_FOR_TERMINALS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)


def is_clean(text: str, *, lines: bool = False) -> bool:
    """Whether people see all of this text as it is. With `lines` it may have line breaks and tabs."""
    if text.isascii() and text.isprintable():
        return True
    return not any(_hides(text, at, lines=lines) for at in range(len(text)))


def _hides(text: str, at: int, *, lines: bool) -> bool:
    char = text[at]
    if char in _JOINERS:
        return not (_joins(text[at - 1 : at]) and _joins(text[at + 1 : at + 2]))
    if lines and char in LINE_BREAKS:
        return False
    return char in _BLANKS or unicodedata.category(char) in _HIDING


def _joins(neighbour: str) -> bool:
    return bool(neighbour) and not neighbour.isascii() and neighbour.isprintable() and not neighbour.isspace()


def escaped(text: str) -> str:
    r"""For a terminal: what it would obey as `\u001b`, which is also what JSON writes for it."""
    return _NOT_FOR_TERMINALS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
