// Blocks as DOM nodes; `act(element, block, value)` is what happens when something is pressed.

import { anchor, el, mrkdwn, richText, textObject } from "./mrkdwn.js";

export function blocks(list, act) {
  return el("div", { class: "blocks" }, ...list.map((block) => one(block, act)));
}

function one(block, act) {
  const draw = DRAW[block.type];
  const node = draw ? draw(block, act) : el("p", { class: "unknown" }, `[${block.type}]`);
  node.classList.add("block", `b-${block.type}`);
  return node;
}

const DRAW = {
  section(block, act) {
    const text = el("div", { class: "words" });
    if (block.text) text.append(textObject(block.text));
    if (block.fields) {
      text.append(el("div", { class: "fields" }, ...block.fields.map((one) => el("div", {}, textObject(one)))));
    }
    return el("div", {}, text, block.accessory ? element(block.accessory, block, act) : null);
  },
  header: (block) => el("h3", {}, textObject(block.text)),
  divider: () => el("hr"),
  context: (block) => el("div", {}, ...block.elements.map((one) =>
    one.type === "image" ? image(one) : textObject(one))),
  actions: (block, act) => el("div", {}, ...block.elements.map((one) => element(one, block, act))),
  context_actions: (block, act) => el("div", {}, ...block.elements.flatMap((one) =>
    one.type === "feedback_buttons"
      ? [one.positive_button, one.negative_button].map((button) =>
          element({ ...button, type: "button", action_id: one.action_id }, block, act))
      : [element({ ...one, type: "button" }, block, act)])),
  image: (block) => el("figure", {}, block.title ? el("figcaption", {}, textObject(block.title)) : null, image(block)),
  rich_text: (block) => richText(block),
  markdown: (block) => markdown(block.text),
  plan,
  task_card: (block) => el("div", {}, task(block)),
  table: (block) => el("div", {}, el("table", {}, ...block.rows.map((row, number) =>
    el("tr", {}, ...row.map((cell) => el(number ? "td" : "th", {}, cellOf(cell))))))),
  alert: (block) => el("div", { role: "alert" }, textObject(block.text)),
  video: (block) => el("div", {}, anchor(block.video_url, textObject(block.title))),
  card: (block, act) => el("div", {}, el("strong", {}, textObject(block.title)), textObject(block.subtitle),
    textObject(block.body), ...(block.actions ?? []).map((one) => element(one, block, act))),
  carousel: (block, act) => el("div", {}, ...block.elements.map((one) => DRAW.card(one, act))),
  container: (block, act) => el("div", {}, textObject(block.title), blocks(block.child_blocks, act)),
  input(block, act) {
    const label = el("div", { class: "label" }, textObject(block.label),
      block.optional ? el("small", {}, " (optional)") : null);
    return el("label", { "data-block": block.block_id, "data-action": block.element.action_id }, label,
      field(block.element, block, block.dispatch_action ? act : null),
      block.hint ? el("small", { class: "hint" }, textObject(block.hint)) : null,
      el("small", { class: "mistake" }));
  },
};

// plans

const STATES = { complete: "done", in_progress: "in progress", error: "failed", pending: "waiting" };

function plan(block) {
  const tasks = block.tasks ?? [];
  const done = tasks.filter((one) => one.status === "complete").length;
  const count = tasks.length ? el("small", {}, `${done}/${tasks.length}`) : null;
  return el("section", {}, el("div", { class: "plan-title" }, block.title, count),
    el("ol", {}, ...tasks.map((one) => el("li", {}, task(one)))));
}

function task(one) {
  const status = one.status ?? "pending";
  const more = [];
  if (one.details) more.push(el("div", { class: "details" }, richText(one.details)));
  if (one.output) more.push(el("div", { class: "output" }, richText(one.output)));
  if (one.sources) {
    more.push(el("div", { class: "sources" }, ...one.sources.map((source) => anchor(source.url, source.text))));
  }
  return el("div", { class: `task ${status}` },
    el("span", { class: "mark", role: "img", "aria-label": STATES[status] ?? status, title: STATES[status] }),
    el("div", { class: "task-body" }, el("div", { class: "task-title" }, one.title), ...more));
}

// the rest

function image(one) {
  return el("img", { src: one.image_url ?? "", alt: one.alt_text, loading: "lazy" });
}

function cellOf(cell) {
  return cell.type === "rich_text" ? richText(cell) : String(cell.text ?? cell.value ?? "");
}

function markdown(text) {
  const out = el("div", { class: "mrkdwn" });
  for (const piece of text.split(/\n{2,}/)) {
    const heading = /^#{1,6} (.*)$/.exec(piece);
    const slack = piece.replace(/\*\*(.+?)\*\*/g, "*$1*").replace(/\[([^\]]+)\]\(([^)]+)\)/g, "<$2|$1>")
      .replace(/^[-*] /gm, "• ");
    out.append(heading ? el("h3", {}, heading[1]) : mrkdwn(slack));
  }
  return out;
}

export function element(one, block, act) {
  if (one.type === "image") return image(one);
  if (one.type === "button" || one.type === "workflow_button") {
    const press = () => {
      if (one.url) window.open(one.url, "_blank", "noopener");
      act(one, block, one.value ?? null);
    };
    return el("button", { type: "button", class: `button ${one.style ?? ""}`, "aria-label": one.accessibility_label,
      onclick: press }, textObject(one.text));
  }
  if (one.type === "overflow") {
    const choose = (option) => () => act(one, block, option.value);
    return el("details", { class: "overflow" }, el("summary", { "aria-label": "more" }, "⋯"),
      el("div", { class: "menu" }, ...one.options.map((option) =>
        el("button", { type: "button", onclick: choose(option) }, textObject(option.text)))));
  }
  return field(one, block, act);
}

// Inputs: in a form they keep their value until it is sent; elsewhere a change is an action.
export function field(one, block, act) {
  const changed = (value) => act && act(one, block, value);
  const groups = one.option_groups ?? [];
  const options = [...(one.options ?? []), ...groups.flatMap((group) => group.options)];
  if (one.type === "checkboxes" || one.type === "radio_buttons") return choices(one, block, options, changed);
  if (one.type.endsWith("_select")) return select(one, options, changed);
  const kind = { datepicker: "date", timepicker: "time", datetimepicker: "datetime-local",
    number_input: "number", email_text_input: "email", url_text_input: "url" }[one.type] ?? "text";
  const initial = one.initial_value ?? one.initial_date ?? one.initial_time ?? "";
  const attributes = { placeholder: one.placeholder?.text, maxlength: one.max_length, minlength: one.min_length,
    onchange: (event) => changed(event.target.value) };
  const node = one.multiline ? el("textarea", { rows: 4, ...attributes }) : el("input", { type: kind, ...attributes });
  node.value = initial;
  node.read = () => node.value;
  return node;
}

function choices(one, block, options, changed) {
  const many = one.type === "checkboxes";
  const initial = new Set((many ? one.initial_options ?? [] : [one.initial_option]).map((option) => option?.value));
  const name = `${block.block_id}-${one.action_id}`;
  const node = el("div", { class: "choices" }, ...options.map((option) =>
    el("span", { class: "choice" }, el("label", {}, el("input", { type: many ? "checkbox" : "radio", name, value: option.value,
      checked: initial.has(option.value) }), textObject(option.text)),
      option.description ? el("small", {}, textObject(option.description)) : null)));
  node.read = () => {
    const picked = [...node.querySelectorAll("input:checked")].map((input) => input.value);
    return many ? picked : picked[0] ?? null;
  };
  node.addEventListener("change", () => changed(node.read()));
  return node;
}

function select(one, options, changed) {
  const many = one.type.startsWith("multi_");
  const people = /users|channels|conversations/.exec(one.type);
  const list = people ? directory(people[0]) : options.map((option) => [option.value, option.text.text]);
  const initial = [one.initial_options ?? [], one.initial_option ?? [], one.initial_user ?? one.initial_channel ??
    one.initial_conversation ?? []].flat().map((option) => option.value ?? option);
  const node = el("select", { multiple: many }, many ? null : el("option", { value: "" }, one.placeholder?.text ?? "Choose…"),
    ...list.map(([value, label]) => el("option", { value, selected: initial.includes(value) }, label)));
  node.read = () => many ? [...node.selectedOptions].map((option) => option.value) : node.value || null;
  node.addEventListener("change", () => changed(node.read()));
  return node;
}

let directory = () => [];

export function knowDirectory(list) {
  directory = list;
}
