// The live queue: countdowns, sound, keys, and the board as the server answers it (cards.js exchanges the cards).
"use strict";
(() => {
  const board = () => document.getElementById("board");
  const { cardOf, isBusy } = window.nostro.cards;
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
    const news = present.filter((call) => !known.has(call)).map((call) => document.getElementById(call.split(" ")[0]));
    if (news.length) {
      ring();
      // The amount and the state, for who does not see the card come.
      document.getElementById("news").textContent = news.map((card) => card.querySelector(".order-head").innerText).join("; ");
    }
    known = new Set(present);
    document.title = present.length ? `(${present.length}) ${plainTitle}` : plainTitle;
  };

  // --- what the server answers
  let inFlight = 0;
  let answeredAt = 0;
  const isOfACard = (event) => event.detail.requestConfig.verb === "post" && cardOf(event.detail.elt);
  document.addEventListener("htmx:beforeRequest", (event) => {
    const card = isOfACard(event);
    if (!card) return;
    inFlight += 1;
    // The button is disabled meanwhile, and what is disabled has no focus.
    if (card.contains(document.activeElement)) card.focus({ preventScroll: true });
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    if (!isOfACard(event)) return;
    inFlight = Math.max(0, inFlight - 1);
    answeredAt = Date.now();
  });
  document.addEventListener("htmx:configRequest", (event) => {
    if (event.detail.elt.id === "refresher") event.detail.headers["If-None-Match"] = `W/"${board().dataset.version}"`;
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr, requestConfig, target } = event.detail;
    if (!event.detail.shouldSwap || !target || target.id !== "board") return;
    const submitter = requestConfig.verb === "post" ? requestConfig.elt : null;
    if (!window.nostro.cards.merge(xhr.responseText, submitter)) return;
    event.detail.shouldSwap = false;
    readClock(board());
    tick();
    announce();
    sweep();
  });
  // What went well is read soon, and lies over the page; what did not stays until it is closed.
  let sweeping = 0;
  const sweep = () => {
    clearTimeout(sweeping);
    const said = document.getElementById("notice");
    if (!said.querySelector(".toast-problem")) sweeping = setTimeout(() => said.replaceChildren(), 10000);
  };

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
  const show = (card) => {
    card.focus({ preventScroll: true });
    card.scrollIntoView({ block: "nearest" });
  };
  const isThere = (card) => !card.hasAttribute("data-gone");
  const choose = (step) => {
    const cards = [...document.querySelectorAll(".order")];
    const at = cards.indexOf(cardOf(document.activeElement));
    const onward = step > 0 ? cards.slice(at + 1) : cards.slice(0, Math.max(at, 0)).reverse();
    const next = onward.find(isThere) || cards.filter(isThere)[0];
    if (next && (at < 0 || onward.includes(next))) show(next);
  };
  // Unasked, only a payin whose customer says that they paid; any other has to be chosen first. Who presses twice
  // confirms once: after a confirmation the key rests, and then leads to the next such card without confirming it.
  const confirm = () => {
    if (inFlight || Date.now() - answeredAt < 1500) return;
    const chosen = cardOf(document.activeElement);
    const card = chosen && isThere(chosen) ? chosen : document.querySelector(".order[data-calls='confirm']");
    if (!card) return;
    if (card !== chosen && (chosen || card.matches(".order-settling"))) { show(card); return; }
    const button = card.querySelector("[data-confirms]");
    if (!button || button.disabled || card.matches(".order-settling")) return;
    card.focus({ preventScroll: true });
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
