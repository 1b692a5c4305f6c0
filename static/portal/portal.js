// What all portal pages share: copy buttons, menus, the theme, dialogs, and what happens when a request fails.
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

  // The theme changes at once; the form keeps it in the background.
  document.addEventListener("submit", (event) => {
    const theme = event.submitter && event.submitter.dataset.themeChoice;
    if (!theme) return;
    event.preventDefault();
    window.nostroTheme.choose(theme);
    for (const button of event.target.querySelectorAll("[data-theme-choice]")) {
      button.setAttribute("aria-pressed", String(button === event.submitter));
    }
    const sent = new FormData(event.target);
    sent.set("theme", theme);
    fetch(event.target.action, { method: "POST", body: sent, redirect: "manual" });
  });

  // A menu closes when one goes elsewhere; Escape gives the focus back to its button.
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details[data-menu][open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
    const toast = event.target.closest("[data-close-toast]");
    if (toast) toast.closest("[data-toast]").remove();
    const ask = event.target.closest("[data-close-dialog]");
    if (ask) ask.closest("dialog").close();
  });
  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && document.querySelector("details[data-menu][open]");
    if (menu) { menu.open = false; menu.querySelector("summary").focus(); }
  });

  // What unfolds without a script opens as a dialog with one.
  document.addEventListener("click", (event) => {
    const summary = event.target.closest("details[data-dialog] > summary");
    if (!summary) return;
    event.preventDefault();
    const details = summary.parentElement;
    const body = details.querySelector(".ask-body");
    const dialog = document.createElement("dialog");
    dialog.className = "ask-dialog";
    dialog.setAttribute("aria-labelledby", body.getAttribute("aria-labelledby"));
    dialog.append(body);
    dialog.addEventListener("close", () => { details.append(body); dialog.remove(); summary.focus(); });
    details.after(dialog);
    dialog.showModal();
  });

  // A file that is dropped is a file that was chosen; its name is said.
  const overDrop = (event, isOver) => {
    const drop = event.target.closest && event.target.closest(".file-drop");
    if (drop) drop.classList.toggle("is-over", isOver);
  };
  document.addEventListener("dragover", (event) => overDrop(event, true));
  document.addEventListener("dragleave", (event) => overDrop(event, false));
  document.addEventListener("drop", (event) => overDrop(event, false));
  document.addEventListener("change", (event) => {
    const said = event.target.type === "file" && document.querySelector(`[data-file-name="${event.target.id}"]`);
    if (said && event.target.files.length) said.textContent = event.target.files[0].name;
  });

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
