"""What the next page of this browser says, once: short words in a cookie of their own, with our mark on them.

Flask's `flash` keeps them in its session cookie, whose making took six percent of a confirmation's processor time.
"""

from __future__ import annotations

from urllib.parse import quote, unquote

from flask import Flask, Response, after_this_request, g, request
from werkzeug.wrappers import Response as BaseResponse

from portal.core.crypto import is_marked, mark
from portal.settings import get_settings
from portal.web.shell.security import flash_cookie

_PURPOSE = "flash"
# Until the page is there that says them; browsers take four kilobytes, of which a letter may take six bytes here.
_KEPT_S = 300
_MOST_CHARACTERS = 600


def flash(words: str) -> None:
    """Let the next page say `words`, or this one, if it is rendered after this."""
    pending: list[str] = g.setdefault("flashes", [])
    if not pending:
        after_this_request(_hand_on)
    pending.append(words)


def flashed() -> list[str]:
    """What is to be said on the page that is rendered now; asked again it is nothing."""
    said = [] if g.get("are_flashes_said") else _held()
    g.are_flashes_said = True
    if said or request.cookies.get(flash_cookie()):
        after_this_request(_hand_on)
    return said + g.pop("flashes", [])


def forget_flashes(response: BaseResponse) -> None:
    """What was to be told to somebody is not told to whoever comes after them."""
    if request.cookies.get(flash_cookie()):
        _drop(response)


def _held() -> list[str]:
    """The words of the cookie, if it is one of ours."""
    written, _, given = request.cookies.get(flash_cookie(), "").rpartition(".")
    if not written or not is_marked(given, _PURPOSE, written):
        return []
    return unquote(written).split("\n")


def _hand_on(response: Response) -> Response:
    pending: list[str] = g.pop("flashes", [])
    if not pending:
        forget_flashes(response)
        return response
    if not g.get("are_flashes_said"):
        pending = _held() + pending
    lines = "\n".join(words.replace("\n", " ") for words in pending)
    written = quote(lines[:_MOST_CHARACTERS], safe="")
    response.set_cookie(
        flash_cookie(), f"{written}.{mark(_PURPOSE, written)}", max_age=_KEPT_S, path="/",
        secure=get_settings().is_https, httponly=True, samesite="Lax",
    )  # fmt: skip
    return response


def _drop(response: BaseResponse) -> None:
    response.delete_cookie(
        flash_cookie(), path="/", secure=get_settings().is_https, httponly=True, samesite="Lax"
    )


def register(app: Flask) -> None:
    app.jinja_env.globals["flashed"] = flashed
