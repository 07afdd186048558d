// Slack's text formats as DOM nodes: mrkdwn, rich text, mentions, dates.

import { emoji } from "./emoji.js";

export const names = { users: {}, channels: {}, groups: {}, me: "" };

export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value === true) node.setAttribute(key, "");
    else node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export function unescape(text) {
  return text.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
}

export function textObject(object) {
  if (!object) return "";
  if (object.type === "mrkdwn") return mrkdwn(object.text);
  const node = el("span", { class: "plain-text" });
  if (object.emoji === false) node.append(object.text);
  else node.append(...object.text.split(/(:[a-z0-9_+-]+:)/).map((piece) =>
    /^:[a-z0-9_+-]+:$/.test(piece) ? emoji(piece.slice(1, -1)) : piece));
  return node;
}

export function mrkdwn(text) {
  const out = el("div", { class: "mrkdwn" });
  for (const part of text.split(/(```[\s\S]*?```)/)) {
    if (part.startsWith("```") && part.endsWith("```") && part.length >= 6) {
      out.append(el("pre", {}, unescape(part.slice(3, -3).replace(/^\n/, ""))));
    } else if (part) quoted(out, part);
  }
  return out;
}

function quoted(out, text) {
  let quote = null;
  text.split("\n").forEach((line, number, lines) => {
    const match = /^(?:&gt;|>) ?(.*)$/.exec(line);
    if (match) {
      if (!quote) out.append((quote = el("blockquote")));
      else quote.append(el("br"));
      inline(quote, match[1]);
      return;
    }
    quote = null;
    inline(out, line);
    if (number < lines.length - 1) out.append(el("br"));
  });
}

const SPOTS = [
  /`([^`\n]+)`/,
  /<([^<>\n]+)>/,
  /(?<![A-Za-z0-9*])\*(?=\S)((?:[^*\n<]|<[^>\n]*>)*?\S)\*(?![A-Za-z0-9*])/,
  /(?<![A-Za-z0-9_])_(?=\S)((?:[^_\n<]|<[^>\n]*>)*?\S)_(?![A-Za-z0-9_])/,
  /(?<![A-Za-z0-9~])~(?=\S)((?:[^~\n<]|<[^>\n]*>)*?\S)~(?![A-Za-z0-9~])/,
  /:([a-z0-9_+-]+):/,
];
const ANY = new RegExp(SPOTS.map((spot) => spot.source).join("|"));

function inline(out, text) {
  let rest = text;
  while (rest) {
    const found = ANY.exec(rest);
    if (!found) break;
    if (found.index) out.append(unescape(rest.slice(0, found.index)));
    const [all, code, angle, bold, italic, strike, face] = found;
    if (code !== undefined) out.append(el("code", {}, unescape(code)));
    else if (angle !== undefined) out.append(special(angle));
    else if (face !== undefined) out.append(emoji(face));
    else {
      const tag = bold !== undefined ? "strong" : italic !== undefined ? "em" : "s";
      const node = el(tag);
      inline(node, bold ?? italic ?? strike);
      out.append(node);
    }
    rest = rest.slice(found.index + all.length);
  }
  if (rest) out.append(unescape(rest));
}

function special(body) {
  const [head, label] = splitOnce(body, "|");
  if (head.startsWith("@")) return mention(head.slice(1));
  if (head.startsWith("#")) return channel(head.slice(1), label);
  if (head.startsWith("!date^")) {
    const [, stamp, format, link] = head.split("^");
    return date(Number(stamp), format, link, label);
  }
  if (head.startsWith("!subteam^")) return group(head.slice(9));
  if (head.startsWith("!")) return el("span", { class: "mention loud" }, `@${head.slice(1)}`);
  return anchor(head, label ? unescape(label) : unescape(head.replace(/^mailto:/, "")));
}

function splitOnce(text, mark) {
  const at = text.indexOf(mark);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

export function anchor(url, label) {
  const safe = /^(https?:|mailto:|tel:)/.test(url) ? unescape(url) : "#";
  return el("a", { href: safe, target: "_blank", rel: "noopener noreferrer" }, label);
}

function mention(id) {
  const user = names.users[id];
  const mine = id === names.me ? "mention mine" : "mention";
  return el("span", { class: mine, title: user?.real_name ?? id }, `@${user?.name ?? id}`);
}

function channel(id, label) {
  return el("span", { class: "mention" }, `#${names.channels[id] || label || id}`);
}

function group(id) {
  return el("span", { class: "mention" }, `@${names.groups[id] ?? id}`);
}

export function date(stamp, format, link, fallback) {
  const words = dateWords(stamp, format) || fallback;
  const node = el("time", { datetime: new Date(stamp * 1000).toISOString(), title: fallback }, words);
  if (format.includes("{ago}")) {
    node.dataset.stamp = stamp;
    node.dataset.format = format;
  }
  return link ? el("a", { href: link, target: "_blank", rel: "noopener noreferrer" }, node) : node;
}

export function dateWords(stamp, format) {
  const when = new Date(stamp * 1000);
  const day = (options) => when.toLocaleDateString("en", options);
  const pretty = (text) => near(when) ?? text;
  const full = { year: "numeric", month: "long", day: "numeric" };
  const short = { year: "numeric", month: "short", day: "numeric" };
  const long = { weekday: "long", ...full };
  const parts = {
    date_num: when.toISOString().slice(0, 10), date_slash: day({}),
    date: day(full), date_short: day(short), date_long: day(long),
    date_pretty: pretty(day(full)), date_short_pretty: pretty(day(short)),
    date_long_pretty: pretty(day(long)), day_divider_pretty: pretty(day(full)),
    time: when.toLocaleTimeString("en", { hour: "numeric", minute: "2-digit" }),
    time_secs: when.toLocaleTimeString("en", { timeStyle: "medium" }), ago: ago(stamp),
  };
  return format.replace(/\{(\w+)\}/g, (all, key) => parts[key] ?? all);
}

function near(when) {
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(when).setHours(0, 0, 0, 0)) / 864e5);
  return { 0: "today", 1: "yesterday", "-1": "tomorrow" }[days];
}

function ago(stamp) {
  const seconds = Date.now() / 1000 - stamp;
  const size = Math.abs(seconds);
  const [number, unit] = size < 45 ? [0, ""] : size < 2700 ? [size / 60, "minute"]
    : size < 79200 ? [size / 3600, "hour"] : [size / 86400, "day"];
  if (!unit) return "just now";
  const count = Math.max(1, Math.round(number));
  const words = `${count} ${unit}${count === 1 ? "" : "s"}`;
  return seconds >= 0 ? `${words} ago` : `in ${words}`;
}

// rich text

export function richText(block) {
  return el("div", { class: "rich" }, ...block.elements.map(part));
}

function part(item) {
  if (item.type === "rich_text_list") {
    const tag = item.style === "ordered" ? "ol" : "ul";
    const attributes = { style: `margin-left:${(item.indent ?? 0) * 20}px` };
    return el(tag, attributes, ...item.elements.map((one) => el("li", {}, ...run(one))));
  }
  const tag = { rich_text_preformatted: "pre", rich_text_quote: "blockquote" }[item.type] ?? "div";
  return el(tag, { class: tag === "div" ? "run" : undefined }, ...run(item));
}

function run(item) {
  return item.elements.map((one) => styled(leaf(one), one.style ?? {}));
}

function leaf(one) {
  switch (one.type) {
    case "link": return anchor(one.url, one.text ?? one.url);
    case "user": return mention(one.user_id);
    case "usergroup": return group(one.usergroup_id);
    case "channel": return channel(one.channel_id, "");
    case "emoji": return el("span", {}, emoji(one.name));
    case "date": return date(one.timestamp, one.format, one.url, one.fallback ?? "");
    case "broadcast": return el("span", { class: "mention loud" }, `@${one.range}`);
    case "color": return el("code", {}, one.value);
    default: return document.createTextNode(one.text ?? "");
  }
}

function styled(node, style) {
  let out = node;
  for (const [key, tag] of [["code", "code"], ["bold", "strong"], ["italic", "em"], ["strike", "s"], ["underline", "u"]]) {
    if (style[key]) out = el(tag, {}, out);
  }
  return out;
}
