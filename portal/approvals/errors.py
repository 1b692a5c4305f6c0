"""Why a proposal or a decision is refused."""

from __future__ import annotations

from portal.core.errors import Conflict, Forbidden, TooManyRequests


class OneselfRefused(Forbidden):
    code, title = "not_for_oneself", "Nobody decides about themselves, or about what they proposed"


class RequestWaiting(Conflict):
    code, title = "request_waiting", "The same is waiting for a second person already"


class RequestDecided(Conflict):
    code, title = "request_decided", "This has been decided already"


class RequestExpired(Conflict):
    code, title = "request_expired", "This request has expired: it has to be proposed again"


class RequestStale(Conflict):
    code, title = "request_stale", "What this is about has moved since: it has to be proposed again"


class RequestChanged(Conflict):
    code, title = "request_changed", "This is not what was looked at"


class RequestForged(Conflict):
    code, title = "request_forged", "This request was not written by the house"


class ProposerMayNot(Conflict):
    code, title = "proposer_may_not", "Who proposed this may not propose it any more"


class OneIsEnough(Conflict):
    code, title = "one_is_enough", "This does not take two people"


class TooManyProposals(TooManyRequests):
    code, title = "too_many_proposals", "You have proposed a lot within the hour"
