"""What a refusal says on a page, in the reader's language: the sentence of its code, else that of its status.

The domain speaks English, for programs and logs. Every code that can reach a page has a sentence here.
"""

from __future__ import annotations

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from portal.core.errors import DomainError
from portal.core.permissions import MissingPermission
from portal.core.uploads.turns import UploadsPaused
from portal.web.labels.refused_files import FILE
from portal.web.shell.languages import current_language

WORDS = {
    **FILE,
    "amount_corrected": _l("The receiver has corrected the amount. Look at it again."),
    "needs_second_person": _l(
        "This is more than the order's amount and the shop's tolerance: nobody completes it alone. Propose it, and a second"
        " person decides."
    ),
    "outside_tolerance": _l(
        "This is further from the order's amount than the shop allows, and the order's time was up: open a dispute, and an administrator decides."
    ),
    "amount_above_limit": _l("This amount is more than one payment may have here. Choose a smaller one."),
    "already_blocked": _l("This is blocked already."),
    "already_decided": _l("This has been decided already."),
    "already_handled": _l("Somebody has handled this error meanwhile."),
    "already_off": _l("This login is switched off already."),
    "already_on": _l("This login is switched on already."),
    "beyond_your_own": _l("Nobody gives by a key what they may not do themselves."),
    "common": _l("Many people use this password, so it is tried first. Pick another one."),
    "cross_site": _l("This came from another site. Open the page here and try again."),
    "customer_limit_reached": _l(
        "You have several payments that are not finished. Pay or cancel one of them, or try again later."
    ),
    "csrf": _l("The form was open for too long or cookies are switched off. Reload the page and try again."),
    "duplicate_email": _l("Somebody has this email address already."),
    "duplicate_external_id": _l("There is an order with this number of yours already."),
    "duplicate_passkey": _l("The passkey is in use already."),
    "duplicate_requisite": _l("This number is in use already."),
    "endpoint_disabled": _l("The webhook endpoint is switched off."),
    "endpoint_unverified": _l("The webhook endpoint has not answered its challenge yet."),
    "endpoint_verified": _l("The webhook endpoint has been verified already."),
    "endpoint_exists": _l("There is a webhook endpoint already."),
    "has_totp": _l("You have an authenticator app already. Remove it before you add another one."),
    "idempotency_in_progress": _l("The same request is still being worked on. Wait a moment."),
    "idempotency_key_reused": _l("This was sent before with other contents."),
    "insufficient_funds": _l("The balance does not cover this."),
    "hidden_text": _l(
        "Something you wrote holds characters that can't be seen, such as marks that turn the direction. Go back and"
        " type it again."
    ),
    "invitation_over": _l("This invitation is over already."),
    "payment_reported": _l(
        "The receiver says that another amount came, and the customer is asked whether they sent it. Wait for the answer,"
        " or open a dispute."
    ),
    "invalid_transition": _l("This is not possible any more: the order has moved on."),
    "last_admin": _l("This is the last administrator. Let another one in first."),
    "maintenance": _l("Nostro is being maintained. Try again in a while; what runs goes on."),
    "method_already_chosen": _l("The method has been chosen already."),
    "network_limit_reached": _l(
        "Too many payments have been started from your network and not finished. Try again later."
    ),
    "name_taken": _l("Something has this name already."),
    "needs_two_people": _l("This takes a second person: ask for it, and another administrator approves it."),
    "no_fee_plan": _l("The store has no fee plan for this."),
    "no_requisite": _l("None of your requisites can serve this order now."),
    "no_second_factor": _l("There is no second factor to do this with."),
    "not_blocked": _l("This is not blocked."),
    "not_for_oneself": _l("Nobody does this to themselves: ask another administrator."),
    "nothing_to_dismiss": _l("There is nothing that could be dismissed."),
    "nothing_to_replay": _l(
        "There is nothing that could be tried again: endpoints that are off take nothing."
    ),
    "order_changed": _l("The order has changed meanwhile. Look at it again before you do this."),
    "own_order": _l(
        "This order is your own: you are or were its trader, lead that trader's team, or work for the shop. Somebody else of"
        " the staff works on it."
    ),
    "proof_attached": _l(
        "There is a proof that this payout was paid, so nobody else is to pay it. Open a dispute instead."
    ),
    "proof_blank": _l(
        "There is nothing to be seen on this file. Attach a picture or PDF that shows the payment."
    ),
    "proof_too_small": _l("This picture is too small to be read. Attach the whole screenshot or a PDF."),
    "dispute_open": _l("There is an open dispute over this order already."),
    "proof_missing": _l("Attach the proof of payment first."),
    "rate_deviates": _l("The rate is further from the last one than its pair allows."),
    "rate_unavailable": _l("There is no fresh rate at the moment. Try again in a while."),
    "receipt_not_expected": _l("This order takes no receipts now."),
    "one_is_enough": _l("This does not take two people: one completes it alone."),
    "proposer_may_not": _l(
        "Whoever proposed this may not do so any more, or is switched off: it can only be refused."
    ),
    "request_changed": _l("This is not what you saw: look at it again, as it stands now."),
    "request_forged": _l(
        "This request is not as it was written here. Refuse it, and tell who looks after the system."
    ),
    "request_stale": _l("What this is about has changed since it was proposed. It has to be proposed again."),
    "request_decided": _l("This has been decided already."),
    "request_expired": _l("This request has expired. It has to be asked for again."),
    "request_waiting": _l("A request about this waits for approval already."),
    "requisite_busy": _l("Orders run on it. Switch it off and wait until they are over."),
    "requisite_changed": _l("The requisite has changed meanwhile. Look at it again."),
    "requisite_rejected": _l("A declined requisite is not changed: archive it and add it anew."),
    "second_factor_wanted": _l("Add a second factor first."),
    "setting_refused": _l("This value is not possible."),
    "sign_in_over": _l("Too many wrong codes. Sign in again."),
    "storage_full": _l("Files can't be stored right now. Try again in a while."),
    "store_closed": _l("The store is closed."),
    "store_limit_reached": _l(
        "This shop has as many unfinished payments as it may have. Try again in a few minutes."
    ),
    "store_disabled": _l("The store takes no such orders at present."),
    "test_mode_only": _l("This is for test mode only."),
    "too_late": _l("This order expired too long ago."),
    "too_many_attempts": _l("Too many wrong attempts. Wait a while and try again."),
    "too_many_documents": _l("This trader has as many documents as can be kept."),
    "too_many_passkeys": _l("Remove a passkey before you add another one."),
    "too_many_proposals": _l("You have proposed a lot within the hour. Wait a while and try again."),
    "too_many_receipts": _l("This order has as many receipts as it can take."),
    "too_many_requisites": _l("Archive a requisite before you add another one."),
    "too_many_tests": _l("Too many test calls. Wait a while and try again."),
    "too_many_views": _l("There are as many saved views of this list as there can be."),
    "unknown_currency": _l("This currency is not known here."),
    "unknown_method": _l("This method is not known here."),
    "unknown_rate_pair": _l("There is no such pair of currencies."),
    "unknown_setting": _l("There is no such setting."),
    "uploads_busy": _l(
        "Many files are being read at this moment. Nothing was changed: try again in a few seconds."
    ),
    # Where the error itself is at hand, its seconds are said.
    "uploads_paused": _l(
        "Your last files took too much to read. Nothing was changed: try again in a minute."
    ),
}


def words_of_error(error: DomainError) -> str:
    """The sentence of a refusal; never English for who reads another language."""
    if isinstance(error, MissingPermission):
        return error.detail  # made in the reader's language, with the permission's own sentence
    if isinstance(error, UploadsPaused):
        return ngettext(
            "Your last files took too much to read. Nothing was changed: try again in %(num)d second.",
            "Your last files took too much to read. Nothing was changed: try again in %(num)d seconds.",
            error.wait_s,
        )
    for code in (*(problem.code for problem in error.errors), error.code):
        if code in WORDS:
            return str(WORDS[code])
    translated = _(error.detail)
    if current_language() == "en" or translated != error.detail:
        return translated
    return words_of_status(error.status)[1]


def words_of_status(status: int) -> tuple[str, str]:
    """Title and what to do next, for a refusal that has no words of its own."""
    known = {
        400: (_("The request could not be read"), _("Reload the page and try again.")),
        401: (_("Sign in first"), _("This page is for people who are signed in.")),
        403: (_("This is not permitted"), _("Your account does not include this page.")),
        404: (_("There is no such page"), _("It may have been moved, or it belongs to somebody else.")),
        405: (_("This page does not do that"), _("Go back and use the buttons of the page.")),
        409: (_("This has changed meanwhile"), _("Reload the page to see how it stands now.")),
        413: (_("The file is too large"), _("Choose a smaller one.")),
        415: (_("This kind of file is not taken"), _("Attach a photo, a screenshot or a PDF.")),
        422: (_("Something in the form is not right"), _("Go back and correct it.")),
        429: (_("Too many requests"), _("Wait a little, then try again.")),
        503: (
            _("Just a moment, please"),
            _("Something is busy or being restarted. Try again in a few seconds."),
        ),
    }
    unexpected = (
        _("Something went wrong on our side"),
        _("It has been noted. Try again; if it happens again, tell us the number below."),
    )
    return known.get(status, unexpected if status >= 500 else known[400])
