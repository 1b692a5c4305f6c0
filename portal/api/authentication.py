"""Who calls: a store's API key or an access token, once per request, without a query when it was seen lately."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from typing import cast

from flask import g, request

from portal.api.access_tokens import family_of_token
from portal.api.origin import current_origin
from portal.core.actors import Actor, ActorKind
from portal.core.db.clock import database_now
from portal.core.errors import BadRequest, Forbidden, TooManyRequests, Unauthorized
from portal.core.limits import Allowance, RequestCounter, network_of
from portal.core.modes import Mode
from portal.identity.models import Audience, Scope
from portal.identity.roles import scopes_of
from portal.identity.tokens.api_keys import StoreKey, find_key, find_key_by_id, looks_like_key
from portal.identity.tokens.token_families import TokenFamily
from portal.merchants.queries import StoreTerms, find_store, list_memberships
from portal.reference import configuration as config

_LONGEST_TOKEN = 2048
# Names under which people put credentials into addresses, which end up in logs and histories.
_CREDENTIALS_IN_QUERY = frozenset({"api_key", "apikey", "key", "token", "access_token", "authorization"})

callers = RequestCounter("api")
strangers = RequestCounter("public")
refused = RequestCounter("refused")
passwords = RequestCounter("passwords")
FAILED_CREDENTIALS_PER_MINUTE = 30


@dataclass(frozen=True, slots=True)
class Caller:
    """A store in one mode, and what may be done in its name. `subject` is whose requests are counted."""

    store: StoreTerms
    mode: Mode
    scopes: frozenset[Scope]
    actor: Actor
    subject: str


def current_caller() -> Caller:
    """The caller of this request; routes declare a scope, and so there is one."""
    return cast(Caller, g.caller)


def known_actor() -> Actor:
    """Who calls, with where from: for what is audited."""
    return replace(current_caller().actor, origin=current_origin())


def admit(scope: Scope | None) -> None:
    """Authenticate, count the request, and check the scope. Raises 400, 401, 403, 429."""
    if request.query_string and not _CREDENTIALS_IN_QUERY.isdisjoint(request.args):
        raise BadRequest("Send credentials in the Authorization header.", code="credentials_in_query")
    caller = authenticate()
    g.caller = caller
    count(callers, caller.subject, config.get(config.API_REQUESTS_PER_MINUTE))
    if scope is not None and scope not in caller.scopes:
        raise Forbidden(
            f"This needs the scope {scope.value}.", code="missing_scope", extra={"scope": scope.value}
        )


def admit_public() -> None:
    """Count a request that needs no credentials by the network it comes from. Raises 429."""
    count(strangers, network_of(request.remote_addr), config.get(config.API_PUBLIC_REQUESTS_PER_MINUTE))


def count(counter: RequestCounter, subject: str, limit: int) -> None:
    """Count one request; what is left is told by the headers of the answer. Raises TooManyRequests."""
    allowance = counter.hit(subject, limit)
    g.allowance = allowance
    if allowance.is_exceeded:
        raise _too_many(allowance)


def _too_many(allowance: Allowance) -> TooManyRequests:
    return TooManyRequests(
        f"The limit is {allowance.limit} requests a minute.", retry_after_s=max(allowance.reset_s, 1)
    )


def authenticate() -> Caller:
    """The caller behind the Authorization header. Raises Unauthorized, Forbidden, TooManyRequests."""
    token = bearer_token()
    caller = None
    if token:
        caller = _by_key(token) if looks_like_key(token) else _by_token(token)
    if caller is None:
        raise refusal_of_credentials()
    return caller


def bearer_token() -> str:
    """The credentials of the header; empty when they are not a bearer's. Raises Unauthorized without any."""
    header = request.headers.get("Authorization")
    if header is None:
        raise Unauthorized("Send your key: Authorization: Bearer nst_live_...", code="missing_credentials")
    scheme, _, token = header.partition(" ")
    is_bearer = scheme.lower() == "bearer" and len(token) <= _LONGEST_TOKEN and token.isascii()
    return token if is_bearer else ""


def refusal_of_credentials() -> Unauthorized | TooManyRequests:
    """What to raise for credentials that are not valid: counted by network, and told to wait after too many.

    Only what is wrong is counted, and only that is refused: a neighbour who guesses keeps no valid key out.
    """
    allowance = refused.hit(network_of(request.remote_addr), FAILED_CREDENTIALS_PER_MINUTE)
    if allowance.is_exceeded:
        return _too_many(allowance)
    return Unauthorized("The credentials are not valid, or not any more.", code="invalid_credentials")


def _by_key(secret: str) -> Caller | None:
    key = find_key(secret, config.get(config.API_KEY_CACHE_TTL_S))
    return None if key is None else caller_of_key(key)


def caller_of_key(key: StoreKey) -> Caller | None:
    """What a key may do here and now; None when it has expired. Raises Forbidden for a foreign network."""
    if key.is_expired(database_now()):
        return None
    if not key.allows_address(request.remote_addr):
        raise Forbidden("This key may not be used from your network.", code="network_not_allowed")
    store = find_store(key.store_id)
    if store is None or not store.is_active:
        raise Forbidden("The store is closed.", code="store_closed")
    return Caller(store, key.mode, key.scopes, Actor(ActorKind.MERCHANT, key.store_id), f"key:{key.id.hex}")


def _by_token(token: str) -> Caller | None:
    max_age_s = config.get(config.API_KEY_CACHE_TTL_S)
    family = family_of_token(token, Audience.MERCHANT, max_age_s)
    if family is None:
        return None
    if family.api_key_id is not None:
        key = find_key_by_id(family.api_key_id, max_age_s)
        return None if key is None else caller_of_key(key)
    return None if family.user_id is None else _caller_of_member(family, family.user_id)


def _caller_of_member(family: TokenFamily, user_id: uuid.UUID) -> Caller | None:
    """Their role and grants are read for each request: a change holds with the next one."""
    membership = next((m for m in list_memberships(user_id) if m.store.id == family.store_id), None)
    if membership is None or family.mode is None:
        return None  # not with this store any more
    if not membership.store.is_active:
        raise Forbidden("The store is closed.", code="store_closed")
    actor, scopes = Actor(ActorKind.MERCHANT, user_id), scopes_of(membership.permissions)
    return Caller(membership.store, family.mode, scopes, actor, f"family:{family.id.hex}")
