// The queue's cards. They are exchanged one by one, so that no focus and no half-typed form is lost, and none is moved
// under somebody's pointer or finger: what is done stays where it was until nobody is there, what is new comes last.
// A card that has come, changed or moved takes no pointer for a moment: nobody can have meant it.
"use strict";
(() => {
  const SETTLES_MS = 1500;
  const FINGER_MS = 10000;
  const board = () => document.getElementById("board");
  const cardOf = (element) => element && element.closest && element.closest(".order");
  const all = (selector) => [...board().querySelectorAll(selector)];
  const lists = () => all("[data-cards]");

  // --- whether somebody is about to press something
  let isFinger = false;
  let heldUntil = 0;
  let touched = null;
  const notice = (event) => {
    isFinger = event.pointerType !== "mouse";
    const list = event.target.closest && event.target.closest("[data-cards]");
    if (!list) return;
    touched = cardOf(event.target);
    heldUntil = Date.now() + (isFinger ? FINGER_MS : SETTLES_MS);
  };
  for (const kind of ["pointerdown", "pointermove", "pointerup"]) {
    document.addEventListener(kind, notice, { capture: true, passive: true });
  }
  const isHeld = () => Date.now() < heldUntil || (!isFinger && lists().some((list) => list.matches(":hover")));

  // --- what has just come or moved
  const timers = new WeakMap();
  const settle = (card) => {
    clearTimeout(timers.get(card));
    card.classList.add("order-settling");
    timers.set(card, setTimeout(() => card.classList.remove("order-settling"), SETTLES_MS));
  };
  // Who presses Enter twice on a form has not read what it was answered with.
  let answered = null;
  document.addEventListener("keydown", (event) => {
    if (!answered || !answered.contains(event.target) || !answered.matches(".order-settling")) return;
    if (event.key === "Enter" || (event.key === " " && event.target.matches("button, a, summary"))) event.preventDefault();
  }, true);

  // What is looked at stays where it is on the screen, whatever becomes of what is above it.
  const placesOf = (card) => {
    const button = card && card.querySelector("[data-confirms]");
    return { card: card && card.getBoundingClientRect(), button: button && button.getBoundingClientRect() };
  };
  const keepStill = (change) => {
    const before = new Map(all(".order").map((card) => [card, card.getBoundingClientRect()]));
    const looked = all(".order:hover")[0] || (isHeld() && touched && touched.isConnected && touched)
      || cardOf(document.activeElement) || all(".order").find((card) => before.get(card).bottom > 0);
    const id = looked && looked.id;
    const was = placesOf(looked);
    change();
    const is = placesOf(looked && (looked.isConnected ? looked : document.getElementById(id)));
    const [from, to] = was.button && is.button ? [was.button, is.button] : [was.card, is.card];
    if (from && to && from.top !== to.top) window.scrollBy({ top: to.top - from.top, behavior: "instant" });
    for (const card of all(".order")) {
      const old = before.get(card);
      const now = card.getBoundingClientRect();
      if (!old || Math.abs(old.top - now.top) > 1 || Math.abs(old.left - now.left) > 1) settle(card);
    }
  };

  // --- exchanging what changed
  const isDirty = (field) => field.type === "file" ? field.files.length > 0
    : field.type !== "hidden" && (field.tagName === "SELECT" ? field.selectedIndex > 0 : field.value !== field.defaultValue);
  const isBusy = (card) => {
    const active = document.activeElement;
    return Boolean(card.querySelector("dialog[open]"))
      || (card.contains(active) && active.matches("input, select, textarea"))
      || [...card.querySelectorAll("input, select, textarea")].some(isDirty);
  };
  const putOff = (card) => {
    const words = card.querySelector(".stale");
    if (words) words.hidden = false;
  };
  const begin = (fresh) => {
    window.nostro.reveal(fresh);
    window.htmx.process(fresh);
  };
  const replace = (old, fresh) => {
    const opened = [...old.querySelectorAll("details")].map((element) => element.open);
    old.replaceWith(fresh);
    begin(fresh);
    [...fresh.querySelectorAll("details")].forEach((element, index) => { element.open = element.open || Boolean(opened[index]); });
  };
  // An order that has left keeps its place and its size, and offers nothing any more.
  const leaveInPlace = (card, words) => {
    const hadFocus = card.contains(document.activeElement);
    const title = card.querySelector(".amount");
    const said = document.createElement("p");
    said.textContent = words;
    card.style.minHeight = `${card.offsetHeight}px`;
    title.removeAttribute("id");
    card.replaceChildren(title, said);
    for (const name of ["id", "aria-labelledby", "data-calls", "data-version"]) card.removeAttribute(name);
    card.dataset.gone = Date.now();
    card.className = "order card order-gone";
    if (hadFocus) card.focus({ preventScroll: true });
  };

  const wanted = new Map();
  const mergeCards = (list, fresh, submitted, words) => {
    wanted.set(list.id, fresh.map((card) => card.id));
    const ids = new Set(wanted.get(list.id));
    for (const card of [...list.children]) {
      if (ids.has(card.id) || card.hasAttribute("data-gone")) continue;
      if (!card.matches(".order")) card.remove();
      else if (card !== submitted && isBusy(card)) putOff(card);
      else leaveInPlace(card, card === submitted && words ? words : board().dataset.gone);
    }
    for (const card of fresh) {
      const present = document.getElementById(card.id);
      if (!present) {
        list.append(card);
        begin(card);
      } else if (present.parentElement === list && present.dataset.version !== card.dataset.version) {
        if (present !== submitted && isBusy(present)) putOff(present); else replace(present, card);
      }
    }
  };
  const mergeSection = (fresh, previous, submitted, words) => {
    const old = document.getElementById(fresh.id);
    if (!old) {
      if (previous) previous.after(fresh); else board().prepend(fresh);
      begin(fresh);
      for (const list of fresh.querySelectorAll("[data-cards]")) wanted.set(list.id, [...list.children].map((card) => card.id));
      return fresh;
    }
    const list = old.querySelector("[data-cards]");
    if (list) {
      old.querySelector(".count").textContent = fresh.querySelector(".count").textContent;
      mergeCards(list, [...fresh.querySelector("[data-cards]").children], submitted, words);
      return old;
    }
    if (old.dataset.version === fresh.dataset.version) return old;
    if (isHeld()) fresh.style.minHeight = `${old.offsetHeight}px`;
    replace(old, fresh);
    return fresh;
  };
  const mergeBoard = (fresh, submitted, words) => {
    const ids = new Set([...fresh.children].map((section) => section.id));
    for (const section of [...board().children]) {
      if (ids.has(section.id)) continue;
      const list = section.querySelector("[data-cards]");
      if (list) mergeCards(list, [], submitted, words); else section.remove();
    }
    let previous = null;
    for (const section of [...fresh.children]) {
      previous = mergeSection(document.adoptNode(section), previous, submitted, words);
    }
  };

  // --- when nobody is there: what is done goes, and the order is the server's again
  const isInOrder = (list) => {
    const order = wanted.get(list.id) || [];
    const shown = [...list.children].map((card) => card.id).filter((id) => order.includes(id));
    return shown.join() === order.filter((id) => shown.includes(id)).join();
  };
  const canBeSorted = (list) => !isInOrder(list) && !list.contains(document.activeElement);
  const isOver = (card) => Date.now() - Number(card.dataset.gone) > SETTLES_MS && !card.matches(":focus-visible");
  const sort = (list) => {
    let at = null;
    for (const id of [...wanted.get(list.id)].reverse()) {
      const card = document.getElementById(id);
      if (!card || card.parentElement !== list) continue;
      if (card.nextElementSibling !== at) list.insertBefore(card, at);
      at = card;
    }
  };
  const tidy = () => {
    if (isHeld()) return;
    for (const region of all("[data-region]")) region.style.minHeight = "";
    const over = all("[data-gone]").filter(isOver);
    if (!over.length && !lists().some(canBeSorted)) return;
    keepStill(() => {
      for (const card of over) {
        if (card.contains(document.activeElement)) document.getElementById("content").focus({ preventScroll: true });
        card.remove();
      }
      for (const list of lists()) {
        if (!list.children.length) list.closest("section").remove(); else if (canBeSorted(list)) sort(list);
      }
    });
  };

  // Where the eyes and the next key press are: the same element, or its card as it is now. Never another card.
  const refocus = (active, focusId, homeId, isAnswer) => {
    const home = homeId && document.getElementById(homeId);
    const field = isAnswer && home && home.querySelector("[autofocus]:not(dialog *)");
    const same = focusId && document.getElementById(focusId);
    if (field) field.focus();
    else if (active.isConnected) { if (document.activeElement !== active) active.focus({ preventScroll: true }); }
    else if (same || home) (same || home).focus({ preventScroll: true });
  };

  // The board of an answer, and its words, into the page; false where the answer is none of ours.
  const merge = (html, submitter) => {
    const doc = new DOMParser().parseFromString(html, "text/html");
    const fresh = doc.getElementById("board");
    if (!fresh) return false;
    const said = doc.getElementById("notice");
    const words = said ? said.textContent.trim() : "";
    if (said) {
      document.getElementById("notice").replaceChildren(...[...said.childNodes].map((node) => document.adoptNode(node)));
      window.nostro.reveal(document.getElementById("notice"));
    }
    // Of two answers that crossed the older one knows nothing new.
    if (Date.parse(fresh.dataset.now) < Date.parse(board().dataset.now)) return true;
    const active = document.activeElement;
    const submitted = submitter ? cardOf(submitter) : null;
    const home = cardOf(active);
    const [focusId, homeId, submittedId] = [active.id, home && home.id, submitted && submitted.id];
    keepStill(() => mergeBoard(fresh, submitted, words));
    board().dataset.version = fresh.dataset.version;
    board().dataset.now = fresh.dataset.now;
    refocus(active, focusId, homeId, Boolean(submitted));
    answered = submittedId && document.getElementById(submittedId);
    if (answered) settle(answered);
    tidy();
    return true;
  };

  document.documentElement.style.overflowAnchor = "none"; // keepStill does it, also at the top of the page
  for (const list of lists()) wanted.set(list.id, [...list.children].map((card) => card.id));
  setInterval(tidy, 1000);
  window.nostro.cards = { cardOf, isBusy, merge };
})();
