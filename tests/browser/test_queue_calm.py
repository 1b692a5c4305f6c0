"""Nobody confirms an order that they did not look at: cards stay where they are under pointer, finger and key."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from portal.orders.models import Status
from portal.orders.record import OrderRecord
from tests.browser import looking
from tests.browser.looking import complaints_of, problems
from tests.web.desk import Desk

PAUSES_MS = (120, 400, 800, 1200, 1800)
WIDE: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}}
NARROW: dict[str, Any] = {"viewport": {"width": 360, "height": 740}}
_AMOUNTS = count(1500_00, 100)


def card(order: OrderRecord) -> str:
    return f"#order-{order.id}"


def button(page: Page, order: OrderRecord) -> Locator:
    return page.locator(f"{card(order)} [data-confirms]")


def new_orders(tara: Desk, claimed: int, waiting: int = 1) -> list[OrderRecord]:
    return [tara.payin(next(_AMOUNTS), claimed=number < claimed) for number in range(claimed + waiting)]


def completed(tara: Desk, orders: list[OrderRecord]) -> int:
    return sum(tara.now(order).status == Status.COMPLETED for order in orders)


def middle(there: Locator) -> tuple[float, float]:
    there.scroll_into_view_if_needed()
    box = there.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def place(there: Locator) -> dict[str, float]:
    """Where it is on the screen, in whole pixels: a page scrolls by those."""
    return {name: pytest.approx(value, abs=1) for name, value in (there.bounding_box() or {}).items()}


def by_mouse(page: Page, order: OrderRecord, pause: int) -> None:
    x, y = middle(button(page, order))
    page.mouse.click(x, y)
    page.wait_for_timeout(pause)
    page.mouse.click(x, y)


def by_mouse_on_what_came(page: Page, order: OrderRecord, pause: int) -> None:
    """Without a script the page comes anew: the hand is where the next button is now."""
    page.mouse.click(*middle(button(page, order)))
    expect(page.locator("#notice")).to_contain_text("Confirmed: ")
    x, y = middle(page.locator(".order[data-calls] [data-confirms]").first)
    page.wait_for_timeout(min(pause, 300))
    page.mouse.click(x, y)


def by_letter(page: Page, _order: OrderRecord, pause: int) -> None:
    page.keyboard.press("c")
    page.wait_for_timeout(pause)
    page.keyboard.press("c")


def by_letter_on_what_is_chosen(page: Page, _order: OrderRecord, _pause: int) -> None:
    """The second press leads to the next card, and the third would take it."""
    page.keyboard.press("c")
    expect(page.locator("#notice")).to_contain_text("Confirmed: ")
    for _ in range(3):
        page.keyboard.press("c")
        page.wait_for_timeout(100)


WAYS: dict[str, tuple[Callable[[Page, OrderRecord, int], None], dict[str, Any]]] = {
    "mouse": (by_mouse, WIDE),
    "C": (by_letter, WIDE | {"reduced_motion": "reduce"}),
    "C again and again": (by_letter_on_what_is_chosen, WIDE),
    "without a script": (by_mouse_on_what_came, NARROW | {"java_script_enabled": False}),
    "without a script or motion": (
        by_mouse_on_what_came,
        WIDE | {"java_script_enabled": False, "reduced_motion": "reduce"},
    ),
}


@pytest.mark.proves("tried U1")
@pytest.mark.parametrize("way", WAYS)
def test_who_presses_twice_confirms_once(chromium: Browser, site: str, tara: Desk, way: str) -> None:
    press, look = WAYS[way]
    page = looking.sign_in(chromium, site, tara.user, "/trader/queue", **look)
    orders: list[OrderRecord] = []
    found = {}
    for number, pause in enumerate(PAUSES_MS, start=1):
        # Some that can be confirmed next, and one that nobody has paid, which C must not take.
        orders += new_orders(tara, 2 if number == 1 else 1, waiting=number == 1)
        page.goto(f"{site}/trader/queue")
        first = next(order for order in orders if tara.now(order).status == Status.AWAITING_CONFIRMATION)
        expect(page.locator(".order").first).to_have_id(f"order-{first.id}")
        # A page that has just come takes nothing where no script can watch it.
        page.wait_for_timeout(2100)
        press(page, first, pause)
        expect(page.locator("#notice")).to_contain_text("Confirmed: ")
        page.wait_for_timeout(700)
        if (done := completed(tara, orders)) != number:
            found[pause] = done
    assert found == {}


@pytest.mark.proves("tried U1")
@pytest.mark.parametrize("look", [WIDE, NARROW], ids=["wide", "narrow"])
def test_news_moves_no_button_under_the_pointer(
    chromium: Browser, site: str, tara: Desk, look: dict[str, Any]
) -> None:
    paid, *waiting = new_orders(tara, 1, waiting=4)
    page = looking.sign_in(chromium, site, tara.user, "/trader/queue", **look)
    complaints = complaints_of(page)
    x, y = middle(button(page, waiting[1]))
    page.mouse.move(x, y)
    before = place(button(page, waiting[1]))
    tara.claim(waiting[3])
    tara.claim(waiting[0])
    tara.receipt(waiting[0])
    new = tara.payin(next(_AMOUNTS), claimed=True)
    expect(page.locator(card(new))).to_be_visible()
    expect(page.locator("#news")).to_contain_text("1,")
    tara.expired(next(_AMOUNTS))
    expect(page.locator("#late")).to_be_visible()
    assert button(page, waiting[1]).bounding_box() == before
    shown = page.locator("#payins .order").evaluate_all("cards => cards.map(card => card.id)")
    assert shown == [f"order-{order.id}" for order in (paid, *waiting, new)]
    # Nobody is there any more: what waits for the trader comes first again.
    page.mouse.move(2, 2)
    wanted = [f"order-{order.id}" for order in (paid, waiting[3], waiting[0], new, waiting[1], waiting[2])]
    expect(page.locator("#payins .order").nth(3)).to_have_id(wanted[3])
    assert page.locator("#payins .order").evaluate_all("cards => cards.map(card => card.id)") == wanted
    assert complaints == []


@pytest.mark.proves("tried U1")
def test_a_done_card_keeps_its_place_until_the_pointer_has_left(
    chromium: Browser, site: str, tara: Desk
) -> None:
    orders = new_orders(tara, 3, waiting=0)
    page = looking.sign_in(chromium, site, tara.user, "/trader/queue", **NARROW)
    button(page, orders[0]).hover()
    box, next_box = place(page.locator(card(orders[0]))), place(button(page, orders[1]))
    button(page, orders[0]).click()
    done = page.locator(".order-gone")
    expect(done).to_contain_text("Confirmed: ")
    assert done.bounding_box() == box
    assert button(page, orders[1]).bounding_box() == next_box
    assert done.locator("button, a, input, summary").count() == 0
    assert problems(page) == []
    page.wait_for_timeout(3000)
    assert done.bounding_box() == box
    page.mouse.move(2, 2)
    expect(done).to_have_count(0)
    expect(page.locator("#payins .order").first).to_have_id(f"order-{orders[1].id}")


@pytest.mark.proves("tried U1")
def test_enter_twice_does_not_agree_to_an_amount_that_nobody_read(
    chromium: Browser, site: str, tara: Desk
) -> None:
    (order,) = new_orders(tara, 1, waiting=0)
    page = looking.sign_in(chromium, site, tara.user, "/trader/queue", **WIDE)
    page.click(f"{card(order)} summary:has-text('Another amount')")
    page.fill(f"#amount-{order.id}", "14")
    page.keyboard.press("Enter")
    agree = page.locator(f"{card(order)} .agree button")
    expect(agree).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("c")
    page.wait_for_timeout(600)
    now = tara.now(order)
    assert (now.status, now.amount_reported_minor) == (Status.AWAITING_CONFIRMATION, None)
    page.wait_for_timeout(1500)
    page.keyboard.press("Enter")
    expect(page.locator("#notice")).to_contain_text("Noted: 14.00 RUB.")


# By the browser's own clock, so that a busy machine changes nothing: where the cards stand, which of them would take a
# click, and how long ago the list was last touched.
_RECORD = """() => {
  window.seen = [];
  let touched = performance.now();
  const touch = (event) => { if (event.target.closest?.("[data-cards]")) touched = performance.now(); };
  for (const kind of ["pointerdown", "pointermove", "pointerup"]) document.addEventListener(kind, touch, true);
  const takes = (card) => {
    const button = card.querySelector("[data-confirms]");
    const box = button?.getBoundingClientRect();
    return box && button.contains(document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2));
  };
  setInterval(() => {
    const cards = [...document.querySelectorAll("#payins-cards > .order")], at = performance.now();
    window.seen.push({ at, untouched: at - touched, order: cards.map(card => card.id),
      open: cards.filter(takes).map(card => card.id) });
  }, 40);
}"""


@pytest.mark.proves("tried U1")
def test_what_has_come_or_moved_takes_no_click_for_a_moment(chromium: Browser, site: str, tara: Desk) -> None:
    waiting = new_orders(tara, 0, waiting=3)
    # High enough for all of them: only what is on the screen can be clicked.
    page = looking.sign_in(
        chromium, site, tara.user, "/trader/queue", viewport={"width": 1440, "height": 2400}
    )
    page.mouse.move(2, 2)
    page.evaluate(_RECORD)
    tara.claim(waiting[2])
    new = tara.payin(next(_AMOUNTS))
    expect(page.locator("#payins .order").first).to_have_id(f"order-{waiting[2].id}")
    expect(page.locator(card(new))).to_be_visible()
    page.wait_for_timeout(4000)
    seen = page.evaluate("seen")
    shown = seen[-1]["order"]
    assert len(shown) == 4
    assert seen[-1]["open"] == shown
    for name in shown:
        places = [[one["order"].index(name) if name in one["order"] else None, one] for one in seen]
        last = max(number for number in range(1, len(seen)) if places[number][0] != places[number - 1][0])
        opened = next(one["at"] for one in seen[last:] if name in one["open"])
        assert opened - seen[last]["at"] > 1200, name


@pytest.mark.proves("tried U1")
@pytest.mark.parametrize(
    ("hand", "seconds", "look"),
    [("mouse", 1.5, WIDE), ("finger", 10, NARROW | {"has_touch": True, "is_mobile": True})],
    ids=["mouse", "finger"],
)
def test_cards_keep_their_order_for_a_while_after_a_hand_was_there(
    chromium: Browser, site: str, tara: Desk, hand: str, seconds: float, look: dict[str, Any]
) -> None:
    """A finger is nowhere between two touches, a mouse that slipped off comes back."""
    waiting = new_orders(tara, 0, waiting=3)
    page = looking.sign_in(chromium, site, tara.user, "/trader/queue", **look)
    amount = middle(page.locator(f"{card(waiting[0])} .amount"))
    page.evaluate(_RECORD)
    if hand == "finger":
        page.touchscreen.tap(*amount)
        # What was tapped has the focus, and holds the list by that alone.
        page.evaluate("document.activeElement.blur()")
    else:
        page.mouse.move(*amount)
    tara.claim(waiting[2])
    expect(page.locator(f"{card(waiting[2])}[data-calls]")).to_have_count(1)
    if hand == "mouse":
        page.mouse.move(amount[0] + 1, amount[1])
        page.mouse.move(2, 2)
    expect(page.locator("#payins .order").first).to_have_id(f"order-{waiting[2].id}")
    seen = page.evaluate("seen")
    moved = next(one for one in seen if one["order"] != seen[0]["order"])
    assert moved["untouched"] / 1000 > seconds - 0.2
