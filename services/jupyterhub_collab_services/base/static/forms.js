// Forms: ask first where something stops, save a choice when it is made, show where something is wrong.
"use strict";
(() => {
  const RANKS = ["viewer", "editor", "lead"];
  const dialog = document.getElementById("ask");

  function ask(heading, sentence, verb) {
    dialog.querySelector("#ask-title").textContent = heading;
    dialog.querySelector("#ask-words").textContent = sentence;
    dialog.querySelector("#ask-verb").textContent = verb;
    dialog.returnValue = "";
    dialog.showModal();
    return new Promise((resolve) => {
      dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
    });
  }

  function mark(form) {
    form.insertAdjacentHTML("beforeend", '<input type="hidden" name="sure" value="1">');
  }

  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.dataset.ask || form.elements.sure) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (await ask(`${form.dataset.verb}?`, form.dataset.ask, form.dataset.verb)) {
      mark(form);
      form.requestSubmit();
    }
  }, true);

  // A role: a lower one asks first where the person's server runs.
  document.addEventListener("change", async (event) => {
    const select = event.target.closest?.("select[data-save]");
    if (!select) return;
    const lower = RANKS.indexOf(select.value) < RANKS.indexOf(select.dataset.now);
    if (lower && select.dataset.stops) {
      const sure = await ask(`Make ${select.dataset.who} ${select.value}?`, select.dataset.stops, `Make ${select.value}`);
      if (!sure) {
        select.value = select.dataset.now;
        select.focus();
        return;
      }
      mark(select.form);
    }
    select.form.requestSubmit();
  });

  document.addEventListener("submit", (event) => {
    if (event.defaultPrevented || event.target.method === "dialog") return;
    const button = event.submitter;
    if (button) setTimeout(() => { button.disabled = true; setTimeout(() => { button.disabled = false; }, 10000); });
  });
  window.addEventListener("pageshow", () => {
    for (const button of document.querySelectorAll("button[disabled]")) button.disabled = false;
  });

  // Fields that only scripts need less of: a Save button beside a choice that saves itself.
  const hide = (root) => {
    for (const button of root.querySelectorAll("[data-without-scripts]")) button.hidden = true;
    for (const thing of root.querySelectorAll("[data-with-scripts]")) thing.hidden = false;
  };
  hide(document);
  document.addEventListener("htmx:load", (event) => hide(event.target));
  document.querySelector("[data-focus]")?.focus();

  // The short name follows the title until someone writes it by hand, maybe before this script was there.
  const byHand = () => document.getElementById("title")?.setAttribute("data-by-hand", "");
  if (document.getElementById("slug")?.value) byHand();
  document.addEventListener("input", (event) => {
    if (event.target.id === "slug") byHand();
  });
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.target.hasAttribute?.("data-by-hand")) event.preventDefault();
  });
})();
