// The live streams of the pages. A bell listens only while its page is seen: over HTTP/1.1 a browser keeps six connections
// to a host, and pages in the background would take them all. Seen again, it asks for what it missed: a stream begins
// with a look. The trader's queue listens always. Streams are served by a process of their own, perhaps at another port of
// this host, which must hear who one is; while it is away pages poll and try again, later each time.
"use strict";
(() => {
  const FIRST_WAIT = 2000;
  const LONGEST_WAIT = 64000;

  class LiveSource {
    constructor(url, onlyWhileSeen) {
      this.url = url;
      this.listeners = [];
      this.source = null;
      this.wait = FIRST_WAIT;
      this.isClosed = false;
      this.onlyWhileSeen = onlyWhileSeen;
      this.follow = () => { if (this.onlyWhileSeen && document.hidden) this.pause(); else this.open(); };
      // A page that is left cuts its stream, which is no failure; one that comes back goes on.
      this.leave = () => { this.pause(); setTimeout(this.follow, 2000); }; // a download leaves nothing
      document.addEventListener("visibilitychange", this.follow);
      window.addEventListener("pageshow", this.follow);
      for (const kind of ["beforeunload", "pagehide"]) window.addEventListener(kind, this.leave);
      this.follow();
    }

    open() {
      if (this.source || this.isClosed) return;
      const source = new EventSource(this.url, { withCredentials: true });
      this.source = source;
      source.onopen = (event) => {
        this.wait = FIRST_WAIT;
        if (this.onopen) this.onopen(event);
      };
      source.onerror = () => {
        document.dispatchEvent(new CustomEvent("live:lost"));
        // By itself the browser would ask again every few seconds, all pages of all people at once.
        this.pause();
        setTimeout(this.follow, this.wait * (0.5 + Math.random()));
        this.wait = Math.min(this.wait * 2, LONGEST_WAIT);
      };
      for (const [kind, listener] of this.listeners) source.addEventListener(kind, listener);
    }

    pause() {
      if (this.source) this.source.close();
      this.source = null;
    }

    close() {
      this.isClosed = true;
      document.removeEventListener("visibilitychange", this.follow);
      window.removeEventListener("pageshow", this.follow);
      for (const kind of ["beforeunload", "pagehide"]) window.removeEventListener(kind, this.leave);
      this.pause();
    }

    get readyState() { return this.source ? this.source.readyState : EventSource.CONNECTING; }

    addEventListener(kind, listener) {
      this.listeners.push([kind, listener]);
      if (this.source) this.source.addEventListener(kind, listener);
    }

    removeEventListener(kind, listener) {
      this.listeners = this.listeners.filter(([k, l]) => k !== kind || l !== listener);
      if (this.source) this.source.removeEventListener(kind, listener);
    }
  }

  window.htmx.createEventSource = (url) => new LiveSource(url, url.endsWith("/streams/bell"));
})();
