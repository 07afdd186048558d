// The page: what one person of the workspace sees, kept up to date by server-sent events.

import { blocks, knowDirectory } from "./blocks.js";
import { compose } from "./compose.js";
import { confirmed, showForm, showMistakes } from "./forms.js";
import { emoji } from "./emoji.js";
import { date, dateWords, el, mrkdwn, names } from "./mrkdwn.js";

const by = (id) => document.getElementById(id);
const seen = {};
let state = null;
let me = new URLSearchParams(location.search).get("as") ?? "U0ADA";
let channel = "C0PROD";
let thread = "";
let tab = "messages";

// talking to the lab

async function post(doing, body) {
  const answer = await fetch(`/lab/${doing}`, { method: "POST", body: JSON.stringify({ as: me, ...body }),
    headers: { "Content-Type": "application/json" } });
  const result = await answer.json();
  if (!result.ok && doing !== "submit") tell(result.error);
  return result;
}

let asking = false;
let again = false;

async function refresh() {
  if (asking) { again = true; return; }
  asking = true;
  try {
    const answer = await fetch(`/lab/state?as=${me}`);
    state = await answer.json();
    draw();
  } finally {
    asking = false;
    if (again) { again = false; refresh(); }
  }
}

function listen() {
  const news = new EventSource("/lab/events");
  news.onmessage = refresh;
  news.onerror = () => { by("link").textContent = "the lab is away"; };
}

let hide = 0;

function tell(words) {
  by("told").textContent = words;
  by("told").hidden = false;
  clearTimeout(hide);
  hide = setTimeout(() => { by("told").hidden = true; }, 6000);
}

// drawing

function draw() {
  names.users = state.users;
  names.channels = Object.fromEntries(state.channels.map((one) => [one.id, one.name]));
  names.groups = state.groups;
  names.me = me;
  if (!state.channels.some((one) => one.id === channel)) channel = state.channels[0].id;
  const room = state.channels.find((one) => one.id === channel);
  const lines = state.connections;
  by("link").textContent = state.over_http ? "by signed HTTP" : lines ? `${lines} connection${lines > 1 ? "s" : ""} of the bot` : "the bot is not connected";
  by("link").className = lines || state.over_http ? "on" : "off";
  by("name").textContent = room.dm ? "Packlead" : `# ${room.name}`;
  by("typed").placeholder = `Message ${room.dm ? "Packlead" : `#${room.name}`}`;
  document.title = `${room.dm ? "Packlead" : `#${room.name}`} · packlead-lab`;
  drawSide();
  by("tabs").hidden = !room.dm;
  const home = room.dm && tab === "home";
  for (const one of by("tabs").children) one.setAttribute("aria-selected", String(one.dataset.tab === (home ? "home" : "messages")));
  by("home").hidden = !home;
  by("list").hidden = home;
  document.querySelector('[data-for="channel"]').hidden = home;
  if (home) drawHome();
  const roots = state.messages[channel] ?? [];
  drawList(by("list"), withPrivate(roots.flatMap(broadcasts), ""), `${me}/${channel}`, true);
  drawThread(roots);
  showForm(state.views, { act: actInView, submit: sendForm, close: (view) => post("close", { view_id: view.id }) });
  seen[`${me}/${channel}`] = roots.length ? newest(roots) : "";
}

function broadcasts(root) {
  return [root, ...root.replies.filter((reply) => reply.broadcast)];
}

function withPrivate(messages, root) {
  const mine = state.private.filter((one) => one.channel === channel && (one.thread_ts || "") === root);
  return [...messages, ...mine].sort((a, b) => Number(a.ts) - Number(b.ts));
}

function newest(messages) {
  return messages.reduce((last, one) => (one.ts > last ? one.ts : last), "");
}

function drawSide() {
  const item = (one) => {
    const messages = state.messages[one.id] ?? [];
    const unread = messages.length && newest(messages) > (seen[`${me}/${one.id}`] ?? "") && one.id !== channel;
    const label = one.dm ? [avatar(state.bot, "small"), "Packlead"] : [el("span", { class: "hash" }, "#"), one.name];
    return el("li", {}, el("button", { class: `plain ${unread ? "unread" : ""}`, "aria-current": one.id === channel ? "page" : undefined,
      onclick: () => go(one.id) }, ...label));
  };
  by("channels").replaceChildren(...state.channels.filter((one) => !one.dm).map(item));
  by("direct").replaceChildren(...state.channels.filter((one) => one.dm).map(item));
  const people = Object.entries(state.users).filter(([id, user]) => !user.bot && !user.gone && id !== "USLACKBOT");
  if (by("me").length !== people.length) {
    by("me").replaceChildren(...people.map(([id, user]) =>
      el("option", { value: id }, user.name + (user.stranger ? " (from elsewhere)" : ""))));
  }
  by("me").value = me;
}

function drawHome() {
  const view = state.home;
  const act = (one, block, value) => actInView(view, one, block, value);
  const key = view ? view.hash : "none";
  if (by("home").dataset.key === key) return;
  by("home").dataset.key = key;
  by("home").replaceChildren(view ? blocks(view.blocks, act) : el("p", { class: "empty" }, "This app has no home yet."));
}

// Messages are kept by their ts and drawn anew only when they changed: nothing flickers, nothing that is typed is lost.
function drawList(list, messages, key, summaries) {
  const follow = list.dataset.key !== key || list.scrollHeight - list.scrollTop - list.clientHeight < 80;
  if (list.dataset.key !== key) list.replaceChildren();
  list.dataset.key = key;
  const old = new Map([...list.children].map((node) => [node.dataset.ts, node]));
  let before = null;
  const wanted = messages.map((message) => {
    const close = before && before.user === message.user && !before.private && !message.private && message.ts - before.ts < 120 && !before.replies?.length;
    const { replies, ...own } = message;
    const mark = JSON.stringify([own, summaries && replies.map((one) => one.user), close, replies.at(-1)?.ts]);
    before = message;
    const node = old.get(message.ts);
    if (node && node.mark === mark) return node;
    const fresh = drawMessage(message, close, summaries);
    fresh.mark = mark;
    return fresh;
  });
  for (const node of old.values()) if (!wanted.includes(node)) node.remove();
  wanted.forEach((node, number) => { if (list.children[number] !== node) list.insertBefore(node, list.children[number] ?? null); });
  if (!messages.length) list.replaceChildren(el("p", { class: "empty" }, "Nothing here yet. Type / to see what the bot can do."));
  if (follow) list.scrollTop = list.scrollHeight;
}

function drawMessage(message, close, summaries) {
  const user = state.users[message.user] ?? { name: message.user };
  const head = el("div", { class: "head" }, el("strong", {}, user.bot || message.user === "USLACKBOT" ? user.real_name : user.name),
    user.bot || message.user === "USLACKBOT" ? el("span", { class: "app" }, "APP") : null, clock(message.ts));
  const body = message.blocks.length ? blocks(message.blocks, (one, block, value) => actInMessage(message, one, block, value)) : el("div", { class: "blocks" }, mrkdwn(message.text));
  if (message.edited) body.append(el("small", { class: "edited" }, "(edited)"));
  const extra = [];
  for (const file of message.files) extra.push(el("a", { class: "file", href: file.url_private, target: "_blank" }, emoji("page_facing_up"), ` ${file.title ?? file.name}`));
  for (const [name, count] of Object.entries(message.reactions)) extra.push(el("span", { class: "reaction" }, emoji(name), ` ${count}`));
  if (summaries && message.replies.length) extra.push(threadLink(message));
  const open = summaries && !message.private ? el("button", { class: "plain reply", "aria-label": "reply in thread", title: "Reply in thread",
    onclick: () => openThread(message.thread_ts || message.ts) }, emoji("speech_balloon")) : null;
  return el("article", { "data-ts": message.ts, class: `message ${close ? "close" : ""} ${message.private ? "private" : ""}` },
    close ? el("div", { class: "gutter" }, clock(message.ts)) : avatar(message.user),
    el("div", { class: "content" },
      message.private ? el("div", { class: "only" }, emoji("eye"), " Only visible to you") : null,
      message.broadcast && summaries ? el("button", { class: "plain replied", onclick: () => openThread(message.thread_ts) }, "replied to a thread") : null,
      close ? null : head, body, extra.length ? el("div", { class: "extra" }, ...extra) : null),
    open);
}

function threadLink(message) {
  const people = [...new Set(message.replies.map((one) => one.user))].slice(0, 4);
  const count = message.replies.length;
  return el("button", { class: "plain thread-link", onclick: () => openThread(message.ts) },
    ...people.map((id) => avatar(id, "tiny")), el("b", {}, `${count} ${count === 1 ? "reply" : "replies"}`),
    el("small", {}, "last reply ", date(Math.floor(Number(message.replies.at(-1).ts)), "{ago}", "", "")));
}

function drawThread(roots) {
  const root = roots.find((one) => one.ts === thread);
  by("thread").hidden = !root;
  document.body.classList.toggle("threaded", Boolean(root));
  if (!root) return;
  const room = state.channels.find((one) => one.id === channel);
  by("where").textContent = room.dm ? "Packlead" : `#${room.name}`;
  drawList(by("replies"), [{ ...root, replies: [] }, ...withPrivate(root.replies, root.ts)], `${me}/${thread}`, false);
}

function avatar(id, size = "") {
  const user = state.users[id] ?? { name: "?" };
  const hue = [...id].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 360, 7);
  const letter = id === "USLACKBOT" ? "S" : user.name[0].toUpperCase();
  return el("span", { class: `avatar ${size} ${user.bot ? "bot" : ""}`, style: user.bot ? undefined : `background:hsl(${hue} 45% 42%)`, "aria-hidden": "true" }, letter);
}

function clock(ts) {
  const when = new Date(Number(ts) * 1000);
  return el("time", { datetime: when.toISOString(), title: when.toLocaleString() },
    when.toLocaleTimeString("en", { hour: "2-digit", minute: "2-digit", hour12: false }));
}

// doing

async function actInMessage(message, one, block, value) {
  if (await confirmed(one.confirm)) {
    await post("click", { where: message.ts, action_id: one.action_id, block_id: block.block_id, value });
  }
}

async function actInView(view, one, block, value) {
  if (await confirmed(one.confirm)) {
    await post("click", { where: view.id, action_id: one.action_id, block_id: block.block_id, value });
  }
}

async function sendForm(view, values) {
  const result = await post("submit", { view_id: view.id, values });
  if (!result.ok) showMistakes({ "": result.error });
}

function go(id) {
  channel = id;
  thread = "";
  tab = "messages";
  location.hash = id;
  document.body.classList.remove("menu");
  draw();
}

function openThread(ts) {
  thread = ts;
  location.hash = `${channel}/${ts}`;
  draw();
  document.querySelector('[data-for="thread"] textarea').focus({ preventScroll: true });
}

function fromHash() {
  const [id, ts] = location.hash.slice(1).split("/");
  if (id) channel = id;
  thread = ts ?? "";
  if (state) draw();
}

// starting

knowDirectory((kind) => kind === "users"
  ? Object.entries(state.users).filter(([, user]) => !user.gone).map(([id, user]) => [id, `@${user.name}`])
  : state.channels.map((one) => [one.id, one.dm ? "Packlead" : `#${one.name}`]));
for (const form of document.querySelectorAll(".composer")) {
  compose(form, { tell, commands: () => state.commands, users: () => Object.values(state.users),
    command: (name, text) => post("command", { channel, name, text }),
    say: (text, inThread) => post("say", { channel, text, thread_ts: inThread ? thread : "" }) });
}
by("me").addEventListener("change", () => {
  me = by("me").value;
  thread = "";
  history.replaceState(null, "", `?as=${me}#${channel}`);
  refresh();
});
by("leave").addEventListener("click", () => { thread = ""; location.hash = channel; draw(); });
by("menu").addEventListener("click", () => by("menu").setAttribute("aria-expanded", String(document.body.classList.toggle("menu"))));
by("main").addEventListener("click", (event) => { if (event.target.id !== "menu") document.body.classList.remove("menu"); });
by("tabs").addEventListener("click", (event) => {
  tab = event.target.dataset.tab ?? tab;
  if (tab === "home") post("home", {});
  draw();
});
window.addEventListener("hashchange", fromHash);
setInterval(() => document.querySelectorAll("[data-stamp]").forEach((node) => {
  node.textContent = dateWords(Number(node.dataset.stamp), node.dataset.format);
}), 15000);
fromHash();
listen();
