"""`POST /merchant/auth/token`: access tokens for people of a merchant and for API keys (OAuth 2.0 grants)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from flask import Blueprint, Response, request
from pydantic import ConfigDict, Field

from portal.api.access_tokens import issue_access_token
from portal.api.answers import answer
from portal.api.authentication import (
    caller_of_key,
    callers,
    count,
    passwords,
    refusal_of_credentials,
)
from portal.api.operations import check_query, current_operation, operation
from portal.api.proof import prove_person
from portal.api.strict_json import read_json
from portal.api.v1 import finished
from portal.api.validation import Answer, Body, OneLine, needed_when, validated
from portal.core.db import transaction
from portal.core.errors import BadRequest, Forbidden, ValidationFailed
from portal.core.ids import parse_public_id, public_id
from portal.core.limits import network_of
from portal.core.modes import Mode
from portal.identity.models import Audience, Scope
from portal.identity.roles import scopes_of
from portal.identity.tokens.api_keys import find_key, find_key_by_id
from portal.identity.tokens.token_families import TokenFamily, rotate, start_family
from portal.merchants.queries import Membership, list_memberships
from portal.reference import configuration as config

merchant_auth = Blueprint("merchant_auth", __name__, url_prefix="/merchant/auth")


class AskToken(Body):
    """`password`: email, password, otp if the person has a second factor, perhaps store_id and mode.
    `client_credentials`: client_secret (an API key). `refresh_token`: refresh_token."""

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [
                needed_when("grant_type", "password", "email", "password"),
                needed_when("grant_type", "client_credentials", "client_secret"),
                needed_when("grant_type", "refresh_token", "refresh_token"),
            ]
        }
    )

    grant_type: Annotated[
        str,
        Field(
            max_length=64,
            json_schema_extra={"enum": ["password", "client_credentials", "refresh_token"]},
        ),
    ]
    """By what you prove who you are."""
    email: Annotated[str, Field(max_length=254)] | None = None
    """For `password`: where the person is written to."""
    password: Annotated[str, Field(max_length=1024)] | None = None
    """For `password`: the person's."""
    otp: Annotated[str, Field(max_length=64)] | None = None
    """For `password`: a code of the second factor, if the person has one."""
    store_id: Annotated[str, Field(max_length=40)] | None = None
    """For `password`: which store, where the person works in several."""
    mode: Literal["live", "test"] | None = None
    """For `password`: `live` without it."""
    client_id: Annotated[OneLine, Field(max_length=40)] | None = None
    """For `client_credentials`: the store's id, to be sure."""
    client_secret: Annotated[str, Field(max_length=128)] | None = None
    """For `client_credentials`: an API key."""
    refresh_token: Annotated[str, Field(max_length=128)] | None = None
    """For `refresh_token`: the one of the answer before."""


class TokenOut(Answer):
    """The access token is for `Authorization: Bearer`; the refresh token is good for one use."""

    access_token: str
    """For the header `Authorization: Bearer`."""
    token_type: Literal["Bearer"]
    """How the token is used."""
    expires_in: int
    """Seconds until it is worth nothing."""
    refresh_token: str
    """Good once, for the next access token."""
    scope: str
    """What the token may do, with blanks in between."""
    store_id: str
    """The store it acts for."""
    mode: Literal["live", "test"]
    """Whether it acts with money or in play."""


@merchant_auth.before_request
def guard() -> None:
    check_query(current_operation())


@merchant_auth.after_request
def finish(response: Response) -> Response:
    return finished(response)


@merchant_auth.post("/token", provide_automatic_options=False)
@operation(
    id="create_token",
    summary="Get an access token",
    tag="Access",
    is_public=True,
    description=(
        "Grants: password (a person of the merchant), client_credentials (an API key as client_secret),"
        " refresh_token. Using a refresh token twice ends it and every token that came of it."
    ),
    body=AskToken,
    answer=TokenOut,
    problems=(400, 401, 403, 413, 415, 422),
    example={"grant_type": "client_credentials", "client_secret": "nst_test_..."},
)
def token() -> Response:
    asked = validated(AskToken, read_json(request))
    grant = _GRANTS.get(asked.grant_type)
    if grant is None:
        raise BadRequest(f"There are the grants {', '.join(_GRANTS)}.", code="unsupported_grant")
    granted = grant(asked)
    if granted is None:
        raise refusal_of_credentials()
    family, refresh_token, scopes = granted
    return answer(_token_of(family, refresh_token, scopes))


Granted = tuple[TokenFamily, str, frozenset[Scope]]


def _needed(asked: AskToken, field: str) -> str:
    value: str | None = getattr(asked, field)
    if not value:
        raise ValidationFailed.of(field, "required", f"This grant needs {field}.")
    return value


def _by_password(asked: AskToken) -> Granted | None:
    email, password = _needed(asked, "email"), _needed(asked, "password")
    count(passwords, network_of(request.remote_addr), config.get(config.PROOFS_PER_MINUTE))
    user_id = prove_person(email, password, asked.otp)
    if user_id is None:
        return None
    mine = list_memberships(user_id)
    memberships = [member for member in mine if member.store.is_active]
    if mine and not memberships:
        raise Forbidden("The store is closed.", code="store_closed")
    if not memberships:
        return None
    chosen = _chosen(memberships, asked.store_id)
    mode = Mode(asked.mode or Mode.LIVE)
    with transaction():
        family, secret = start_family(
            chosen.store.id, mode, config.get(config.REFRESH_TOKEN_TTL_S), user_id=user_id
        )
    return family, secret, scopes_of(chosen.permissions)


def _chosen(memberships: list[Membership], store_id: str | None) -> Membership:
    """The store that is named, or the only one. Raises ValidationFailed naming what there is to choose."""
    if store_id is None and len(memberships) == 1:
        return memberships[0]
    wanted = None if store_id is None else parse_public_id("st", store_id)
    for membership in memberships:
        if membership.store.id == wanted:
            return membership
    ids = ", ".join(public_id("st", membership.store.id) for membership in memberships)
    code = "required" if store_id is None else "unknown"
    raise ValidationFailed.of("store_id", code, f"Name one of your stores: {ids}.")


def _by_api_key(asked: AskToken) -> Granted | None:
    key = find_key(_needed(asked, "client_secret"), config.get(config.API_KEY_CACHE_TTL_S))
    caller = None if key is None else caller_of_key(key)
    if key is None or caller is None:
        return None
    if asked.client_id is not None and parse_public_id("st", asked.client_id) != key.store_id:
        return None
    count(callers, caller.subject, config.get(config.API_REQUESTS_PER_MINUTE))
    with transaction():
        family, secret = start_family(
            key.store_id, key.mode, config.get(config.REFRESH_TOKEN_TTL_S), api_key_id=key.id
        )
    return family, secret, caller.scopes


def _by_refresh_token(asked: AskToken) -> Granted | None:
    secret = _needed(asked, "refresh_token")
    with transaction():
        rotated = rotate(secret, Audience.MERCHANT)
        if rotated is not None:  # a refusal rolls the rotation back
            subject = f"family:{rotated[0].id.hex}"
            count(callers, subject, config.get(config.API_REQUESTS_PER_MINUTE))
    if rotated is None:
        return None
    family, next_secret = rotated
    scopes = _scopes_now(family)
    return None if scopes is None else (family, next_secret, scopes)


def _scopes_now(family: TokenFamily) -> frozenset[Scope] | None:
    """What the family's owner may do today; None when they may not act for the store any more."""
    if family.api_key_id is not None:
        key = find_key_by_id(family.api_key_id, config.get(config.API_KEY_CACHE_TTL_S))
        caller = None if key is None else caller_of_key(key)
        return None if caller is None else caller.scopes
    if family.user_id is None:
        return None
    mine = next((m for m in list_memberships(family.user_id) if m.store.id == family.store_id), None)
    if mine is None:
        return None
    if not mine.store.is_active:
        raise Forbidden("The store is closed.", code="store_closed")
    return scopes_of(mine.permissions)


_GRANTS = {
    "password": _by_password,
    "client_credentials": _by_api_key,
    "refresh_token": _by_refresh_token,
}


def _token_of(family: TokenFamily, refresh_token: str, scopes: frozenset[Scope]) -> dict[str, Any]:
    assert family.store_id is not None
    assert family.mode is not None
    ttl_s = config.get(config.ACCESS_TOKEN_TTL_S)
    return {
        "access_token": issue_access_token(family, Audience.MERCHANT, ttl_s),
        "token_type": "Bearer",
        "expires_in": ttl_s,
        "refresh_token": refresh_token,
        "scope": " ".join(sorted(scope.value for scope in scopes)),
        "store_id": public_id("st", family.store_id),
        "mode": family.mode.value,
    }
