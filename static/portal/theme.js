// Before the first paint: dark or light, as chosen here before, else as the system says.
"use strict";
(() => {
  const root = document.documentElement;
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => {
    try { return localStorage.getItem("theme"); } catch { return null; }
  };
  const show = () => root.setAttribute("data-bs-theme", chosen() || (system.matches ? "dark" : "light"));
  show();
  root.classList.add("has-script");
  system.addEventListener("change", show);
  window.nostroTheme = {
    isDark: () => root.getAttribute("data-bs-theme") === "dark",
    toggle() {
      try { localStorage.setItem("theme", this.isDark() ? "light" : "dark"); } catch { /* private mode: this page only */ }
      show();
    },
  };
})();
