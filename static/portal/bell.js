// A bell listens only while its page is seen: over HTTP/1.1 a browser keeps six connections to a host, and pages in the
// background would take them all. Seen again, it asks for what it missed: a stream begins with a look.
"use strict";
(() => {
  class SeenSource {
    constructor(url) {
      this.url = url;
      this.listeners = [];
      this.source = null;
      this.follow = () => { if (document.hidden) this.pause(); else this.open(); };
      document.addEventListener("visibilitychange", this.follow);
      this.follow();
    }

    open() {
      if (this.source) return;
      const source = new EventSource(this.url);
      this.source = source;
      source.onopen = (event) => { if (this.onopen) this.onopen(event); };
      source.onerror = (event) => {
        if (this.onerror) this.onerror(event);
        // Given up by the browser: the extension makes a new one.
        if (source.readyState === EventSource.CLOSED) this.close();
      };
      for (const [kind, listener] of this.listeners) source.addEventListener(kind, listener);
    }

    pause() {
      if (this.source) this.source.close();
      this.source = null;
    }

    close() {
      document.removeEventListener("visibilitychange", this.follow);
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

  const plain = window.htmx.createEventSource;
  window.htmx.createEventSource = (url) => (url.endsWith("/notifications/stream") ? new SeenSource(url) : plain(url));
})();
