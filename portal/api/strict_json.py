"""JSON as the contract wants it: one meaning for each text, or a refusal.

The standard parser takes NaN, keeps the last of duplicate keys, turns 1e400 into infinity and lets NUL and
lone surrogates through to a database that cannot store them. All of that is a 400 here.
"""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import Any, Never

import orjson
from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge

from portal.core.errors import BadRequest, PayloadTooLarge, UnsupportedMedia

MAX_BODY_BYTES = 64 * 1024
MAX_DEPTH = 8
# What a double holds without loss.
_EXACT = 2**53


class MalformedJson(BadRequest):
    code, title = "malformed_json", "The body is not valid JSON"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise MalformedJson("The body names a field twice.", code="duplicate_key")
    return found


def _constant(name: str) -> Never:
    raise MalformedJson(f"{name} is not JSON.")


def _fraction(text: str) -> Decimal | int:
    """Never a float: no schema takes a fraction, so this only says "a number" to the validation.

    1500.0 is an integer to JSON Schema and to most programs, and so it is here, up to where they stay exact.
    """
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise MalformedJson("A number is out of range.") from None
    is_whole = abs(number) <= _EXACT and number == number.to_integral_value()
    return int(number) if is_whole else number


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_float=_fraction)


def parse_json(raw: bytes) -> Any:
    """The value of a JSON text in UTF-8. Fractions come as Decimal, everything else as usual.

    Raises MalformedJson (400): no JSON, NaN or Infinity, duplicate keys, integers of thousands of digits,
    more than MAX_DEPTH levels, invalid UTF-8, a byte order mark, NUL or half a surrogate pair in a string.
    """
    try:
        value = _decoder.decode(raw.decode())
    except UnicodeDecodeError:
        raise MalformedJson("The body is not UTF-8.") from None
    except RecursionError:
        raise MalformedJson("The body is nested too deeply.", code="too_deep") from None
    except ValueError:
        raise MalformedJson("The body is not valid JSON.") from None
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH:
        _check_depth(value)
    if b"\\u" in raw:
        _check_strings(value)
    return value


def _check_depth(value: object) -> None:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [inner for outer in level for inner in _children(outer)]
        if not level:
            return
    raise MalformedJson("The body is nested too deeply.", code="too_deep")


def _children(value: object) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _check_strings(value: object) -> None:
    """Escapes can spell what UTF-8 cannot: NUL, and halves of surrogate pairs."""
    waiting = [value]
    while waiting:
        here = waiting.pop()
        if isinstance(here, str):
            _check_string(here)
        elif isinstance(here, dict):
            waiting.extend(here)
            waiting.extend(here.values())
        elif isinstance(here, list):
            waiting.extend(here)


def _check_string(text: str) -> None:
    # What no encoding holds; the schemas refuse by field what people can't see (portal.core.text_rules).
    if "\0" in text or (not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text)):
        raise MalformedJson("A string holds a character that is not text.", code="invalid_character")


def check_content_type(request: Request) -> None:
    """Refuse with 415 what is not plain JSON in UTF-8 (the parameter may be left out)."""
    if request.content_type == "application/json" and not request.content_encoding:
        return
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if request.mimetype != "application/json" or charset not in {"utf-8", "utf8"}:
        raise UnsupportedMedia("Send the body as application/json in UTF-8.")
    if request.content_encoding:
        raise UnsupportedMedia("Send the body without Content-Encoding.")


def read_json(request: Request) -> Any:
    """The parsed body of a request. Raises UnsupportedMedia 415, PayloadTooLarge 413, MalformedJson 400."""
    check_content_type(request)
    request.max_content_length = MAX_BODY_BYTES
    try:
        raw = request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise PayloadTooLarge(f"The body may have {MAX_BODY_BYTES // 1024} KB.") from None
    return parse_json(raw)


def canonical_json(value: object) -> bytes:
    """The same bytes for the same value: sorted keys, no blanks."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
