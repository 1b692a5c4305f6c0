"""Serving an uploaded file to somebody who may see it: never as a page of ours."""

from __future__ import annotations

import uuid
from typing import Protocol

from flask import Response, request

from portal.core.files import get_files

_ENDINGS = {"image/jpeg": "jpg", "application/pdf": "pdf"}
_POLICY = "sandbox; default-src 'none'; frame-ancestors 'none'"


class Upload(Protocol):
    """A row that names an uploaded file, and the picture that stands for it where there is one."""

    @property
    def id(self) -> uuid.UUID: ...
    @property
    def file_key(self) -> str: ...
    @property
    def picture_key(self) -> str | None: ...
    @property
    def content_type(self) -> str: ...


def upload_response(upload: Upload, name: str) -> Response:
    """What people look at: the picture. With `?original=1` the file as it came, which is a PDF then.

    The caller has checked whose it is. Raises NotFound when the file is gone.
    """
    name = f"{name}-{upload.id}"
    if upload.picture_key is not None and not request.args.get("original"):
        return attachment(upload.picture_key, "image/jpeg", name)
    return attachment(upload.file_key, upload.content_type, name)


def attachment(file_key: str, content_type: str, name: str) -> Response:
    """A kept file to be saved, never shown as a page of ours; its ending follows the type. Raises NotFound."""
    response = Response(get_files().read(file_key), content_type=content_type)
    ending = _ENDINGS.get(content_type, "bin")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.{ending}"'
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-store"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
