// The live queue: cards are exchanged one by one, so that a focus or a half-typed form is never lost.
"use strict";
(() => {
  const board = () => document.getElementById("board");
  const cardOf = (element) => element && element.closest && element.closest(".order");
  const stored = (name, fallback) => {
    try { return localStorage.getItem(name) || fallback; } catch { return fallback; }
  };
  const store = (name, value) => {
    try { localStorage.setItem(name, value); } catch { /* private mode: for this page only */ }
  };

  // --- countdowns, by the server's clock
  let offset = 0;
  const readClock = (root) => { offset = Date.parse(root.dataset.now) - Date.now(); };
  const two = (number) => String(number).padStart(2, "0");
  const tick = () => {
    const now = Date.now() + offset;
    for (const element of document.querySelectorAll(".countdown[data-deadline]")) {
      const left = Math.max(0, Math.ceil((Date.parse(element.dataset.deadline) - now) / 1000));
      const hours = Math.floor(left / 3600);
      const words = left ? `${hours ? `${hours}:` : ""}${two(Math.floor(left / 60) % 60)}:${two(left % 60)}` : element.dataset.over;
      if (element.textContent !== words) element.textContent = words;
      element.classList.toggle("countdown-short", left < 120);
    }
  };

  // --- sound and the title's badge
  const toggles = { sound: stored("queue-sound", "off"), keys: stored("queue-keys", "on") };
  let audio = null;
  const wakeAudio = () => {
    if (toggles.sound !== "on") return;
    audio = audio || new (window.AudioContext || window.webkitAudioContext)();
    if (audio.state === "suspended") audio.resume();
  };
  const ring = () => {
    if (toggles.sound !== "on" || !audio || audio.state !== "running") return;
    [660, 880].forEach((pitch, index) => {
      const tone = audio.createOscillator();
      const volume = audio.createGain();
      const at = audio.currentTime + index * 0.16;
      tone.frequency.value = pitch;
      volume.gain.setValueAtTime(0.18, at);
      volume.gain.exponentialRampToValueAtTime(0.001, at + 0.3);
      tone.connect(volume).connect(audio.destination);
      tone.start(at);
      tone.stop(at + 0.32);
    });
  };
  const calls = () => [...board().querySelectorAll("[data-calls]")].map((card) => `${card.id} ${card.dataset.calls}`);
  const plainTitle = document.title;
  let known = new Set();
  const announce = () => {
    const present = calls();
    if (present.some((call) => !known.has(call))) ring();
    known = new Set(present);
    document.title = present.length ? `(${present.length}) ${plainTitle}` : plainTitle;
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
  const exchange = (old, fresh) => {
    old.replaceWith(fresh);
    window.nostro.reveal(fresh);
    window.htmx.process(fresh);
  };
  const replace = (old, fresh) => {
    const opened = [...old.querySelectorAll("details")].map((element) => element.open);
    exchange(old, fresh);
    [...fresh.querySelectorAll("details")].forEach((element, index) => { element.open = element.open || Boolean(opened[index]); });
  };

  let firstChangedAt = 0;
  const mergeCards = (oldList, newList, submitted) => {
    const wanted = [...newList.children];
    const ids = new Set(wanted.map((card) => card.id));
    const first = oldList.firstElementChild && oldList.firstElementChild.id;
    for (const card of [...oldList.children]) {
      if (ids.has(card.id)) continue;
      if (card !== submitted && isBusy(card)) putOff(card); else card.remove();
    }
    wanted.forEach((fresh, index) => {
      let present = document.getElementById(fresh.id);
      if (present && present.dataset.version !== fresh.dataset.version) {
        if (present !== submitted && isBusy(present)) putOff(present);
        else { replace(present, fresh); present = fresh; }
      } else if (!present) {
        present = fresh;
        window.nostro.reveal(fresh);
      }
      if (oldList.children[index] !== present) {
        const isNew = !present.isConnected || !oldList.contains(present);
        oldList.insertBefore(present, oldList.children[index] || null);
        if (isNew) window.htmx.process(present);
      }
    });
    if (oldList.firstElementChild && oldList.firstElementChild.id !== first) firstChangedAt = Date.now();
  };

  const mergeSection = (fresh, previous, submitted) => {
    const old = document.getElementById(fresh.id);
    if (!old) {
      if (previous) previous.after(fresh); else board().prepend(fresh);
      window.nostro.reveal(fresh);
      window.htmx.process(fresh);
      return fresh;
    }
    const cards = old.querySelector("[data-cards]");
    if (cards) {
      old.querySelector(".count").textContent = fresh.querySelector(".count").textContent;
      mergeCards(cards, fresh.querySelector("[data-cards]"), submitted);
      return old;
    }
    if (old.dataset.version === fresh.dataset.version) return old;
    exchange(old, fresh);
    return fresh;
  };

  const merge = (html, submitter) => {
    const doc = new DOMParser().parseFromString(html, "text/html");
    const fresh = doc.getElementById("board");
    if (!fresh) return false;
    const active = document.activeElement;
    const focusId = active && active.id;
    const home = cardOf(active);
    const order = [...document.querySelectorAll(".order")].map((card) => card.id);
    const submitted = submitter ? cardOf(submitter) : null;
    let previous = null;
    const ids = new Set([...fresh.children].map((section) => section.id));
    for (const section of [...board().children]) {
      if (!ids.has(section.id) && !(section.contains(document.activeElement) && section.querySelector("[data-cards]") && isBusy(section))) section.remove();
    }
    for (const section of [...fresh.children]) previous = mergeSection(document.adoptNode(section), previous, submitted);
    board().dataset.version = fresh.dataset.version;
    board().dataset.now = fresh.dataset.now;
    const notice = doc.getElementById("notice");
    if (notice) document.getElementById("notice").replaceChildren(...[...notice.childNodes].map((node) => document.adoptNode(node)));
    readClock(board());
    tick();
    announce();
    refocus(active, focusId, home, order, Boolean(submitted));
    return true;
  };

  // Where the eyes and the next key press are: the same element, its card, or the card after it.
  const refocus = (active, focusId, home, order, wasSubmitted) => {
    if (wasSubmitted && home) {
      const open = document.getElementById(home.id);
      const field = open && open.querySelector("[autofocus]:not(dialog *)");
      if (field) { field.focus(); return; }
    }
    if (active && active !== document.body && active.isConnected) {
      if (document.activeElement !== active) active.focus({ preventScroll: true });
      return;
    }
    const same = focusId && document.getElementById(focusId);
    if (same) { same.focus({ preventScroll: true }); return; }
    if (!home) return;
    const after = order.slice(order.indexOf(home.id)).concat(order.slice(0, order.indexOf(home.id)).reverse());
    const next = after.map((id) => document.getElementById(id)).find(Boolean);
    if (next) next.focus(); else document.getElementById("content").focus();
  };

  document.addEventListener("htmx:configRequest", (event) => {
    if (event.detail.elt.id === "refresher") event.detail.headers["If-None-Match"] = `W/"${board().dataset.version}"`;
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr, requestConfig, target } = event.detail;
    if (!event.detail.shouldSwap || !target || target.id !== "board") return;
    const submitter = requestConfig.verb === "post" ? requestConfig.elt : null;
    if (merge(xhr.responseText, submitter)) event.detail.shouldSwap = false;
  });

  // A form that is closed lets the news in.
  const refresh = () => {
    board().dataset.version = "";
    window.htmx.trigger("#refresher", "refresh-queue");
  };
  document.addEventListener("focusout", (event) => {
    const card = cardOf(event.target);
    const words = card && card.querySelector(".stale");
    if (words && !words.hidden) setTimeout(() => { if (!isBusy(card)) refresh(); }, 0);
  });
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-closes-form]")) return;
    event.preventDefault();
    const card = cardOf(event.target);
    card.dataset.version = "";
    for (const field of card.querySelectorAll("input")) field.value = field.defaultValue;
    card.focus();
    refresh();
  });

  // --- keys: C confirms, J and K choose. They can be switched off (WCAG 2.1.4).
  const choose = (step) => {
    const cards = [...document.querySelectorAll(".order")];
    if (!cards.length) return;
    const at = cards.indexOf(cardOf(document.activeElement));
    const next = cards[Math.min(Math.max(at + step, 0), cards.length - 1)];
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  };
  const confirm = () => {
    // Unasked, only a payin whose customer says that they paid; any other has to be chosen first.
    const chosen = cardOf(document.activeElement);
    const card = chosen || document.querySelector(".order[data-calls='confirm']");
    if (!card) return;
    // The first card changed under the finger: show it before it is confirmed.
    if (!chosen && Date.now() - firstChangedAt < 1500) { card.focus(); return; }
    const button = card.querySelector("[data-confirms]");
    if (!button || button.disabled) return;
    if (!chosen) card.focus({ preventScroll: true });
    button.click();
  };
  document.addEventListener("keydown", (event) => {
    if (toggles.keys !== "on" || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (event.target.closest("input, select, textarea, dialog[open]") || document.querySelector("dialog[open]")) return;
    if (event.code === "KeyC") { event.preventDefault(); confirm(); }
    if (event.code === "KeyJ") choose(1);
    if (event.code === "KeyK") choose(-1);
  });

  for (const button of document.querySelectorAll("[data-toggle]")) {
    const name = button.dataset.toggle;
    const show = () => {
      button.setAttribute("aria-pressed", String(toggles[name] === "on"));
      document.documentElement.classList.toggle(`no-${name}`, toggles[name] !== "on");
    };
    button.addEventListener("click", () => {
      toggles[name] = toggles[name] === "on" ? "off" : "on";
      store(`queue-${name}`, toggles[name]);
      show();
      if (name === "sound") { wakeAudio(); setTimeout(ring, 100); }
    });
    show();
  }
  for (const kind of ["pointerdown", "keydown"]) document.addEventListener(kind, wakeAudio, { passive: true });

  // --- whether it is live
  const connection = document.getElementById("connection");
  const say = (words) => { if (connection.textContent !== words) connection.textContent = words; };
  document.addEventListener("htmx:sseOpen", () => {
    say(connection.dataset.live);
    window.htmx.trigger("#refresher", "refresh-queue");
  });
  document.addEventListener("live:lost", () => say(connection.dataset.slow));

  readClock(board());
  known = new Set(calls());
  announce();
  tick();
  setInterval(tick, 1000);
})();
