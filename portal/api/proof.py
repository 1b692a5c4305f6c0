"""Who a person is, for programs: email, password, and the code of whoever has a second factor."""

from __future__ import annotations

import uuid

from flask import request

from portal.api.origin import current_origin
from portal.core.db import transaction
from portal.core.errors import Forbidden, Unauthorized
from portal.identity.proofs.second_factor import (
    FactorLimits,
    has_second_factor,
    is_factor_overdue,
    verify_second_factor,
)
from portal.identity.signing_in.sign_in import SignInLimits, check_credentials
from portal.reference import configuration as config


def prove_person(email: str, password: str, otp: str | None) -> uuid.UUID | None:
    """The id of the person, or None. Attempts are counted in PostgreSQL, as on the sign-in page.

    Raises Unauthorized `otp_required` after the right password, Forbidden `second_factor_wanted` when they have
    to add one first, TooManyRequests, Unavailable.
    """
    limits = SignInLimits(
        config.get(config.SIGN_IN_ATTEMPTS_PER_EMAIL),
        config.get(config.SIGN_IN_ATTEMPTS_PER_IP),
        config.get(config.SIGN_IN_WINDOW_S),
    )
    user_id = check_credentials(email, password, request.remote_addr, limits)
    if user_id is None:
        return None
    with transaction():
        has_factor = has_second_factor(user_id)
        is_overdue = not has_factor and is_factor_overdue(user_id, config.get(config.SECOND_FACTOR_GRACE_S))
    if is_overdue:
        raise Forbidden("Add a second factor on your account page first.", code="second_factor_wanted")
    if has_factor and not otp:
        raise Unauthorized("Send the code of your authenticator app as otp.", code="otp_required")
    factor_limits = FactorLimits(config.get(config.FACTOR_ATTEMPTS))
    if has_factor and not verify_second_factor(
        user_id, otp or "", origin=current_origin(), limits=factor_limits
    ):
        return None
    return user_id
