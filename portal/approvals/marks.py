"""What a request is recognised by: the hash of what was proposed, the house's mark on its row, and what was seen of it."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import astuple
from datetime import UTC
from typing import Any

from portal.approvals.kinds import Preview, Subject
from portal.approvals.models import ApprovalRequest
from portal.core.crypto import blind_index


def hash_of(kind: str, subject: Subject, payload: Mapping[str, Any]) -> bytes:
    """SHA-256 over the kind, whose thing it is, and the whole payload."""
    return _sha256([kind, subject.kind, subject.id, payload])


def mac_of(request: ApprovalRequest) -> bytes:
    """The house's mark on everything of the row that is not its end. Whoever can only write rows can't make it."""
    said = (
        str(request.id), request.kind, request.subject_kind, request.subject_id, request.subject_version,
        bytes(request.payload_hash).hex(), str(request.proposed_by),
        request.expires_at.astimezone(UTC).isoformat(), request.reason,
    )  # fmt: skip
    return blind_index("approval_request", "\0".join(said))


def is_genuine(request: ApprovalRequest) -> bool:
    """Whether the house wrote the row, and the payload is what was hashed."""
    subject = Subject(request.subject_kind, request.subject_id)
    return hmac.compare_digest(bytes(request.mac), mac_of(request)) and hmac.compare_digest(
        bytes(request.payload_hash), hash_of(request.kind, subject, request.payload)
    )


def seen_mark(request: ApprovalRequest, preview: Preview) -> bytes:
    """What somebody saw who looked at this request: a decision is good for nothing else."""
    lines = [astuple(line) for line in preview.lines if not line.of_the_moment]
    return _sha256([str(request.id), bytes(request.payload_hash).hex(), request.subject_version, lines])


def _sha256(value: Any) -> bytes:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).digest()
