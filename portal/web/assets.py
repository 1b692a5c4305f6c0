"""Addresses of static files that change with the file, so that browsers may keep them for ever."""

from __future__ import annotations

import hashlib
import time
from functools import lru_cache
from pathlib import Path

from flask import Flask, Response, current_app, request, url_for

_MARK_LENGTH = 12


@lru_cache(maxsize=256)
def _mark(path: Path, _changed_at: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:_MARK_LENGTH]


def asset(name: str) -> str:
    """The address of a file below `static/`. Raises FileNotFoundError for one that does not exist."""
    return _address(current_app.static_folder or "", request.script_root, name, int(time.monotonic()) // 2)


@lru_cache(maxsize=1024)
def _address(folder: str, _root: str, name: str, _looked_at: int) -> str:
    """Files are looked at again every other second: a page names a dozen of them."""
    path = Path(folder) / name
    return url_for("static", filename=name, v=_mark(path, path.stat().st_mtime_ns))


def _let_browsers_keep(response: Response) -> Response:
    if request.endpoint == "static" and response.status_code in {200, 304}:
        is_marked = len(request.args.get("v", "")) == _MARK_LENGTH
        keep = "public, max-age=31536000, immutable" if is_marked else "no-cache"
        response.headers["Cache-Control"] = keep
    return response


def register(app: Flask) -> None:
    app.jinja_env.globals["asset"] = asset
    app.after_request(_let_browsers_keep)
