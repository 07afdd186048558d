// Times that every reader sees in their own zone, and that go on; shared by all pages.

export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  for (const [size, unit, small, smallUnit] of [[86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]]) {
    if (whole >= size) {
      const rest = Math.floor((whole % size) / small);
      return `${Math.floor(whole / size)} ${unit}` + (rest ? ` ${rest} ${smallUnit}` : "");
    }
  }
  return `${whole} s`;
}

// As a length of time, but only roughly.
export function about(seconds) {
  return duration(seconds).split(" ").slice(0, 2).join(" ");
}

export function clock(at) {
  return new Date(at * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
}

export function tick() {
  const now = Date.now() / 1000;
  for (const one of document.querySelectorAll("[data-at]")) {
    set(one, `${about(now - one.dataset.at)} ago`);
    one.title = new Date(one.dataset.at * 1000).toLocaleString();
  }
  for (const one of document.querySelectorAll("[data-until]")) {
    set(one, one.dataset.until > now ? `in ${about(one.dataset.until - now)}` : "now");
    one.title = new Date(one.dataset.until * 1000).toLocaleString();
  }
  for (const one of document.querySelectorAll("[data-since]")) set(one, duration(now - one.dataset.since));
  for (const one of document.querySelectorAll("[data-clock]")) set(one, clock(one.dataset.clock));
}

export function forgetPass() {
  // The cookie has it now; an address that is copied or photographed should not.
  const here = new URL(location.href);
  if (!here.searchParams.has("pass")) return;
  here.searchParams.delete("pass");
  history.replaceState(null, "", here.pathname + here.search + here.hash);
}

function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
