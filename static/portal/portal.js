// What all portal pages share: copy buttons, the theme button, dialogs, and what happens when a request fails.
"use strict";
(() => {
  const noticeRegion = () => document.getElementById("notice");

  const reveal = (root) => {
    for (const element of root.querySelectorAll("[data-needs-script], [data-copy]")) element.hidden = false;
  };

  const copy = async (button) => {
    const said = button.querySelector(".copied");
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
    } catch {
      // Without https there is no clipboard API: the old way still works.
      const area = document.createElement("textarea");
      area.value = button.dataset.copy;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
      button.focus();
    }
    said.textContent = button.dataset.copied;
    setTimeout(() => { said.textContent = ""; }, 2000);
  };

  document.addEventListener("click", (event) => {
    const copies = event.target.closest("[data-copy]");
    if (copies) { copy(copies); return; }
    const opens = event.target.closest("[data-opens]");
    const dialog = opens && document.getElementById(opens.dataset.opens);
    if (dialog && dialog.showModal) { event.preventDefault(); dialog.showModal(); }
  });

  const themeButton = document.querySelector("[data-theme-toggle]");
  if (themeButton) {
    const show = () => themeButton.setAttribute("aria-pressed", String(window.nostroTheme.isDark()));
    themeButton.hidden = false;
    themeButton.addEventListener("click", () => { window.nostroTheme.toggle(); show(); });
    show();
  }

  // A failure that did not come from our own pages (a proxy's, none at all) never replaces a part of the page.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr } = event.detail;
    if (xhr.status >= 400 && ![409, 422].includes(xhr.status) && !xhr.getResponseHeader("HX-Retarget")) {
      event.detail.shouldSwap = false;
    }
  });
  const unreachable = (event) => {
    if (event.detail.requestConfig && event.detail.requestConfig.verb === "get") return;
    const template = document.getElementById("unreachable");
    noticeRegion().replaceChildren(template.content.cloneNode(true));
  };
  document.addEventListener("htmx:sendError", unreachable);
  document.addEventListener("htmx:timeout", unreachable);

  window.nostro = { reveal };
  reveal(document);
})();
