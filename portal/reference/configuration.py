"""Settings that an operator changes while Nostro runs: a typed registry here, overrides in a table.

`get(MATCH_WINDOW_S)` is typed by its setting. Reads come from memory, are heard by other processes within a
second or two, and a value is checked against its bounds when it is written and when it is read.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any, TypeVar, overload

from sqlalchemy import Connection, text

from portal.approvals.service import LIFE
from portal.reference.errors import UnknownSetting
from portal.reference.setting import REGISTRY, Setting, problem_of
from portal.reference.setting import setting as _setting
from portal.reference.snapshot import Snapshot

log = logging.getLogger(__name__)
T = TypeVar("T", int, bool, str)


_DAY = 86400

# Deadlines of orders
MATCH_WINDOW_S = _setting(
    "match_window_s", 600, "Seconds in which a trader must be found for an order.", 10, _DAY
)
PAY_WINDOW_S = _setting(
    "pay_window_s", 900, "Seconds a customer has to pay after the requisite is shown.", 60, _DAY
)
CONFIRM_WINDOW_S = _setting(
    "confirm_window_s",
    1800,
    "Seconds a trader has to confirm after the customer says they paid.",
    60,
    7 * _DAY,
)
AMOUNT_AGREEMENT_WINDOW_S = _setting(
    "amount_agreement_window_s",
    _DAY,
    "Seconds a customer has to say whether another amount, which the receiver reports, is what they sent.",
    300,
    7 * _DAY,
)
PAYOUT_PAY_WINDOW_S = _setting(
    "payout_pay_window_s", 900, "Seconds a trader has to pay a payout after accepting it.", 60, _DAY
)
PAYOUT_QUIET_PERIOD_S = _setting(
    "payout_quiet_period_s",
    3600,
    "Seconds after the proof of a payout in which nobody objects, before it counts as confirmed.",
    0,
    7 * _DAY,
)
PAYOUT_SILENCE_LIMIT_MINOR = _setting(
    "payout_silence_limit_minor",
    200_000_000,
    "Payouts worth up to this (minor units of settlement currency) are completed when nobody objects in time.",
    0,
    10**15,
)
PAYOUT_SILENCE_TRADER_DAY_MINOR = _setting(
    "payout_silence_trader_day_minor",
    1_000_000_000,
    "Payouts of one trader worth up to this together (minor units of settlement currency) are completed within 24 hours because nobody objects.",
    0,
    10**15,
)
PAYOUT_PROOF_MIN_PIXELS = _setting(
    "payout_proof_min_pixels",
    200,
    "Width and height that a picture must have to count as the proof of a payout.",
    1,
    4000,
)
LATE_COMPLETION_WINDOW_S = _setting(
    "late_completion_window_s",
    _DAY,
    "Seconds after expiry in which a late payment can be confirmed.",
    0,
    30 * _DAY,
)
REOPENING_WINDOW_S = _setting(
    "reopening_window_s",
    7 * _DAY,
    "Seconds after expiry in which the customer, the shop or the trader can open a dispute over the order.",
    0,
    60 * _DAY,
)
REOPENING_BY_STAFF_WINDOW_S = _setting(
    "reopening_by_staff_window_s",
    90 * _DAY,
    "Seconds after expiry in which staff can open a dispute over the order, or complete it.",
    0,
    365 * _DAY,
)
OUTAGE_THRESHOLD_S = _setting(
    "outage_threshold_s",
    60,
    "Silence of the clock, in seconds, that counts as an outage and moves deadlines by its length.",
    10,
    _DAY,
)
DAY_TIMEZONE = _setting(
    "day_timezone", "Europe/Moscow", "Time zone in which a day of limits begins and ends.", is_timezone=True
)

# Maintenance
MAINTENANCE = _setting(
    "maintenance", False, "Whether new orders and choices of a way to pay are refused; running ones go on."
)
MAINTENANCE_RETRY_AFTER_S = _setting(
    "maintenance_retry_after_s",
    300,
    "Seconds after which programs are told to try again during maintenance.",
    1,
    _DAY,
)

# Orders, requisites, receipts
IDEMPOTENCY_RETENTION_H = _setting(
    "idempotency_retention_h", 72, "Hours for which an Idempotency-Key is remembered.", 24, 720
)
MAX_OPEN_ORDERS_DEFAULT = _setting(
    "max_open_orders_default", 5, "Open orders a new requisite may have at once.", 1, 1000
)
TOLERANCE_TRADER_DAY = _setting(
    "tolerance_trader_day",
    5,
    "Payins below their amount that one trader may complete within 24 hours without the customer's word.",
    0,
    1000,
)
RECEIPTS_MAX_PER_ORDER = _setting(
    "receipts_max_per_order", 5, "Receipts that can be attached to one order by each side.", 1, 20
)
# The largest that web and nginx let through with the form around it (upload_sizes.py).
RECEIPT_MAX_MIB = _setting("receipt_max_mib", 10, "Largest receipt file, in MiB.", 1, 11)

# Limits of exposure: what one store, customer or network may hold of traders' deposits and be shown of requisites.
# Volumes are whole units of the settlement currency; test keys have EXPOSURE_TEST_FACTOR times as much of everything.
# Of a customer and a network of a store the latest 100 payins are counted: a larger number switches a limit off.
# One customer has at most a fifth of what the store has, one network at most half: the rest is for the others.
_MOST = 1_000_000_000
EXPOSURE_STORE_OPEN = _setting(
    "exposure_store_open",
    50_000,
    "What the open payins of one store may hold of traders' deposits at once, in units of the settlement currency.",
    10,
    _MOST,
)
EXPOSURE_STORE_SHARE_PERCENT = _setting(
    "exposure_store_share_percent",
    50,
    "Percent of all traders' deposits that the open payins of one store may hold at once, where there are other stores.",
    1,
    100,
)
EXPOSURE_STORE_CLAIMED = _setting(
    "exposure_store_claimed",
    25_000,
    "What one store's payins that wait for a confirmation may hold before it gets no new ones, in the same units.",
    10,
    _MOST,
)
EXPOSURE_STORE_REQUISITES = _setting(
    "exposure_store_requisites",
    40,
    "Requisites shown for one store in an hour in which nobody pays.",
    1,
    _MOST,
)
EXPOSURE_REQUISITES_PER_PAID = _setting(
    "exposure_requisites_per_paid",
    10,
    "Requisites more that a store is shown in an hour for each of its payins paid in it or the hour before.",
    0,
    1000,
)
EXPOSURE_CUSTOMER_OPEN_ORDERS = _setting(
    "exposure_customer_open_orders",
    5,
    "Open payins of one customer of a store at once; more than 100 is no limit.",
    1,
    1000,
)
EXPOSURE_CUSTOMER_OPEN = _setting(
    "exposure_customer_open", 5_000, "What they may hold, in units of the settlement currency.", 10, _MOST
)
EXPOSURE_CUSTOMER_REQUISITES = _setting(
    "exposure_customer_requisites",
    5,
    "Different requisites shown to one customer of a store in an hour; more than 100 is no limit.",
    1,
    1000,
)
EXPOSURE_CUSTOMER_UNPAID = _setting(
    "exposure_customer_unpaid",
    5,
    "Payins in a row, open ones too, that one customer of a store has not paid within an hour; more than 100 is no limit.",
    1,
    1000,
)
EXPOSURE_NETWORK_OPEN_ORDERS = _setting(
    "exposure_network_open_orders",
    20,
    "Open payins of a store from one network (IPv4 /24, IPv6 /48) at once; more than 100 is no limit.",
    1,
    1000,
)
EXPOSURE_NETWORK_OPEN = _setting(
    "exposure_network_open", 10_000, "What they may hold, in units of the settlement currency.", 10, _MOST
)
EXPOSURE_NETWORK_REQUISITES = _setting(
    "exposure_network_requisites",
    20,
    "Different requisites shown for one store to one network in an hour; more than 100 is no limit.",
    1,
    1000,
)
EXPOSURE_NETWORK_UNPAID = _setting(
    "exposure_network_unpaid",
    20,
    "Payins of a store in a row, open ones too, that one network has not paid within an hour; more than 100 is no limit.",
    1,
    1000,
)
EXPOSURE_TEST_FACTOR = _setting(
    "exposure_test_factor", 20, "How many times as much of each limit of exposure a test key has.", 1, 1000
)

# For how long personal data is kept (flask retention run; the clock forgets the last three by itself)
RETENTION_PEOPLE_DAYS = _setting(
    "retention_people_days",
    365,
    "Days after an order's end for which payer, customer and recipient are kept.",
    35,
    3650,
)
RETENTION_RECEIPTS_DAYS = _setting(
    "retention_receipts_days", 365, "Days after an order's end for which its receipts are kept.", 35, 3650
)
RETENTION_SIGN_INS_DAYS = _setting(
    "retention_sign_ins_days", 31, "Days for which attempts to sign in and their addresses are kept.", 31, 730
)
RETENTION_MAIL_DAYS = _setting(
    "retention_mail_days", 30, "Days for which mail that was sent or given up is kept.", 1, 730
)
RETENTION_NOTIFICATIONS_DAYS = _setting(
    "retention_notifications_days", 90, "Days for which what people were told stays under their bell.", 1, 730
)

# Proofs
LEDGER_PROOF_EVERY_S = _setting(
    "ledger_proof_every_s",
    _DAY,
    "Seconds after which the clock proves the whole ledger again (flask ledger verify).",
    300,
    30 * _DAY,
)

# Caches
REFERENCE_CACHE_TTL_S = _setting(
    "reference_cache_ttl_s",
    5,
    "Seconds that currencies, methods, banks and rates stay in memory when Redis can't tell of changes.",
    1,
    60,
)
RISK_CACHE_TTL_S = _setting(
    "risk_cache_ttl_s",
    5,
    "Seconds that risk rules and lists stay in memory when Redis can't tell of changes.",
    1,
    60,
)
API_KEY_CACHE_TTL_S = _setting(
    "api_key_cache_ttl_s", 5, "Seconds for which a store's API key is kept in memory.", 1, 60
)

# Signing in
SESSION_IDLE_S = _setting(
    "session_idle_s", 8 * 3600, "Seconds without a request after which a session ends.", 300, 7 * _DAY
)
SESSION_ABSOLUTE_S = _setting(
    "session_absolute_s", 7 * _DAY, "Seconds after which a session ends in any case.", 3600, 90 * _DAY
)
SIGN_IN_ATTEMPTS_PER_EMAIL = _setting(
    "sign_in_attempts_per_email", 10, "Failed sign-ins of one email within the window before a pause.", 3, 100
)
SIGN_IN_ATTEMPTS_PER_IP = _setting(
    "sign_in_attempts_per_ip",
    50,
    "Failed sign-ins from one address within the window before a pause.",
    3,
    10000,
)
SIGN_IN_WINDOW_S = _setting(
    "sign_in_window_s", 900, "Seconds over which failed sign-ins are counted.", 60, _DAY
)
HALF_SESSION_S = _setting(
    "half_session_s", 600, "Seconds after the password in which the second step must be done.", 60, 900
)
SUDO_S = _setting(
    "sudo_s", 300, "Seconds for which a proof of who one is counts for what needs a fresh one.", 60, 3600
)
FACTOR_ATTEMPTS = _setting(
    "factor_attempts", 5, "Wrong codes of a second factor before the attempt ends and pauses begin.", 3, 20
)
SECOND_FACTOR_GRACE_S = _setting(
    "second_factor_grace_s",
    7 * _DAY,
    "Seconds after they got their role in which staff and traders may work without a second factor.",
    0,
    3650 * _DAY,
)
PASSWORD_MIN_LENGTH = _setting(
    "password_min_length", 12, "Characters that a new password has at least.", 12, 64
)
PASSWORD_RESET_TTL_S = _setting(
    "password_reset_ttl_s", 1800, "Seconds for which the link to a new password is good.", 300, 1800
)
PASSWORD_RESETS_PER_IP = _setting(
    "password_resets_per_ip",
    20,
    "Links to new passwords that may be asked for from one address in an hour.",
    3,
    10_000,
)
INVITATION_TTL_S = _setting(
    "invitation_ttl_s", 3 * _DAY, "Seconds for which an invitation is good.", 3600, 14 * _DAY
)
ACCESS_TOKEN_TTL_S = _setting(
    "access_token_ttl_s", 900, "Seconds for which an access token is valid.", 60, 3600
)
REFRESH_TOKEN_TTL_S = _setting(
    "refresh_token_ttl_s", 30 * _DAY, "Seconds for which a refresh token is valid.", 3600, 90 * _DAY
)

# What takes two people
APPROVAL_LIFE_H = _setting(
    "approval_life_h",
    LIFE // timedelta(hours=1),
    "Hours in which a second person can decide what another proposed.",
    1,
    720,
)

# Limits of requests
API_REQUESTS_PER_MINUTE = _setting(
    "api_requests_per_minute", 6000, "API requests of one key in a minute.", 10, 1_000_000
)
API_PUBLIC_REQUESTS_PER_MINUTE = _setting(
    "api_public_requests_per_minute",
    120,
    "API requests without a key from one address in a minute.",
    10,
    1_000_000,
)
WEB_REQUESTS_PER_MINUTE = _setting(
    "web_requests_per_minute", 900, "Requests for pages by one signed-in person in a minute.", 60, 1_000_000
)
WEB_PUBLIC_REQUESTS_PER_MINUTE = _setting(
    "web_public_requests_per_minute",
    3000,
    "Requests for pages and tokens from one address, by people who are not signed in, in a minute.",
    60,
    1_000_000,
)
WEB_CHANGES_PER_MINUTE = _setting(
    "web_changes_per_minute", 300, "Forms that one signed-in person may send in a minute.", 30, 1_000_000
)
PROOFS_PER_MINUTE = _setting(
    "proofs_per_minute",
    120,
    "Passwords and codes that may be tried from one address in a minute, right or wrong.",
    10,
    1_000_000,
)
PAY_PAGE_POSTS_PER_MINUTE = _setting(
    "pay_page_posts_per_minute", 30, "Forms that one payment page may send in a minute.", 5, 10_000
)
PAY_PAGE_MISSES_PER_MINUTE = _setting(
    "pay_page_misses_per_minute",
    60,
    "Payment pages that do not exist which one address may ask for in a minute.",
    5,
    10_000,
)

# Webhooks
WEBHOOKS_DISABLE_AFTER_S = _setting(
    "webhooks_disable_after_s",
    3 * _DAY,
    "Seconds of nothing but failures after which a webhook endpoint is switched off.",
    3600,
    30 * _DAY,
)
WEBHOOK_TESTS_PER_MINUTE = _setting(
    "webhook_tests_per_minute",
    5,
    "Test events and challenges that one store may ask for in a minute.",
    1,
    1000,
)
WEBHOOK_TESTS_PER_DAY = _setting(
    "webhook_tests_per_day",
    50,
    "Test events and challenges that one store may ask for in a day.",
    1,
    100_000,
)
WEBHOOK_TESTS_PER_HOST = _setting(
    "webhook_tests_per_host",
    10,
    "Test events and challenges of one store to one host in a day; of all stores together ten times as many.",
    1,
    10_000,
)
WEBHOOK_TIMEOUT_S = _setting("webhook_timeout_s", 15, "Seconds one delivery of a webhook may take.", 1, 60)

# Rates
RATE_FETCH_TIMEOUT_S = _setting(
    "rate_fetch_timeout_s", 10, "Seconds one request to a rate feed may take.", 1, 60
)
RATE_WARNS_AT_PERCENT = _setting(
    "rate_warns_at_percent",
    50,
    "Percent of the age at which a rate is stale from which on it is told that it ages.",
    1,
    99,
)

# Settings are kept in memory this long when Redis can't tell of changes.
_MAX_AGE_S = 5.0


def _load(connection: Connection) -> dict[str, Any]:
    rows = connection.execute(text("SELECT key, value FROM config_setting"))
    return {key: value for key, value in rows}  # noqa: C416 - rows are not pairs to mypy


snapshot: Snapshot[dict[str, Any]] = Snapshot("settings", _load, lambda: _MAX_AGE_S, copy_in_redis=True)


@overload
def get(setting: Setting[T]) -> T: ...
@overload
def get(setting: str) -> Any: ...
def get(setting: Setting[Any] | str) -> Any:
    """The value of a setting: the operator's, or its default. Raises UnknownSetting for an unknown key."""
    known = find(setting) if isinstance(setting, str) else setting
    overrides = snapshot.get()
    if known.key not in overrides:
        return known.default
    problem = problem_of(known, overrides[known.key])
    if problem:
        log.error("setting %s is ignored, its default is used: %s", known.key, problem)
        return known.default
    return overrides[known.key]


def find(key: str) -> Setting[Any]:
    """The setting of a key. Raises UnknownSetting."""
    try:
        return REGISTRY[key]
    except KeyError:
        raise UnknownSetting(f"There is no setting {key[:64]!r}.") from None
