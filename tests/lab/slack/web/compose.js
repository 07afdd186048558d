// The message box: it grows, suggests commands and names, and sends with Enter.

import { el } from "./mrkdwn.js";

export function compose(form, { commands, users, command, say, tell }) {
  const box = form.querySelector("textarea");
  const hints = form.querySelector(".hints");
  const inThread = form.dataset.for === "thread";
  let picked = 0;

  const offers = () => {
    const text = box.value;
    if (/^\/\S*$/.test(text) && !inThread) {
      return commands().filter((one) => one.command.startsWith(text)).map((one) =>
        ({ insert: `${one.command} `, title: one.command, hint: one.usage_hint ?? "", more: one.description ?? "" }));
    }
    const at = /(^|\s)@(\w*)$/.exec(text);
    if (!at) return [];
    return users().filter((user) => !user.gone && user.name.startsWith(at[2]) && user.name !== "slackbot").map((user) =>
      ({ insert: `${text.slice(0, text.length - at[2].length)}${user.name} `, title: `@${user.name}`, hint: "", more: user.real_name }));
  };
  const suggest = () => {
    const list = offers();
    picked = Math.min(picked, Math.max(0, list.length - 1));
    hints.hidden = !list.length;
    hints.replaceChildren(...list.map((one, number) => el("li", { role: "option", "aria-selected": String(number === picked),
      onmousedown: (event) => { event.preventDefault(); take(one); } },
      el("b", {}, one.title), " ", el("span", { class: "usage" }, one.hint), el("small", {}, one.more))));
    return list;
  };
  const take = (one) => { box.value = one.insert; box.focus(); grow(); suggest(); };
  const grow = () => { box.style.height = "auto"; box.style.height = `${Math.min(box.scrollHeight, 200)}px`; };
  const send = async () => {
    const text = box.value.trim();
    if (!text) return;
    const found = /^(\/\S+)\s*([\s\S]*)$/.exec(text);
    if (found && inThread) return tell(`${found[1]} is not supported in threads. Sorry!`);
    box.value = "";
    grow();
    suggest();
    if (found) await command(found[1], found[2]);
    else await say(text, inThread);
  };

  form.addEventListener("submit", (event) => { event.preventDefault(); send(); });
  box.addEventListener("input", () => { picked = 0; grow(); suggest(); });
  box.addEventListener("blur", () => { hints.hidden = true; });
  box.addEventListener("keydown", (event) => {
    const list = hints.hidden ? [] : offers();
    if (list.length && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      picked = (picked + (event.key === "ArrowDown" ? 1 : list.length - 1)) % list.length;
      suggest();
    } else if (list.length && event.key === "Tab") {
      event.preventDefault();
      take(list[picked]);
    } else if (event.key === "Escape") {
      hints.hidden = true;
    } else if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      if (list.length && list[picked].insert.trim() !== box.value.trim()) take(list[picked]);
      else send();
    }
  });
}
