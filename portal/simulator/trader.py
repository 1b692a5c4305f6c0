"""The simulated trader: signed in by email and password, works the queue through its forms."""

from __future__ import annotations

import io
from collections.abc import Callable

from PIL import Image

from portal.simulator.browser import Browser, Form, Page, Refused, path_of
from portal.simulator.plans import Fate, Plan, as_text

ANOTHER_AMOUNT = "another amount"
# The plan of an order and whether the customer has said that they paid; None for orders of somebody else.
Ask = Callable[[str], tuple[Plan, bool] | None]


class Trader:
    def __init__(self, browser: Browser, email: str, password: str) -> None:
        self._browser, self._email, self._password = browser, email, password

    def sign_in(self) -> None:
        """Raises Refused."""
        page = self._browser.open("/sign-in", "sign-in page")
        form = page.form_to("/sign-in")
        if form is None:
            return
        answer = self._browser.submit(
            page, form, "sign in", {"email": self._email, "password": self._password}
        )
        if path_of(answer.url) == "/sign-in":
            raise Refused("sign in: refused")

    def work(self, ask: Ask, done: Callable[[str, str], None]) -> None:
        """Look at the queue once and do what is to be done in it. `done` is told the order and the deed."""
        page = self._browser.open("/trader/queue", "queue")
        if path_of(page.url) == "/sign-in":
            self.sign_in()
            return
        for form in page.forms:
            order_id, deed = _subject(form)
            known = ask(order_id) if order_id else None
            if known is None:
                continue
            told = self._deal_with(page, form, deed, *known)
            if told is not None:
                assert order_id is not None
                done(order_id, told)
                # The page has changed under our hands: what is left is done at the next look.
                return

    def _deal_with(self, page: Page, form: Form, deed: str, plan: Plan, is_claimed: bool) -> str | None:
        if deed == "acceptance":
            return self._accept(page, form)
        if deed == "claim":
            proof = ("proof.png", picture(plan.number), "image/png")
            self._browser.submit(page, form, "payout paid", files={"proof": proof})
            return "paid out"
        if not is_claimed:
            return None
        if (
            deed == "decline"
            and plan.fate is Fate.DISPUTED
            and "not_received" in form.choices.get("reason", ())
        ):
            self._browser.submit(page, form, "open dispute", {"reason": "not_received"})
            return "disputed"
        if deed == "confirmation" and plan.fate is not Fate.DISPUTED:
            return self._confirm(page, form, plan)
        return None

    def _accept(self, page: Page, form: Form) -> str:
        """All traders see an offer; who comes second is told so."""
        try:
            self._browser.submit(page, form, "accept payout")
        except Refused as refused:
            if refused.kind != "accept payout: 409":
                raise
            return "accepted by another"
        return "accepted"

    def _confirm(self, page: Page, form: Form, plan: Plan) -> str | None:
        """Confirm what came; another amount is typed, shown once more, and agreed to."""
        if plan.fate is not Fate.PARTIAL:
            if "amount" in form.fields:
                return None
            self._browser.submit(page, form, "confirm")
            return "confirmed"
        if "amount" not in form.fields:
            return None
        shown = self._browser.submit(page, form, "confirm", {"amount": as_text(plan.received_minor)})
        agree = next((f for f in shown.forms if f.action == form.action and "agreed_minor" in f.fields), None)
        if agree is None:
            raise Refused("other amount: not asked to agree")
        self._browser.submit(shown, agree, "confirm")
        return ANOTHER_AMOUNT


def _subject(form: Form) -> tuple[str | None, str]:
    """The order a form is about and what it does: `/trader/payins/<id>/confirmation`."""
    parts = form.action.strip("/").split("/")
    return (parts[2], parts[3]) if len(parts) == 4 and parts[1] in {"payins", "payouts"} else (None, "")


def picture(number: int) -> bytes:
    """A proof of payment unlike the others."""
    colours = [
        (number * step % 256, number * 7 * step % 256, number * 13 * step % 256) for step in range(1, 65)
    ]
    image = Image.new("RGB", (8, 8))
    image.putdata(colours)
    file = io.BytesIO()
    image.resize((320, 480), Image.Resampling.NEAREST).save(file, "PNG")
    return file.getvalue()
