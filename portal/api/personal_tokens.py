"""Tokens for programs of one person at work: traders at `/trader/auth/token`, staff at `/<part>/auth/login`.

They open what the person may do in that part of the house, as of each request, and nothing of any other.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Annotated, Any, Literal

from flask import Blueprint, Response, request
from pydantic import ConfigDict, Field

from portal.api.access_tokens import family_of_token, issue_access_token
from portal.api.answers import answer, no_content
from portal.api.authentication import bearer_token, refusal_of_credentials
from portal.api.operations import check_query, current_operation, operation
from portal.api.origin import current_origin
from portal.api.proof import prove_person
from portal.api.strict_json import read_json
from portal.api.v1 import finished
from portal.api.validation import Answer, Body, needed_when, validated
from portal.audit.service import record_audit
from portal.core.db import transaction
from portal.core.errors import ValidationFailed
from portal.core.ids import public_id
from portal.identity.access.changes import Access, get_access
from portal.identity.acting import actor_of
from portal.identity.models import Audience, Role
from portal.identity.tokens.token_families import (
    TokenFamily,
    revoke_family,
    rotate,
    start_personal_family,
)
from portal.reference import configuration as config


class AskPersonalToken(Body):
    """`password`: email, password, otp if you have a second factor. `refresh_token`: refresh_token."""

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [
                needed_when("grant_type", "password", "email", "password", is_default=True),
                needed_when("grant_type", "refresh_token", "refresh_token"),
            ]
        }
    )

    grant_type: Literal["password", "refresh_token"] = "password"
    """By what you prove who you are; `password` without it."""
    email: Annotated[str, Field(max_length=254)] | None = None
    """For `password`: where you are written to."""
    password: Annotated[str, Field(max_length=1024)] | None = None
    """For `password`: yours."""
    otp: Annotated[str, Field(max_length=64)] | None = None
    """For `password`: a code of the second factor, if you have one."""
    refresh_token: Annotated[str, Field(max_length=128)] | None = None
    """For `refresh_token`: the one of the answer before."""


class PersonalTokenOut(Answer):
    """The access token is for `Authorization: Bearer`; the refresh token is good for one use."""

    access_token: str
    """For the header `Authorization: Bearer`."""
    token_type: Literal["Bearer"]
    """How the token is used."""
    expires_in: int
    """Seconds until it is worth nothing."""
    refresh_token: str
    """Good once, for the next access token."""


class PersonOut(Answer):
    """`permissions`: what you may do now, and whose things each is good for: own, team or all."""

    object: Literal["person"]
    """What this is."""
    id: str
    """usr_ and 26 characters."""
    roles: list[Role]
    """What you are here."""
    permissions: dict[str, Literal["own", "team", "all"]]
    """What you may do, and to whose things."""


Granted = tuple[TokenFamily, str]


def make_blueprint(audience: Audience, path: str) -> Blueprint:
    """`POST <path>` for tokens, `DELETE <path>` to sign the program out, `GET .../me` for what one may do."""
    blueprint = Blueprint(f"{audience.value}_auth", __name__, url_prefix=f"/{audience.value}/auth")

    @blueprint.before_request
    def guard() -> None:
        check_query(current_operation())

    blueprint.after_request(finished)
    routes: tuple[tuple[str, str, str, Callable[[Audience], Response], dict[str, Any]], ...] = (
        ("POST", path, "create_token", _give, _GIVE),
        ("DELETE", path, "revoke_token", _sign_out, _SIGN_OUT),
        ("GET", "/me", "get_person", _tell, _TELL),
    )
    for method, rule, name, act, declared in routes:
        verb, _, thing = name.partition("_")
        named = {"id": f"{verb}_{audience.value}_{thing}", "tag": _TAGS[audience]}
        view = operation(**declared | named)(_view(act, audience))
        blueprint.add_url_rule(
            rule, f"{audience.value}_{name}", view, methods=[method], provide_automatic_options=False
        )
    return blueprint


def _view(act: Callable[[Audience], Response], audience: Audience) -> Callable[[], Response]:
    def view() -> Response:
        return act(audience)

    return view


def _give(audience: Audience) -> Response:
    asked = validated(AskPersonalToken, read_json(request))
    granted = (
        _by_password(asked, audience) if asked.grant_type == "password" else _by_refresh(asked, audience)
    )
    if granted is None:
        raise refusal_of_credentials()
    family, refresh_token = granted
    ttl_s = config.get(config.ACCESS_TOKEN_TTL_S)
    return answer(
        {
            "access_token": issue_access_token(family, audience, ttl_s),
            "token_type": "Bearer",
            "expires_in": ttl_s,
            "refresh_token": refresh_token,
        }
    )


def _by_password(asked: AskPersonalToken, audience: Audience) -> Granted | None:
    user_id = prove_person(_needed(asked, "email"), _needed(asked, "password"), asked.otp)
    if user_id is None or not _works_here(user_id, audience):
        return None
    with transaction():
        family, secret = start_personal_family(user_id, audience, config.get(config.REFRESH_TOKEN_TTL_S))
        actor = actor_of(user_id, {Role(audience.value)})
        subject = ("token_family", family.id)
        record_audit("program.signed_in", actor=actor, subject=subject, origin=current_origin())
    return family, secret


def _by_refresh(asked: AskPersonalToken, audience: Audience) -> Granted | None:
    with transaction():
        rotated = rotate(_needed(asked, "refresh_token"), audience)
    if rotated is None or rotated[0].user_id is None or not _works_here(rotated[0].user_id, audience):
        return None
    return rotated


def _needed(asked: AskPersonalToken, field: str) -> str:
    value: str | None = getattr(asked, field)
    if not value:
        raise ValidationFailed.of(field, "required", f"This grant needs {field}.")
    return value


def _works_here(user_id: uuid.UUID, audience: Audience) -> bool:
    with transaction():
        return Role(audience.value) in get_access(user_id).roles


def _bearer(audience: Audience) -> tuple[TokenFamily, Access]:
    """The living family behind the access token, and what its person may do now. Raises Unauthorized,
    TooManyRequests."""
    family = family_of_token(bearer_token(), audience, config.get(config.API_KEY_CACHE_TTL_S))
    if family is None or family.user_id is None:
        raise refusal_of_credentials()
    with transaction():
        access = get_access(family.user_id)
    if Role(audience.value) not in access.roles:
        raise refusal_of_credentials()
    return family, access


def _sign_out(audience: Audience) -> Response:
    family, access = _bearer(audience)
    with transaction():
        revoke_family(family.id)
        actor = actor_of(access.user_id, access.roles)
        subject = ("token_family", family.id)
        record_audit("program.signed_out", actor=actor, subject=subject, origin=current_origin())
    return no_content()


def _tell(audience: Audience) -> Response:
    _, access = _bearer(audience)
    return answer(
        {
            "object": "person",
            "id": public_id("usr", access.user_id),
            "roles": sorted(access.roles),
            "permissions": {
                permission.value: reach.value for permission, reach in sorted(access.permissions.items())
            },
        }
    )


_TAGS = {
    Audience.TRADER: "Access of traders",
    Audience.SUPPORT: "Access of support",
    Audience.LEAD: "Access of team leads",
    Audience.ADMIN: "Access of administrators",
}
_GIVE: dict[str, Any] = {
    "summary": "Get an access token for yourself",
    "is_public": True,
    "description": (
        "Grants: password (with otp if you have a second factor), refresh_token. Using a refresh token twice ends"
        " it and every token that came of it."
    ),
    "body": AskPersonalToken,
    "answer": PersonalTokenOut,
    "problems": (400, 401, 403, 413, 415, 422),
    "example": {"email": "tara@example.com", "password": "...", "otp": "123456"},
}
_SIGN_OUT: dict[str, Any] = {
    "summary": "Sign this program out",
    "is_public": True,
    "description": "Ends the access token of the header, its refresh token, and all that came of them.",
    "status": 204,
    "problems": (401,),
}
_TELL: dict[str, Any] = {
    "summary": "See who you are and what you may do",
    "is_public": True,
    "description": "Needs the access token; the answer is true as of this request.",
    "answer": PersonOut,
    "problems": (401,),
}
trader_auth = make_blueprint(Audience.TRADER, "/token")
staff_auth = tuple(
    make_blueprint(audience, "/login") for audience in (Audience.SUPPORT, Audience.LEAD, Audience.ADMIN)
)
