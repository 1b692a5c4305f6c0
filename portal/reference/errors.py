"""Refusals of reference data."""

from __future__ import annotations

from portal.core.errors import Conflict, NotFound, Unavailable, ValidationFailed


class RateUnavailable(Unavailable):
    """There is no fresh rate. Not the caller's fault, and worth another try: 503 with Retry-After."""

    code = "rate_unavailable"
    title = "There is no current exchange rate for this currency"

    def __init__(self, detail: str = "", *, retry_after_s: int | None = 30) -> None:
        super().__init__(detail, retry_after_s=retry_after_s)


class InMaintenance(Unavailable):
    """Nothing new is begun; what is running goes on."""

    code, title = "maintenance", "Nostro is being maintained"

    def __init__(self, detail: str = "", *, retry_after_s: int | None = 300) -> None:
        words = "No new payments are taken for a moment; those that are running go on. Try again later."
        super().__init__(detail or words, retry_after_s=retry_after_s)


class UnknownCurrency(NotFound):
    code, title = "unknown_currency", "This currency is not known here"


class UnknownMethod(NotFound):
    code, title = "unknown_method", "This method is not known here"


class UnknownRatePair(NotFound):
    code, title = "unknown_rate_pair", "There is no such pair of currencies"


class UnknownSetting(NotFound):
    code, title = "unknown_setting", "There is no such setting"


class SettingRefused(ValidationFailed):
    code, title = "setting_refused", "This value is not possible"


class RateDeviates(Conflict):
    code, title = "rate_deviates", "The rate is further from the last one than the pair allows"
