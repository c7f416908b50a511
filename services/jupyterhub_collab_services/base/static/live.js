// Parts that renew themselves: nothing that has the focus or an open menu is taken away, and “Later” is remembered.
"use strict";
(() => {
  document.addEventListener("htmx:beforeSwap", (event) => {
    const part = event.detail.target;
    const live = event.detail.elt.matches?.("[data-live]");
    if (live && part.contains(document.activeElement) && document.activeElement.matches("input, select, textarea")) {
      event.detail.shouldSwap = false;
    }
  });

  // Focus stays: where the pressed button went with its row, the next heading takes it.
  let focused = "";
  document.addEventListener("htmx:beforeSwap", () => { focused = document.activeElement?.dataset?.key ?? ""; });
  document.addEventListener("htmx:afterSettle", (event) => {
    if (focused) document.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
    if (event.detail.target.hasAttribute?.("data-live") && !document.activeElement?.isConnected) {
      event.detail.target.querySelector("h2")?.focus();
    }
    focused = "";
  });

  document.addEventListener("htmx:timeout", (event) => {
    const part = event.detail.target;
    if (part.querySelector("[data-slow]")) return;
    part.insertAdjacentHTML("beforeend", '<p class="meta m-3" data-slow role="status">The Hub has not answered for 10 seconds. <a href="">Try again</a></p>');
  });

  const later = (root) => {
    for (const banner of root.querySelectorAll("[data-later]")) {
      if (sessionStorage.getItem(banner.dataset.later)) banner.remove();
    }
  };
  later(document);
  document.addEventListener("htmx:load", (event) => later(event.target.parentElement ?? document));
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-dismiss-later]");
    if (!button) return;
    const banner = button.closest("[data-later]");
    sessionStorage.setItem(banner.dataset.later, "1");
    banner.remove();
    document.querySelector("h1")?.focus();
  });
})();
