// Draws an operation's log as it comes: steps, in them hosts, in them tasks with what they printed.
// Nothing is made before it is opened, and of long lists and texts only what is near the screen.
import { clock, duration, forgetPass, tick } from "./common.js";
import { Lines, Window } from "./window.js";

const MARKS = { done: "ok", running: "run", failed: "bad", skipped: "off", cancelled: "off", pending: "wait", waiting: "ask", queued: "wait" };
const OPENED = 20; // failed tasks that open by themselves
const main = document.getElementById("main"), log = document.getElementById("log");
const by = (id) => document.getElementById(id);
const steps = new Map(), titles = new Map(), hosts = new Set(), failures = [], dirty = new Set();
let current = null, last = null, lines = 0, opened = 0, over = false, filter = "", began = Number(main.dataset.started || 0), drawing = 0;

function el(name, kind, text) {
  const made = document.createElement(name);
  if (kind) made.className = kind;
  if (text !== undefined) made.textContent = text;
  return made;
}

function mark(name) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  made.setAttribute("class", `mark ${name}`);
  made.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#m-${name}`);
  made.append(use);
  return made;
}

// A part that folds: its content is made when it is opened, and thrown away when it is closed.
class Fold {
  constructor(kind, title) {
    this.kind = kind;
    this.title = title;
    this.state = "pending";
    this.note = "";
    this.meta = "";
    this.open = false;
    this.touched = false; // by the reader, who knows better than we
    this.element = null;
  }

  get node() {
    if (this.element) return this.element;
    const made = el("details", this.kind), head = el("summary");
    this.parts = { name: el("span", "name"), word: el("span", "word fine"), note: el("span", "note"), meta: el("span", "meta") };
    head.append(mark("wait"), this.parts.name, this.parts.word, this.parts.note, this.parts.meta);
    head.addEventListener("click", () => { this.touched = true; });
    made.append(head);
    made.addEventListener("toggle", () => {
      this.open = made.open;
      if (made.open) this.fill(); else this.empty();
    });
    made.fold = this;
    this.element = made;
    this.draw();
    return made;
  }

  draw() {
    if (!this.element) return;
    const { name, word, note, meta } = this.parts, sign = MARKS[this.state] || "wait";
    const old = this.element.firstChild.firstChild;
    if (!old.classList.contains(sign)) old.replaceWith(mark(sign));
    put(name, this.title);
    put(word, ["done", "pending"].includes(this.state) && this.kind !== "step" ? "" : this.state);
    put(note, this.note);
    put(meta, this.meta);
    this.element.classList.toggle("bad", this.state === "failed");
    if (this.element.open !== this.open) this.element.open = this.open;
    if (this.open) this.fill();
  }

  show(open) {
    if (this.touched) return;
    this.open = open;
    dirty.add(this);
  }

  get body() {
    if (!this.inside) { this.inside = el("div", "body"); this.element.append(this.inside); }
    return this.inside;
  }

  fill() {}

  empty() {
    this.inside?.remove();
    this.inside = null;
  }
}

class Step extends Fold {
  constructor(id) {
    super("step", titles.get(id) || id);
    this.id = id;
    this.hosts = new Map();
    this.notes = [];
    this.began = this.ended = 0;
    this.progress = "";
  }

  host(name) {
    if (!this.hosts.has(name)) {
      this.hosts.set(name, new Host(name, this));
      if (name && !hosts.has(name)) {
        hosts.add(name);
        by("hosts").append(Object.assign(document.createElement("option"), { value: name }));
      }
    }
    return this.hosts.get(name);
  }

  draw() {
    const time = this.ended && this.began ? duration(this.ended - this.began) : "";
    this.meta = [this.progress, time].filter(Boolean).join(" · ");
    super.draw();
  }

  fill() {
    const body = this.body;
    this.shownNotes ??= 0;
    if (body.childElementCount === 0) { this.shownNotes = 0; this.shownHosts = 0; }
    while (this.shownNotes < this.notes.length) body.insertBefore(this.notes[this.shownNotes++](), body.querySelector(".host"));
    if (this.shownHosts < this.hosts.size) {
      [...this.hosts.values()].slice(this.shownHosts).forEach((host) => body.append(host.node));
      this.shownHosts = this.hosts.size;
    }
    for (const host of this.hosts.values()) host.node.hidden = Boolean(filter) && !host.title.toLowerCase().includes(filter);
  }
}

class Host extends Fold {
  constructor(name, step) {
    super("host", name || "here");
    this.step = step;
    this.tasks = [];
    this.lines = 0;
    this.state = "running";
  }

  add(name, ok) {
    const last = this.tasks[this.tasks.length - 1];
    if (last && last.title === name && last.ok === ok) return last;
    const task = new Task(name, ok, this);
    this.tasks.push(task);
    return task;
  }

  draw() {
    this.meta = [this.tasks.length > 1 ? `${this.tasks.length} tasks` : "", this.lines ? count(this.lines) : ""].filter(Boolean).join(" · ");
    super.draw();
  }

  fill() {
    if (!this.inside) this.window = new Window(this.body, (place) => this.tasks[place].node, 100, 32);
    this.window.grow(this.tasks.length, this.tasks.length - 1); // the last may have got lines
  }

  empty() {
    this.window?.close();
    super.empty();
  }
}

class Task extends Fold {
  constructor(name, ok, host) {
    super("task", name);
    this.ok = ok;
    this.host = host;
    this.state = ok ? "done" : "failed";
    this.text = new Lines();
  }

  get node() {
    if (this.element || this.text.count) return super.node;
    const flat = el("div", `task flat${this.ok ? "" : " bad"}`);
    flat.append(mark(this.ok ? "ok" : "bad"), el("span", "name", this.title));
    if (!this.ok) flat.append(el("span", "word fine", "failed"));
    return flat;
  }

  draw() {
    this.meta = this.text.count ? count(this.text.count) : "";
    super.draw();
  }

  fill() {
    if (!this.inside) {
      this.inside = el("div", "said");
      this.inside.tabIndex = 0;
      this.inside.setAttribute("role", "region");
      this.inside.setAttribute("aria-label", `output of ${this.title}`);
      this.element.append(this.inside);
      this.window = new Window(this.inside, (place) => el("pre", "", this.text.chunk(place)), 1, (place) => 20 * this.text.size(place));
    }
    this.window.grow(this.text.chunks, this.text.fresh());
  }

  empty() {
    this.window?.close();
    super.empty();
  }
}

function count(number) {
  return number === 1 ? "1 line" : `${number.toLocaleString("en")} lines`;
}

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function step(id) {
  if (!steps.has(id)) {
    const made = new Step(id);
    steps.set(id, made);
    log.append(made.node);
  }
  return steps.get(id);
}

function line(kind, at, said) {
  const made = el("div", `line ${kind}`);
  made.append(el("span", "at", clock(at)), el("div", "", said.join("\n")));
  return made;
}

function turn(id, at) {
  const now = step(id);
  if (current !== now) {
    if (current && current.state === "running") current.state = "done";
    if (current) current.show(current.state === "failed");
    current = last = now;
    tell(`${now.title} began`);
  }
  now.began ||= at;
  now.state = "running";
  now.show(true);
  return now;
}

const TAKE = {
  plan(e) {
    for (const [id, title] of e.steps) titles.set(id, title); // as steps they stand below the plan
    const made = el("details", "step plan"), head = el("summary"), body = el("div", "body");
    head.append(el("span", "name", "the plan"), el("span", "note", e.title), el("span", "meta", clock(e.at)));
    body.append(line("", e.at, [e.title, ...e.t]));
    made.append(head, body);
    log.append(made);
    for (const [id] of e.steps) step(id);
  },
  step(e) {
    const now = turn(e.id, e.at);
    now.note = e.t || now.note;
    if (e.total) now.progress = `${e.done} of ${e.total}`;
    else if (e.done === undefined) now.progress = "";
  },
  over(e) {
    const ended = step(e.id);
    ended.state = e.state;
    ended.ended = e.at;
    ended.note = e.t || (e.state === "failed" ? ended.note : "");
    if (e.state !== "failed") ended.progress = "";
    ended.show(e.state === "failed");
    if (current === ended) current = null;
    dirty.add(ended);
    tell(`${ended.title} ${e.state}`);
  },
  host(e) {
    const mine = e.id ? step(e.id) : current || step("output"), host = mine.host(e.h);
    host.note = e.t;
    host.state = e.ok ? "done" : "failed";
    dirty.add(host).add(mine);
  },
  out(e) {
    const mine = current || last || step("output");
    if (mine.id === "output" && mine.state === "pending") { mine.state = over ? "done" : "running"; mine.show(true); }
    const host = mine.host(e.h), task = host.add(e.task, e.ok), before = task.text.count;
    if (mine.id === "output" && mine.hosts.size === 1) { host.show(true); task.show(true); }
    if (e.t) task.text.add(e.t, e.raw);
    host.lines += task.text.count - before;
    lines += task.text.count - before;
    if (!e.ok) {
      host.state = "failed";
      failures.push(task);
      if (opened++ < OPENED) for (const one of [mine, host, task]) one.show(true);
    }
    dirty.add(task).add(host).add(mine);
  },
  question(e) { ending("asking", e.t); log.append(line("question", e.at, e.t)); },
  end(e) {
    for (const one of steps.values()) {
      if (one.state === "running") { one.state = e.state; one.ended = e.at; dirty.add(one); }
      for (const host of one.hosts.values()) if (host.state === "running") { host.state = "done"; dirty.add(host); }
    }
    over = true;
    ended(e);
    log.append(line("", e.at, e.t));
  },
};

function take(e) {
  const doing = TAKE[e.k];
  if (doing) { doing(e); return; }
  if (current && e.k === "note") {
    current.notes.push(() => line("loose", e.at, e.t));
    dirty.add(current);
  } else log.append(line(e.k, e.at, e.t));
}

function ending(kind, said) {
  const place = by("ending");
  place.className = `ending ${kind}`;
  place.replaceChildren(...said.filter(Boolean).map((text) => el("p", "", text)));
  place.hidden = said.length === 0;
}

function ended(e) {
  ending(e.state, e.t);
  if (main.dataset.state === e.state) return;
  main.dataset.state = e.state;
  const state = by("state");
  state.className = `state ${e.state}`;
  state.replaceChildren(mark(MARKS[e.state] || "off"), " ", el("span", "word", e.state));
  if (by("took") && began) put(by("took"), `took ${duration(e.at - began)}`);
  tell(`it ended: ${e.state}`);
}

function tell(said) {
  // Only of an operation that goes on: what is over is not news.
  if (["running", "queued"].includes(main.dataset.state) || over) news = said;
}
let news = "", told = "";

function draw() {
  drawing = 0;
  for (const one of dirty) one.draw();
  dirty.clear();
  put(by("count"), lines ? count(lines) : "");
  by("next").hidden = failures.length === 0;
  if (news && news !== told && main.dataset.live) { told = news; by("news").textContent = news; }
}

function soon() {
  drawing ||= requestAnimationFrame(draw);
}

by("host").addEventListener("input", (event) => {
  filter = event.target.value.trim().toLowerCase();
  for (const one of steps.values()) dirty.add(one);
  soon();
});
by("fold").addEventListener("click", () => {
  const open = [...steps.values()].some((one) => one.open);
  for (const one of steps.values()) { one.open = !open; one.touched = true; dirty.add(one); }
  put(by("fold"), open ? "open all" : "fold all");
  soon();
});
let failure = -1;
by("next").addEventListener("click", () => {
  const task = failures[(failure = (failure + 1) % failures.length)];
  for (const one of [task.host.step, task.host, task]) { one.open = true; one.touched = true; one.draw(); }
  task.host.window?.reach(task.host.tasks.indexOf(task));
  task.node.scrollIntoView({ block: "center" });
  task.node.querySelector("summary")?.focus({ preventScroll: true });
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input")) return;
  const way = { j: 1, k: -1 }[event.key];
  if (!way) return;
  const all = [...log.querySelectorAll("summary")].filter((one) => one.offsetParent);
  const place = all.indexOf(document.activeElement);
  all[Math.min(all.length - 1, Math.max(0, place + way))]?.focus();
});

forgetPass();
tick();
setInterval(tick, 1000);
main.dataset.live = ["running", "queued", "waiting"].includes(main.dataset.state) ? "yes" : "";
const stream = new EventSource(`/operations/${main.dataset.operation}/events`);
stream.onmessage = (event) => {
  for (const one of JSON.parse(event.data)) take(one);
  soon();
};
stream.addEventListener("end", () => {
  stream.close();
  draw();
  main.dataset.complete = "yes";
});
