// A search with suggestions: the combobox pattern of the ARIA practices. The server sends the options.
"use strict";
(() => {
  const box = (input) => document.getElementById(input.getAttribute("aria-controls"));
  const choices = (input) => [...box(input).querySelectorAll('[role="option"]:not([aria-disabled])')];

  function show(input, open) {
    input.setAttribute("aria-expanded", String(open && box(input).children.length > 0));
    if (!open) input.removeAttribute("aria-activedescendant");
  }

  function point(input, option) {
    for (const other of box(input).querySelectorAll('[role="option"]')) other.setAttribute("aria-selected", "false");
    option?.setAttribute("aria-selected", "true");
    if (option) input.setAttribute("aria-activedescendant", option.id);
    option?.scrollIntoView({ block: "nearest" });
  }

  function take(input, option) {
    input.value = option.dataset.value;
    input.form.elements.kind.value = option.dataset.kind;
    show(input, false);
    input.focus();
  }

  function step(input, by) {
    const options = choices(input);
    if (!options.length) return;
    const now = options.findIndex((option) => option.getAttribute("aria-selected") === "true");
    show(input, true);
    point(input, options[(now + by + options.length) % options.length]);
  }

  document.addEventListener("keydown", (event) => {
    const input = event.target.closest?.('[role="combobox"]');
    if (!input) return;
    const open = input.getAttribute("aria-expanded") === "true";
    const chosen = open && box(input).querySelector('[aria-selected="true"]');
    if (event.key === "ArrowDown") step(input, 1);
    else if (event.key === "ArrowUp") step(input, -1);
    else if (event.key === "Enter" && chosen) take(input, chosen);
    else if (event.key === "Escape" && open) show(input, false);
    else return;
    event.preventDefault();
  });
  document.addEventListener("input", (event) => {
    const input = event.target.closest?.('[role="combobox"]');
    if (input) input.form.elements.kind.value = "";
  });
  document.addEventListener("pointerdown", (event) => {
    const option = event.target.closest?.('.suggest [role="option"]:not([aria-disabled])');
    if (option) {
      event.preventDefault();
      take(option.closest(".suggest").querySelector('[role="combobox"]'), option);
    }
  });
  document.addEventListener("focusout", (event) => {
    if (event.target.matches?.('[role="combobox"]')) show(event.target, false);
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    const input = event.target.closest?.(".suggest")?.querySelector('[role="combobox"]');
    if (!input || document.activeElement !== input) return;
    show(input, true);
    point(input, choices(input)[0]);
  });
})();
