/* The payment page works without this. With it: copying, a countdown, and a page that updates itself. */
(function () {
  'use strict';
  var page = document.getElementById('page');
  if (!page) return;
  var lang = document.documentElement.lang;
  var EVERY_MS = 3000, SLOWEST_MS = 30000;
  var version = page.dataset.version, wait = EVERY_MS, timer = 0, touched = false, sending = false;
  var deadline = null, minuteSaid = null, leaving = 0;

  function each(selector, run) { page.querySelectorAll(selector).forEach(run); }

  /* The region stands outside of what is exchanged: one that comes with its words is not read out. */
  var said = document.querySelector('[data-said]');
  function announce(words) { said.textContent = words; }

  /* Copying, with words for the eye and the ear. */
  function legacyCopy(text) {
    var field = document.createElement('textarea');
    field.value = text;
    field.className = 'vh';
    document.body.appendChild(field);
    field.select();
    var worked = document.execCommand('copy');
    field.remove();
    return worked ? Promise.resolve() : Promise.reject();
  }
  function copy(text) {
    if (!navigator.clipboard) return legacyCopy(text);
    return navigator.clipboard.writeText(text).catch(function () { return legacyCopy(text); });
  }
  function say(button, words, worked) {
    var label = button.querySelector('[data-label]'), before = button.dataset.before || label.textContent;
    button.dataset.before = before;
    label.textContent = words;
    announce(words);
    button.classList.toggle('said', worked);
    clearTimeout(Number(button.dataset.timer));
    button.dataset.timer = setTimeout(function () {
      label.textContent = before;
      button.classList.remove('said');
    }, 4000);
  }

  /* The countdown runs on the page's own clock from the seconds the server gave: a wrong clock does no harm. */
  function two(number) { return (number < 10 ? '0' : '') + number; }
  function clockText(seconds) {
    var hours = Math.floor(seconds / 3600), minutes = Math.floor(seconds % 3600 / 60);
    return (hours ? hours + ':' + two(minutes) : minutes) + ':' + two(seconds % 60);
  }
  function minutesText(minutes) {
    return new Intl.NumberFormat(lang, { style: 'unit', unit: 'minute', unitDisplay: 'long' }).format(minutes);
  }
  function setDeadline(seconds) {
    deadline = seconds === null ? null : performance.now() + seconds * 1000;
  }
  function tick() {
    var clock = page.querySelector('[data-seconds]'), said = page.querySelector('[data-clock-said]');
    if (!clock || deadline === null) return;
    var left = Math.max(0, Math.ceil((deadline - performance.now()) / 1000));
    clock.querySelector('[data-clock-text]').textContent = said.dataset.words.replace('{time}', clockText(left));
    clock.classList.toggle('soon', left < 120);
    var minutes = Math.ceil(left / 60);
    if (minuteSaid !== null && minutes !== minuteSaid) {
      said.textContent = said.dataset.words.replace('{time}', minutesText(minutes));
    }
    minuteSaid = minutes;
    if (left === 0) { deadline = null; wait = EVERY_MS; look(); }
  }

  /* Times in the reader's own zone; the exact UTC stays in the title. */
  function localTimes() {
    each('time[datetime]', function (element) {
      var moment = new Date(element.dateTime), today = new Date().toDateString() === moment.toDateString();
      if (isNaN(moment)) return;
      element.title = moment.toISOString();
      element.textContent = new Intl.DateTimeFormat(lang, today
        ? { hour: '2-digit', minute: '2-digit' }
        : { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' }).format(moment);
    });
  }

  /* After the end: back to the shop in a few seconds, unless the reader stays. */
  function startLeaving() {
    var box = page.querySelector('[data-leaving]'), link = page.querySelector('[data-return]'), seconds = 8;
    clearInterval(leaving);
    if (!box || !link || window.top !== window.self) return;
    var text = box.querySelector('[data-leaving-text]');
    function show() { text.textContent = text.dataset.words.replace('{seconds}', seconds); }
    show();
    box.hidden = false;
    leaving = setInterval(function () {
      seconds -= 1;
      if (seconds > 0) { show(); return; }
      clearInterval(leaving);
      if (!box.hidden) location.assign(link.href);
    }, 1000);
  }
  function stay() {
    clearInterval(leaving);
    page.querySelector('[data-leaving]').hidden = true;
    page.querySelector('[data-return]').focus();
  }

  function prepare() {
    var clock = page.querySelector('[data-seconds]');
    each('[data-copy], [data-print]', function (button) { button.hidden = false; });
    minuteSaid = null;
    setDeadline(clock ? Number(clock.dataset.seconds) : null);
    touched = false;
    localTimes();
    tick();
    startLeaving();
  }

  /* Looking again: a tiny answer every few seconds; the page is fetched only when its version has changed. */
  function isBusy() {
    var active = document.activeElement;
    return touched || sending || (active && page.contains(active) && /^(INPUT|TEXTAREA|SELECT)$/.test(active.tagName));
  }
  function swap(html) {
    var fresh = new DOMParser().parseFromString(html, 'text/html'), next = fresh.getElementById('page');
    if (!next) return;
    var hadFocus = page.contains(document.activeElement), before = page.dataset.screen;
    page.replaceWith(next);
    page = next;
    document.title = fresh.title;
    version = page.dataset.version;
    prepare();
    if (page.dataset.screen !== before) {
      var leave = page.querySelector('[data-leaving]:not([hidden]) [data-leaving-text]');
      announce(page.querySelector('h1').textContent.trim() + '. ' + (leave ? leave.textContent : ''));
    }
    if (hadFocus) { page.tabIndex = -1; page.focus({ preventScroll: true }); }
  }
  function changed() {
    if (page.hasAttribute('data-side') || isBusy()) {
      var moved = page.querySelector('[data-changed]');
      if (moved.hidden) announce(moved.textContent.trim());
      moved.hidden = false;
      return Promise.resolve();
    }
    return fetch(page.dataset.page, { cache: 'no-store' }).then(function (answer) {
      if (!answer.ok) throw new Error(answer.status);
      return answer.text();
    }).then(function (html) { if (!isBusy()) swap(html); });
  }
  function look() {
    clearTimeout(timer);
    if (page.hasAttribute('data-final') || document.hidden) return;
    fetch(page.dataset.status, { cache: 'no-store', headers: { 'If-None-Match': '"' + version + '"' } })
      .then(function (answer) {
        if (answer.status === 304) return null;
        if (!answer.ok) throw new Error(answer.status);
        return answer.json();
      })
      .then(function (now) {
        wait = EVERY_MS;
        if (now && String(now.version) !== version) return changed();
        return null;
      })
      .catch(function () { wait = Math.min(wait * 2, SLOWEST_MS); })
      .then(plan);
  }
  function plan() {
    clearTimeout(timer);
    timer = setTimeout(look, wait + Math.random() * 500);
  }

  document.addEventListener('click', function (event) {
    var button = event.target.closest('[data-copy], [data-print], [data-stay]');
    if (!button) return;
    if (button.hasAttribute('data-print')) { clearInterval(leaving); window.print(); return; }
    if (button.hasAttribute('data-stay')) { stay(); return; }
    copy(button.dataset.copy).then(
      function () { say(button, button.dataset.said, true); },
      function () { say(button, button.dataset.failed, false); });
  });
  document.addEventListener('input', function () { touched = true; });
  document.addEventListener('submit', function (event) {
    if (sending) { event.preventDefault(); return; }
    sending = true;
    var button = event.submitter || event.target.querySelector('.button');
    if (button) button.setAttribute('aria-busy', 'true');
  });
  window.addEventListener('pageshow', function (event) {
    sending = false;
    each('[aria-busy]', function (button) { button.removeAttribute('aria-busy'); });
    if (event.persisted) look();
  });
  document.addEventListener('visibilitychange', function () { if (!document.hidden) { wait = EVERY_MS; look(); } });

  prepare();
  var problems = page.querySelector('[data-problems]');
  if (problems) problems.focus();
  setInterval(tick, 1000);
  plan();
})();
