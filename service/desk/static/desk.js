// What every page does by keys and boxes. Without scripts all forms work as forms.
"use strict";
(() => {
  // A search field is one key away on every page: "/" on Latin keys, "." on Cyrillic ones, which is the same key.
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest && event.target.closest("input, textarea, select");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const find = document.getElementById("find");
    if (find && event.code === "Slash" && !event.shiftKey) { event.preventDefault(); find.focus(); find.select(); }
  });

  // Boxes that stand for a whole table column.
  document.addEventListener("change", (event) => {
    const all = event.target.closest("[data-all]");
    if (all) for (const box of document.querySelectorAll(`input[name="${all.dataset.all}"]`)) box.checked = all.checked;
  });
})();
