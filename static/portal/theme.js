// Before the first paint: dark or light, as chosen for this device, else as the system says.
"use strict";
(() => {
  const root = document.documentElement;
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const show = () => {
    const chosen = root.dataset.theme;
    const dark = chosen === "auto" || !chosen ? system.matches : chosen === "dark";
    root.setAttribute("data-bs-theme", dark ? "dark" : "light");
  };
  show();
  root.classList.add("has-script");
  system.addEventListener("change", show);
  window.nostroTheme = { choose(theme) { root.dataset.theme = theme; show(); } };
})();
