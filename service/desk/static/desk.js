// What every page does: signing in and out, and dialogs. Nothing is sent anywhere but to this service.
"use strict";
(() => {
  const token = () => {
    try { return JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRF-Token"]; } catch { return ""; }
  };

  const form = document.getElementById("sign-in");
  if (form) {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const said = document.getElementById("sign-in-said");
      const button = form.querySelector("button");
      said.textContent = "";
      button.disabled = true;
      try {
        const answer = await fetch("/v1/session", {
          method: "POST",
          headers: { "Content-Type": "application/json" },
          body: JSON.stringify({ login: form.elements.login.value, password: form.elements.password.value }),
        });
        if (answer.ok) { location.assign(form.dataset.next); return; }
        said.textContent = answer.status === 429 ? form.dataset.locked : answer.status === 401 ? form.dataset.wrong : form.dataset.failed;
      } catch { said.textContent = form.dataset.failed; }
      button.disabled = false;
      form.elements.password.select();
    });
  }

  const out = document.getElementById("sign-out");
  if (out) {
    out.addEventListener("click", async () => {
      await fetch("/v1/session", { method: "DELETE", headers: { "X-CSRF-Token": token() } });
      location.assign("/desk/sign-in");
    });
  }

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
