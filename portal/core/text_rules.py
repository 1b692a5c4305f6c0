"""What is text that people and programs send: everything that can be seen, and nothing that hides or reorders it.

One home for every way in: forms, queries, JSON, arguments of commands. Refused are control characters (NUL, ESC, C1),
marks that turn the direction, characters of no width or that look like nothing, and halves of surrogate pairs. Line
breaks and tabs are for texts of several lines. Of what has no width these alone are text, where they change what is
seen: the emoji mark (U+FE0F) after an emoji, a joiner between two emoji, the non-joiner between Arabic letters of which
the first would join the second, and both joiners at a virama of the Indic scripts. Passwords are no text: nobody is shown one.
"""

from __future__ import annotations

import re
import unicodedata

from portal.core.errors import ValidationFailed

LINE_BREAKS = "\n\r\t"
LONGEST_REASON, LONGEST_NAME = 500, 100
_NON_JOINER, _JOINER, _EMOJI_MARK, _KEYCAP = "\u200c", "\u200d", "\ufe0f", "\u20e3"
_HIDING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# Letters, marks and places for such by category, blank or without width by what they look like: Unicode's
# Default_Ignorable_Code_Point beyond the categories above, and the blank of Braille.
_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8"
    "\U0001d159\U000e0000-\U000e0fff]"
)
# Unicode's Emoji property, without digits, # and *, which are emoji in a keycap alone.
_EMOJI = re.compile(
    "[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2194-\u2199\u21a9\u21aa\u231a\u231b\u2328\u23cf\u23e9-\u23f3"
    "\u23f8-\u23fa\u24c2\u25aa\u25ab\u25b6\u25c0\u25fb-\u25fe\u2600-\u2604\u260e\u2611\u2614\u2615\u2618\u261d"
    "\u2620\u2622\u2623\u2626\u262a\u262e\u262f\u2638-\u263a\u2640\u2642\u2648-\u2653\u265f\u2660\u2663\u2665"
    "\u2666\u2668\u267b\u267e\u267f\u2692-\u2697\u2699\u269b\u269c\u26a0\u26a1\u26a7\u26aa\u26ab\u26b0\u26b1"
    "\u26bd\u26be\u26c4\u26c5\u26c8\u26ce\u26cf\u26d1\u26d3\u26d4\u26e9\u26ea\u26f0-\u26f5\u26f7-\u26fa\u26fd"
    "\u2702\u2705\u2708-\u270d\u270f\u2712\u2714\u2716\u271d\u2721\u2728\u2733\u2734\u2744\u2747\u274c\u274e"
    "\u2753-\u2755\u2757\u2763\u2764\u2795-\u2797\u27a1\u27b0\u27bf\u2934\u2935\u2b05-\u2b07\u2b1b\u2b1c\u2b50"
    "\u2b55\u3030\u303d\u3297\u3299\U0001f004\U0001f02c-\U0001f02f\U0001f0cf\U0001f170\U0001f171\U0001f17e\U0001f17f"
    "\U0001f18e\U0001f191-\U0001f19a\U0001f1e6-\U0001f1ff\U0001f201\U0001f202\U0001f21a\U0001f22f"
    "\U0001f232-\U0001f23a\U0001f250\U0001f251\U0001f300-\U0001f64f\U0001f680-\U0001f6ff\U0001f7e0-\U0001f7eb"
    "\U0001f7f0\U0001f90c-\U0001f9ff\U0001fa70-\U0001faff]"
)
# Letters that take another shape when something is joined to them, of Arabic, Syriac, Mandaic and N'Ko: those that join
# on both sides (Unicode 14's Joining_Type D), which alef, dal, reh, waw and their kin never do; and all letters of these
# scripts, digits and marks not among them.
_JOINING = re.compile(
    "[\u0620\u0626\u0628\u062a-\u062e\u0633-\u063f\u0641-\u0647\u0649\u064a\u066e\u066f\u0678-\u0687\u069a-\u06bf"
    "\u06c1\u06c2\u06cc\u06ce\u06d0\u06d1\u06fa-\u06fc\u06ff\u0712-\u0714\u071a-\u071d\u071f-\u0727\u0729\u072b\u072d"
    "\u072e\u074e-\u0758\u075c-\u076a\u076d-\u0770\u0772\u0775-\u0777\u077a-\u077f\u07ca-\u07ea\u0841-\u0845\u0848"
    "\u084a-\u0853\u0855\u0860\u0862-\u0865\u0868\u0886\u0889-\u088d\u08a0-\u08a9\u08af\u08b0\u08b3-\u08b8\u08ba-\u08c8]"
)
_ARABIC = re.compile("[\u0620-\u08ff\ufb50-\ufdff\ufe70-\ufefc]")
_VIRAMA = 9  # Unicode's combining class of the marks that bind consonants, from Devanagari to Khmer
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
    char, before, after = text[at], text[at - 1] if at else "", text[at + 1 : at + 2]
    if char == _EMOJI_MARK:
        return not (_EMOJI.match(before) or (before in "#*0123456789" and after == _KEYCAP and before))
    if char in {_NON_JOINER, _JOINER}:
        return not _joins(char, before, after)
    if lines and char in LINE_BREAKS:
        return False
    return _BLANK.match(char) is not None or unicodedata.category(char) in _HIDING


def _joins(joiner: str, before: str, after: str) -> bool:
    """Whether this joiner changes what is seen of its neighbours."""
    if not before or not after:
        return False
    if joiner == _JOINER and _EMOJI.match(after):
        return before == _EMOJI_MARK or _EMOJI.match(before) is not None
    if joiner == _NON_JOINER and _JOINING.match(before) and _ARABIC.match(after):
        return unicodedata.category(after)[0] == "L"
    return any(unicodedata.combining(one) == _VIRAMA for one in (before, after)) and _is_word(before + after)


def reason_of(text: str | None, *, least: int = 1) -> str:
    """Why somebody did what they did, on one line, as it is written down.

    Raises ValidationFailed (reason): `required` for fewer than `least` characters, `too_long`, `hidden_text`.
    """
    words = one_line(text)
    if len(words) < least:
        raise ValidationFailed.of("reason", "required", "Say why.")
    if len(words) > LONGEST_REASON:
        raise ValidationFailed.of("reason", "too_long", f"It may have {LONGEST_REASON} characters.")
    if not is_clean(words):
        raise ValidationFailed.of("reason", "hidden_text", "It holds characters that can't be seen.")
    return words


def name_of(text: str, *, most: int = LONGEST_NAME, code: str = "malformed") -> str:
    """What somebody calls a person or a thing, on one line. Raises ValidationFailed (name) with this code."""
    words = one_line(text)
    if not words or len(words) > most or not is_clean(words):
        raise ValidationFailed.of("name", code, f"Give a name of at most {most} letters.")
    return words


def one_line(text: str | None) -> str:
    """With one space between its words, and without NUL, which the database does not take."""
    return " ".join((text or "").replace("\0", "").split())


def is_blank(text: str) -> bool:
    """Whether there is nothing to be seen but blanks, of whatever width (U+00A0, U+3000)."""
    return not text.strip()


def _is_word(text: str) -> bool:
    """Letters and marks, none of them ASCII."""
    return all(not char.isascii() and unicodedata.category(char)[0] in "LM" for char in text)


def escaped(text: str) -> str:
    r"""For a terminal: what it would obey as `\u001b`, which is also what JSON writes for it."""
    return _NOT_FOR_TERMINALS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
