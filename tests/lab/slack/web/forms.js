// Dialogs: "are you sure", and modals with their inputs.

import { blocks } from "./blocks.js";
import { el, textObject } from "./mrkdwn.js";

const sure = document.getElementById("confirm");
const form = document.getElementById("form");
let shown = "";

export function confirmed(words) {
  if (!words) return Promise.resolve(true);
  return new Promise((resolve) => {
    const done = (yes) => () => { sure.close(); resolve(yes); };
    sure.replaceChildren(
      el("h2", {}, textObject(words.title)), el("div", { class: "body" }, textObject(words.text)),
      el("footer", {}, el("button", { type: "button", class: "button", onclick: done(false) }, textObject(words.deny)),
        el("button", { type: "button", class: `button ${words.style ?? "primary"}`, onclick: done(true) }, textObject(words.confirm))));
    sure.oncancel = done(false);
    sure.showModal();
  });
}

// The topmost view of the stack; drawn anew only when Slack has changed it.
export function showForm(stack, { act, submit, close }) {
  const view = stack.at(-1);
  const mark = view ? `${view.id}/${view.hash}/${stack.length}` : "";
  if (mark !== shown) {
    shown = mark;
    if (!view) return form.close();
    draw(view, stack.length, { act, submit, close });
    if (!form.open) form.showModal();
    form.querySelector("input, textarea, select")?.focus();
  }
  if (view) showMistakes(view.errors ?? {});
}

function draw(view, depth, { act, submit, close }) {
  const back = depth > 1 ? "‹" : "✕";
  const send = view.submit ? el("button", { class: "button primary" }, textObject(view.submit)) : null;
  const leave = () => close(view);
  const body = el("form", { method: "dialog" },
    el("header", {}, el("h2", {}, textObject(view.title)),
      el("button", { type: "button", class: "plain", "aria-label": "close", onclick: leave }, back)),
    el("div", { class: "body" }, blocks(view.blocks, (one, block, value) => act(view, one, block, value)),
      el("p", { class: "mistake whole" })),
    el("footer", {}, el("button", { type: "button", class: "button", onclick: leave }, textObject(view.close) || "Cancel"), send));
  body.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!send || send.disabled) return;
    send.disabled = true;
    showMistakes({});
    submit(view, read(body)).finally(() => { send.disabled = false; });
  });
  form.oncancel = (event) => { event.preventDefault(); leave(); };
  form.replaceChildren(body);
}

function read(body) {
  const values = {};
  for (const label of body.querySelectorAll("[data-block]")) {
    const field = [...label.children].find((child) => child.read);
    values[label.dataset.block] = { [label.dataset.action]: field ? field.read() : null };
  }
  return values;
}

export function showMistakes(errors) {
  for (const label of form.querySelectorAll("[data-block]")) {
    label.querySelector(".mistake").textContent = errors[label.dataset.block] ?? "";
  }
  const whole = form.querySelector(".whole");
  if (whole) whole.textContent = errors[""] ?? "";
}
