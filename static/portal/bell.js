// The live streams of the pages. A bell listens only while its page is seen: over HTTP/1.1 a browser keeps six connections
// to a host, and pages in the background would take them all. Seen again, it asks for what it missed: a stream begins
// with a look. The trader's queue listens always.
"use strict";
(() => {
  class LiveSource {
    constructor(url, onlyWhileSeen) {
      this.url = url;
      this.listeners = [];
      this.source = null;
      this.wait = 1000;
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
      const source = new EventSource(this.url);
      this.source = source;
      source.onopen = (event) => {
        this.wait = 1000;
        if (this.onopen) this.onopen(event);
      };
      source.onerror = () => {
        document.dispatchEvent(new CustomEvent("live:lost"));
        // The browser connects again by itself, until it gives up.
        if (source.readyState !== EventSource.CLOSED) return;
        this.pause();
        setTimeout(this.follow, this.wait);
        this.wait = Math.min(this.wait * 2, 64000);
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

  window.htmx.createEventSource = (url) => new LiveSource(url, url.endsWith("/notifications/stream"));
})();
