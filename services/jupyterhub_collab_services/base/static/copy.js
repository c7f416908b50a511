// A button that copies a link, and says that it did.
"use strict";
document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy]");
  if (!button) return;
  const icon = button.querySelector(".fa");
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
  } catch {
    getSelection().selectAllChildren(button.previousElementSibling);
    return;
  }
  icon.className = "fa fa-check";
  button.title = "Copied";
  setTimeout(() => { icon.className = "fa fa-copy"; button.title = "Copy"; }, 2000);
});
