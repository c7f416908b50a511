// Toasts go by themselves, later while the pointer or the focus is on them, and at once when closed.
"use strict";
(() => {
  const SECONDS = 12;
  function watch(toast) {
    let left = SECONDS;
    toast.querySelector("[data-close]").hidden = false;
    const timer = setInterval(() => {
      if (toast.matches(":hover, :focus-within")) left = SECONDS;
      else if (--left <= 0) { clearInterval(timer); toast.remove(); }
    }, 1000);
  }
  const start = (root) => { for (const toast of root.querySelectorAll("[data-toast]")) watch(toast); };
  start(document);
  document.addEventListener("htmx:oobAfterSwap", (event) => start(event.detail.target.parentElement ?? document));
  document.addEventListener("click", (event) => {
    if (event.target.closest?.("[data-close]")) event.target.closest("[data-toast]").remove();
  });
})();
