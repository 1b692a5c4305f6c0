"""Public ids in paths: `ord_...` reaches the view as a UUID, anything else is 404 before a view is reached."""

from __future__ import annotations

import uuid

from werkzeug.routing import BaseConverter, ValidationError

from portal.core.ids import parse_public_id, public_id


class _PublicId(BaseConverter):
    prefix = ""
    regex = r"[a-z]{2,4}_[0-9a-z]{26}"

    def to_python(self, value: str) -> uuid.UUID:
        found = parse_public_id(self.prefix, value)
        if found is None:
            raise ValidationError
        return found

    def to_url(self, value: uuid.UUID) -> str:
        return public_id(self.prefix, value)


class OrderIdConverter(_PublicId):
    prefix = "ord"


class ReceiptIdConverter(_PublicId):
    prefix = "rcp"
