"""The codes of refusals: part of the contract, each with what a program should do about it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ErrorCode:
    code: str
    status: int
    meaning: str


def _code(code: str, status: int, meaning: str) -> ErrorCode:
    return ErrorCode(code, status, meaning)


ERROR_CODES: tuple[ErrorCode, ...] = (
    _code("bad_request", 400, "The request could not be read. Correct it; repeating it will not help."),
    _code("malformed_json", 400, "The body is not one valid JSON text in UTF-8."),
    _code("duplicate_key", 400, "The body names a field twice."),
    _code("too_deep", 400, "The body is nested more deeply than any schema."),
    _code("invalid_character", 400, "A string holds NUL or half a surrogate pair."),
    _code("unknown_parameter", 400, "The query has a parameter that this path does not know."),
    _code("duplicate_parameter", 400, "The query gives a parameter twice."),
    _code("credentials_in_query", 400, "Credentials belong into the Authorization header only."),
    _code("idempotency_key_missing", 400, "Send an Idempotency-Key: 1 to 255 visible ASCII characters."),
    _code(
        "idempotency_key_malformed", 400, "The Idempotency-Key is empty, too long or has other characters."
    ),
    _code("unsupported_grant", 400, "Use the grants password, client_credentials or refresh_token."),
    _code("missing_credentials", 401, "Send `Authorization: Bearer <key or access token>`."),
    _code(
        "invalid_credentials",
        401,
        "The key or token is unknown, revoked or expired; or email and password do not fit.",
    ),
    _code("unauthorized", 401, "Valid credentials are needed."),
    _code("otp_required", 401, "The person has a second factor: send its code as `otp`."),
    _code("second_factor_wanted", 403, "The person has to add a second factor first."),
    _code("missing_scope", 403, "The key lacks the scope that the answer names in `scope`."),
    _code("network_not_allowed", 403, "The key is bound to other networks."),
    _code("store_closed", 403, "The store has been closed."),
    _code("test_mode_only", 403, "This path works with a test key only."),
    _code("forbidden", 403, "This is not permitted."),
    _code("not_found", 404, "It does not exist, or it is not yours, or it is of the other mode."),
    _code("unknown_currency", 404, "There is no such currency here."),
    _code("unknown_method", 404, "There is no such method here."),
    _code(
        "method_not_allowed", 405, "This path does not take this HTTP method; `Allow` lists those it does."
    ),
    _code("request_timeout", 408, "The request did not arrive in time. Send it again."),
    _code("conflict", 409, "The current state does not allow this."),
    _code("invalid_transition", 409, "The order has moved on; `order_status` says where it is."),
    _code(
        "payment_reported", 409, "The receiver says that money came: the customer is asked on `payment_url`."
    ),
    _code("duplicate_external_id", 409, "`order_id` is the order that has this external_id already."),
    _code("idempotency_in_progress", 409, "The same call is still running. Repeat it after `Retry-After`."),
    _code("insufficient_funds", 409, "The balance does not cover the amount and the fee."),
    _code("store_disabled", 409, "The store takes no orders of this direction at present."),
    _code("no_fee_plan", 409, "The operator has not set the store's fees for this direction."),
    _code("method_already_chosen", 409, "The method was chosen before, differently."),
    _code("proof_missing", 409, "A receipt has to be attached first."),
    _code("too_many_receipts", 409, "The order has as many receipts as it may have."),
    _code("receipt_not_expected", 409, "The order takes no receipts in its present status."),
    _code("too_late", 409, "The order expired too long ago."),
    _code("no_requisite", 409, "No requisite can serve this order now."),
    _code("dispute_open", 409, "There is an open dispute over this order already."),
    _code("endpoint_exists", 409, "The store has a webhook endpoint in this mode already."),
    _code("endpoint_unverified", 409, "The webhook endpoint has not given its challenge back yet."),
    _code("endpoint_verified", 409, "The webhook endpoint is verified already."),
    _code("endpoint_disabled", 409, "The webhook endpoint is switched off."),
    _code("payload_too_large", 413, "A JSON body may have 64 KB."),
    _code("file_too_large", 413, "A receipt may have 10 MB."),
    _code("uri_too_long", 414, "The address is too long."),
    _code(
        "unsupported_media_type", 415, "Send `application/json` in UTF-8 (a receipt as multipart/form-data)."
    ),
    _code("file_type", 415, "A receipt is a JPEG, PNG or WebP image, or a PDF."),
    _code("validation_failed", 422, "`errors` names each field with a code and a sentence."),
    _code("idempotency_key_reused", 422, "The key was used with another body. Use a new key for a new call."),
    _code(
        "amount_above_limit",
        422,
        "The payin alone is above a limit of the operator's; `limit` and `allowed` say which.",
    ),
    _code(
        "store_limit_reached",
        429,
        "The store holds or was shown as much as it may at once; `limit` says which of its limits. Payins that end make room.",
    ),
    _code(
        "customer_limit_reached",
        429,
        "The customer has too many unfinished or unpaid payins; `limit` says which limit. Let them pay or cancel one.",
    ),
    _code(
        "network_limit_reached",
        429,
        "As customer_limit_reached, for all customers of one network (IPv4 /24, IPv6 /48).",
    ),
    _code("rate_limited", 429, "Go on after `Retry-After` seconds."),
    _code("too_many_tests", 429, "Too many test events or challenges for this store or this host."),
    _code("too_many_attempts", 429, "Too many failed sign-ins. Wait."),
    _code("internal_error", 500, "Our fault. Nothing was decided; repeat with the same Idempotency-Key."),
    _code(
        "unavailable",
        503,
        "Busy or in maintenance. Repeat after `Retry-After`, with the same Idempotency-Key.",
    ),
    _code("maintenance", 503, "No new orders for a while; running ones go on. Repeat after `Retry-After`."),
    _code("storage_full", 503, "Files cannot be stored right now. Repeat after `Retry-After`."),
    _code("uploads_busy", 503, "Too many files are being read. Send yours again after `Retry-After`."),
    _code(
        "uploads_paused",
        503,
        "Two of your files took too much to read within a minute. Send others after `Retry-After`.",
    ),
    _code("rate_unavailable", 503, "There is no fresh exchange rate. Repeat after `Retry-After`."),
)

FIELD_CODES: tuple[tuple[str, str], ...] = (
    ("required", "The field is missing."),
    ("unknown_field", "There is no such field: nothing is ignored silently."),
    ("not_a_string", "A string is needed, amounts included."),
    ("not_an_object", "An object is needed."),
    ("not_a_list", "A list is needed."),
    ("not_an_integer", "A whole number is needed."),
    ("not_allowed", "The value is not one of the possible ones, or does not fit another field."),
    ("malformed", "The text is not written as expected."),
    ("invalid", "The value is not valid."),
    ("invalid_character", "The text holds a control character."),
    ("too_short", "The text is too short."),
    ("too_long", "The text is too long."),
    ("too_many", "There are too many of these."),
    ("too_large", "The amount or the content is too large."),
    ("too_small", "The amount is too small."),
    ("too_many_decimals", "The amount has more decimals than the currency."),
    ("not_positive", "The amount is not greater than zero."),
    ("out_of_range", "The number is outside its bounds."),
    ("unknown", "There is no such currency, method or bank here."),
    ("missing", "The value is needed here."),
    ("origin_not_registered", "The origin of return_url is not registered for the store."),
    ("wrong_length", "A requisite's number has the wrong length."),
    ("wrong_checksum", "A requisite's number has a mistyped digit."),
    ("wrong_country", "A requisite's number is of another country."),
    ("unknown_prefix", "A requisite's number begins with a prefix nobody has."),
    ("unknown_event_type", "There is no such event."),
    ("in_the_past", "The time is in the past."),
)
