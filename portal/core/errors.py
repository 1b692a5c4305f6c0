"""Refusals that people and machines can act on. One handler turns them into a page, a fragment or JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """What is wrong with one field of the input, in words for a person and a code for a program."""

    field: str
    code: str
    message: str


class DomainError(Exception):
    """A refusal with a stable code. `detail` is shown to the caller: no internal name, no secret."""

    code = "refused"
    status = 409
    title = "The request was refused"

    def __init__(
        self,
        detail: str = "",
        *,
        code: str | None = None,
        errors: Sequence[FieldProblem] = (),
        retry_after_s: int | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.code = code or type(self).code
        self.errors = tuple(errors)
        self.retry_after_s = retry_after_s
        self.extra = dict(extra or {})


class BadRequest(DomainError):
    code, status, title = "bad_request", 400, "The request could not be read"


class Unauthorized(DomainError):
    code, status, title = "unauthorized", 401, "Valid credentials are needed"


class Forbidden(DomainError):
    code, status, title = "forbidden", 403, "This is not permitted"


class NotFound(DomainError):
    """Also the answer for what exists but belongs to somebody else."""

    code, status, title = "not_found", 404, "There is no such thing here"


class Conflict(DomainError):
    code, status, title = "conflict", 409, "The current state does not allow this"


class InvalidTransition(Conflict):
    code, title = "invalid_transition", "The order has moved on"


class PayloadTooLarge(DomainError):
    code, status, title = "payload_too_large", 413, "The content is too large"


class UnsupportedMedia(DomainError):
    code, status, title = "unsupported_media_type", 415, "This kind of content is not accepted"


class ValidationFailed(DomainError):
    code, status, title = "validation_failed", 422, "Some of the input is not valid"

    @classmethod
    def of(cls, field: str, code: str, message: str) -> ValidationFailed:
        return cls(message, errors=[FieldProblem(field, code, message)])


class TooManyRequests(DomainError):
    code, status, title = "rate_limited", 429, "Too many requests"


class Unavailable(DomainError):
    code, status, title = "unavailable", 503, "The service can't do this right now"

    def __init__(self, detail: str = "", *, code: str | None = None, retry_after_s: int | None = 2) -> None:
        super().__init__(detail, code=code, retry_after_s=retry_after_s)
