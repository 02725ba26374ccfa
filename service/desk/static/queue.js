// The queue by keys. Keys are known by their place on the keyboard (event.code), so they work with Kazakh, Russian and Latin layouts.
"use strict";
(() => {
  const item = () => document.getElementById("item");
  const help = document.getElementById("help");
  const editing = () => item() && item().classList.contains("is-editing");
  const say = (words) => { document.getElementById("messages").textContent = words; };

  // One input of a line: its characters, each with what else it could be.
  const cells = new WeakMap();
  const begin = (input) => {
    const chars = JSON.parse(input.dataset.chars), others = JSON.parse(input.dataset.others), doubts = JSON.parse(input.dataset.doubts);
    cells.set(input, chars.map((text, i) => ({ text, choices: [text, ...others[i].filter((other) => other !== text)], doubt: doubts[i] })));
  };
  const start = (input, index) => cells.get(input).slice(0, index).reduce((sum, cell) => sum + cell.text.length, 0);
  const at = (input) => {
    let end = 0;
    const list = cells.get(input);
    for (let i = 0; i < list.length; i += 1) { end += list[i].text.length; if (input.selectionStart < end) return i; }
    return list.length - 1;
  };
  const mark = (input, index) => {
    const list = cells.get(input);
    if (!list.length) return;
    const i = Math.max(0, Math.min(index, list.length - 1));
    const from = start(input, i);
    input.focus();
    input.setSelectionRange(from, from + list[i].text.length);
    const box = input.parentElement.querySelector(".others");
    box.replaceChildren(...list[i].choices.map((choice) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = choice === "" ? "∅" : choice === " " ? "␣" : choice;
      button.setAttribute("aria-pressed", String(choice === list[i].text));
      button.addEventListener("click", () => choose(input, i, choice));
      return button;
    }));
  };
  const choose = (input, index, choice) => {
    const list = cells.get(input);
    list[index].text = choice;
    input.value = list.map((cell) => cell.text).join("");
    input.dispatchEvent(new Event("input", { bubbles: true }));
    mark(input, index);
  };
  const turn = (input, step) => {
    const index = at(input), cell = cells.get(input)[index];
    if (!cell) return;
    const known = cell.choices.indexOf(cell.text);
    choose(input, index, cell.choices[(known + step + cell.choices.length) % cell.choices.length]);
  };
  // After typing, characters that stayed keep their alternatives.
  const align = (input) => {
    const old = cells.get(input), value = input.value;
    if (old.map((cell) => cell.text).join("") === value) return;
    let head = 0, from = 0, tail = 0, to = value.length;
    while (head < old.length && value.startsWith(old[head].text, from)) { from += old[head].text.length; head += 1; }
    while (tail < old.length - head && value.slice(from, to).endsWith(old[old.length - 1 - tail].text)) {
      to -= old[old.length - 1 - tail].text.length; tail += 1;
    }
    const fresh = Array.from(value.slice(from, to), (text) => ({ text, choices: [text], doubt: 0 }));
    cells.set(input, [...old.slice(0, head), ...fresh, ...old.slice(old.length - tail)]);
  };
  const inputs = () => Array.from(item().querySelectorAll("input.edit"));
  const doubtful = () => inputs().flatMap((input) => cells.get(input).map((cell, index) => ({ input, index, doubt: cell.doubt })));
  const nextDoubt = (input, step) => {
    const list = doubtful(), here = list.findIndex((one) => one.input === input && one.index === at(input));
    for (let n = 1; n <= list.length; n += 1) {
      const one = list[(here + step * n + list.length * n) % list.length];
      if (one.doubt > 0) { mark(one.input, one.index); return; }
    }
  };
  const edit = () => {
    if (!inputs().length) return;
    item().classList.add("is-editing");
    inputs().forEach(begin);
    const worst = doubtful().reduce((best, one) => (best === null || one.doubt > best.doubt ? one : best), null);
    if (worst) mark(worst.input, worst.index); else inputs()[0].focus();
  };
  const leave = () => {
    item().classList.remove("is-editing");
    for (const input of inputs()) { input.value = input.defaultValue; input.parentElement.querySelector(".others").replaceChildren(); }
    document.getElementById("extracted").replaceChildren();
    document.getElementById("heading").focus();
  };

  const editKeys = (event) => {
    const input = event.target.closest("input.edit");
    if (event.key === "Escape") { event.preventDefault(); leave(); return; }
    if (!input) return;
    const does = {
      ArrowUp: () => turn(input, -1), ArrowDown: () => turn(input, 1),
      ArrowLeft: () => mark(input, at(input) - 1), ArrowRight: () => mark(input, at(input) + 1),
      PageDown: () => nextDoubt(input, 1), PageUp: () => nextDoubt(input, -1),
      Enter: () => item().querySelector(event.shiftKey ? "[data-save-verify]" : "[data-save]").click(),
    }[event.key];
    if (does && !event.ctrlKey && !event.metaKey && !event.altKey) { event.preventDefault(); does(); }
  };

  document.addEventListener("keydown", (event) => {
    if (!item() || (help && help.open)) return;
    if (editing()) { editKeys(event); return; }
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.target.closest("input, textarea, select")) return;
    if (event.key === "?" || event.key === "F1" || (event.code === "Slash" && event.shiftKey)) {
      event.preventDefault();
      help.showModal();
      return;
    }
    if (event.shiftKey) return;
    const button = item().querySelector(`[data-key="${event.code}"]`);
    if (button && !item().classList.contains("is-busy")) { event.preventDefault(); button.click(); }
  });

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-edit]")) edit();
    if (event.target.closest("[data-leave]")) leave();
    if (event.target.closest("[data-open]")) help.showModal();
  });
  document.addEventListener("input", (event) => {
    const input = event.target.closest("input.edit");
    if (input && cells.has(input)) align(input);
  });

  // While an answer is on its way a second key does nothing: no decision falls on an advert that nobody has seen.
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.target.closest("#decide, .candidates, .bar-top") && !event.target.closest("input.edit")) item().classList.add("is-busy");
  });
  document.addEventListener("htmx:afterRequest", () => { if (item()) item().classList.remove("is-busy"); });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.target.id === "item" || event.detail.target.id === "item") {
      window.scrollTo(0, 0);
      const heading = document.getElementById("heading");
      if (heading) heading.focus({ preventScroll: true });
    }
    if (event.detail.target.id === "candidates") {
      const first = event.detail.target.querySelector("button");
      if (first) first.focus();
    }
  });
  document.addEventListener("htmx:sendError", () => say(document.documentElement.lang === "en" ? "No connection" : "⚠"));
})();
