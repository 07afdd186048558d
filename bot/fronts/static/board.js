// Keeps the board as it is now: told that something changed, it fetches the page and takes its content.
import { forgetPass, tick } from "./common.js";

const PAUSE = 1000, ANYWAY = 30000;
let fetching = false, again = false, pressed = false, last = 0, seen = "";

// What is replaced between the press of a button and its release is not clicked.
for (const [name, is] of [["pointerdown", true], ["pointerup", false], ["pointercancel", false]]) addEventListener(name, () => { pressed = is; }, true);

async function refresh() {
  if (fetching) { again = true; return; }
  fetching = true;
  try {
    const answer = await fetch("/", { headers: { Accept: "text/html" } });
    const page = answer.ok && new DOMParser().parseFromString(await answer.text(), "text/html");
    if (pressed) again = true;
    else if (page) take(page);
    said(answer.ok ? "as of" : "this link has expired; last seen");
  } catch {
    said("not reached; last seen");
  }
  last = Date.now();
  setTimeout(() => { fetching = false; if (again) { again = false; refresh(); } }, PAUSE);
}

function take(page) {
  const held = document.activeElement, address = held?.getAttribute?.("href");
  const open = document.querySelector(".words")?.open;
  for (const place of ["main", ".top time"]) {
    const now = document.querySelector(place), then = page.querySelector(place);
    if (now && then) now.replaceChildren(...document.importNode(then, true).childNodes);
  }
  const clock = page.querySelector(".top time")?.dataset.clock;
  if (clock) document.querySelector(".top time").dataset.clock = clock;
  if (open) document.querySelector(".words").open = true;
  if (address && held && !held.isConnected) document.querySelector(`main a[href="${CSS.escape(address)}"]`)?.focus({ preventScroll: true });
  tick();
}

function said(text) {
  const live = document.getElementById("live");
  if (live.textContent !== text) live.textContent = text;
}

forgetPass();
tick();
setInterval(tick, 1000);
setInterval(() => { if (!document.hidden && Date.now() - last > ANYWAY) refresh(); }, 5000);
document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
const news = new EventSource("/news");
news.onmessage = (event) => {
  if (seen && seen !== event.data) refresh();
  seen = event.data;
};
last = Date.now();
