"""Static files: addresses that change with the file, so that browsers keep them for ever, and bodies made small."""

from __future__ import annotations

import gzip
import hashlib
import time
from functools import lru_cache
from pathlib import Path

from flask import Flask, Response, current_app, request, url_for

_MARK_LENGTH = 12
_TEXTS = (".css", ".js", ".svg", ".md", ".txt")


@lru_cache(maxsize=256)
def _mark(path: Path, _changed_at: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:_MARK_LENGTH]


def asset(name: str) -> str:
    """The address of a file below `static/`. Raises FileNotFoundError for one that does not exist."""
    return _address(_folder(), request.script_root, name, int(time.monotonic()) // 2)


def _folder() -> str:
    folder: str = current_app.extensions["nostro_static"]
    return folder


@lru_cache(maxsize=1024)
def _address(folder: str, _root: str, name: str, _looked_at: int) -> str:
    """Files are looked at again every other second: a page names a dozen of them."""
    path = Path(folder) / name
    return url_for("static", filename=name, v=_mark(path, path.stat().st_mtime_ns))


@lru_cache(maxsize=64)
def _gzipped(path: Path, _changed_at: int) -> bytes:
    """Made once by each process; a file of one content always becomes the same bytes."""
    return gzip.compress(path.read_bytes(), mtime=0)


def _make_small(response: Response) -> Response:
    """Text files go compressed to whoever takes that. Pages do not: they hold secrets (docs/decisions)."""
    if request.endpoint != "static" or response.status_code not in {200, 304}:
        return response
    name = (request.view_args or {})["filename"]
    if not name.endswith(_TEXTS):
        return response
    response.vary.add("Accept-Encoding")
    etag, _is_weak = response.get_etag()
    if etag:  # one file, two bodies
        response.set_etag(etag, weak=True)
    if response.status_code == 200 and request.accept_encodings["gzip"]:
        path = Path(_folder()) / name
        response.direct_passthrough = False
        response.set_data(_gzipped(path, path.stat().st_mtime_ns))
        response.headers["Content-Encoding"] = "gzip"
        response.headers.pop("Accept-Ranges", None)
    return response


def _let_browsers_keep(response: Response) -> Response:
    if request.endpoint == "static" and response.status_code in {200, 304}:
        is_marked = len(request.args.get("v", "")) == _MARK_LENGTH
        keep = "public, max-age=31536000, immutable" if is_marked else "no-cache"
        response.headers["Cache-Control"] = keep
    return response


def register(app: Flask) -> None:
    app.extensions["nostro_static"] = (
        app.static_folder or ""
    )  # Flask puts it together anew whenever it is asked
    app.jinja_env.globals["asset"] = asset
    app.after_request(_let_browsers_keep)
    app.after_request(_make_small)
