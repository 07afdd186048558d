// Emoji by shortcode: the usual ones drawn here, since not every machine has a font for them.

const RED = "#d92f45";
const GREEN = "#2f9e5b";
const BLUE = "#3b88c3";
const YELLOW = "#f2b632";
const tile = (colour, inner) => `<rect x="1" y="1" width="16" height="16" rx="3" fill="${colour}"/>${inner}`;
const disc = (colour, inner = "") => `<circle cx="9" cy="9" r="8" fill="${colour}"/>${inner}`;
const line = (path, colour = "#fff", width = 2.2) =>
  `<path d="${path}" fill="none" stroke="${colour}" stroke-width="${width}" stroke-linecap="round" stroke-linejoin="round"/>`;
const shape = (path, colour = "#fff") => `<path d="${path}" fill="${colour}"/>`;

const CHECK = "M4.5 9.5l3 3 6-7";
const CROSS = "M4 4l10 10M14 4L4 14";
const AROUND = "M4.2 8a5 5 0 0 1 9-2.4M13.8 10a5 5 0 0 1-9 2.4";
const TIPS = "M14.6 3v3.6H11zM3.4 15v-3.6H7z";
const SAND = shape("M4 2h10v2l-4 5 4 5v2H4v-2l4-5-4-5z", "#8aa4b8") + shape("M6 14.5h6L9 11zM6.4 5h5.2L9 8.2z", YELLOW);

const DRAWN = {
  white_check_mark: tile(GREEN, line(CHECK)),
  ballot_box_with_check: tile(BLUE, line(CHECK)),
  heavy_check_mark: line("M3 10l4 4 8-10", GREEN, 2.6),
  x: line(CROSS, RED, 3),
  negative_squared_cross_mark: tile(GREEN, line("M5 5l8 8M13 5l-8 8")),
  warning: shape("M9 1.5L17.5 16.5H.5z", YELLOW) + line("M9 6.5v4.5M9 13.8v.1", "#3a2a00", 1.9),
  arrows_counterclockwise: tile(BLUE, line(AROUND, "#fff", 1.8) + shape(TIPS)),
  arrows_clockwise: tile(BLUE, line(AROUND, "#fff", 1.8) + shape(TIPS)),
  repeat: tile(BLUE, line("M4 8V6.5h9M14 10v1.5H5", "#fff", 1.6) + shape("M12 4l3 2.5-3 2.5zM6 9l-3 2.5 3 2.5z")),
  hourglass: SAND,
  hourglass_flowing_sand: SAND,
  no_entry: disc(RED, line("M5 9h8", "#fff", 2.8)),
  no_entry_sign: `<circle cx="9" cy="9" r="6.8" fill="none" stroke="${RED}" stroke-width="2.4"/>` + line("M4.5 4.5l9 9", RED, 2.4),
  octagonal_sign: shape("M6 1.5h6L16.5 6v6L12 16.5H6L1.5 12V6z", RED),
  stop_sign: shape("M6 1.5h6L16.5 6v6L12 16.5H6L1.5 12V6z", RED),
  large_green_circle: disc(GREEN), large_yellow_circle: disc(YELLOW), large_orange_circle: disc("#ee8c33"),
  red_circle: disc(RED), large_blue_circle: disc(BLUE), black_circle: disc("#2b2d30"),
  white_circle: `<circle cx="9" cy="9" r="7.2" fill="none" stroke="#9aa0a6" stroke-width="1.8"/>`,
  large_green_square: tile(GREEN, ""), large_yellow_square: tile(YELLOW, ""), large_red_square: tile(RED, ""),
  question: line("M6 6a3 3 0 1 1 4.5 2.6C9.3 9.3 9 10 9 11M9 14.3v.1", RED, 2.4),
  exclamation: line("M9 3v8M9 14.8v.1", RED, 2.8),
  information_source: tile(BLUE, line("M9 8.5v4.5M9 5.2v.1")),
  fast_forward: tile(BLUE, shape("M4 5l5 4-5 4zM9 5l5 4-5 4z")),
  rewind: tile(BLUE, shape("M14 5L9 9l5 4zM9 5L4 9l5 4z")),
  arrow_forward: tile(BLUE, shape("M6 4.5L13 9l-7 4.5z")),
  double_vertical_bar: tile(BLUE, shape("M5.5 5h2.5v8H5.5zM10 5h2.5v8H10z")),
  lock: line("M6 8V6a3 3 0 0 1 6 0v2", "#8a8f94", 1.8) + `<rect x="4" y="8" width="10" height="8" rx="1.5" fill="${YELLOW}"/>`,
  unlock: line("M6 8V5a3 3 0 0 1 5.8-1", "#8a8f94", 1.8) + `<rect x="4" y="8" width="10" height="8" rx="1.5" fill="${YELLOW}"/>`,
  key: `<circle cx="5.5" cy="9" r="3.2" fill="none" stroke="${YELLOW}" stroke-width="2"/>` + line("M9 9h7M13.5 9v3M16 9v2.5", YELLOW, 2),
  rotating_light: shape("M4 13V9a5 5 0 0 1 10 0v4z", RED) + shape("M3 13h12v3H3z", "#8a8f94"),
  package: shape("M2 5l7-3 7 3v8l-7 3-7-3z", "#c58b52") + line("M2 5l7 3 7-3M9 8v8", "#8b5a2b", 1.2),
  rocket: shape("M9 1c3 2 4 5 3.5 9h-7C5 6 6 3 9 1z", "#c9d1d9") + `<circle cx="9" cy="6" r="1.6" fill="${BLUE}"/>` + shape("M5.5 8L3 12l2.5-.5zM12.5 8l2.5 4-2.5-.5zM7.5 11h3L9 16z", RED),
  eyes: `<ellipse cx="5.5" cy="9" rx="3.4" ry="5" fill="#fff" stroke="#8a8f94"/><ellipse cx="12.5" cy="9" rx="3.4" ry="5" fill="#fff" stroke="#8a8f94"/>` + `<circle cx="4.8" cy="10" r="1.7" fill="#222"/><circle cx="11.8" cy="10" r="1.7" fill="#222"/>`,
  bell: shape("M9 2a5 5 0 0 1 5 5v4l1.5 2.5h-13L4 11V7a5 5 0 0 1 5-5zM7.5 14.5h3a1.5 1.5 0 0 1-3 0z", YELLOW),
  stopwatch: `<circle cx="9" cy="10" r="6" fill="none" stroke="#8a8f94" stroke-width="2"/>` + line("M9 10V6.5M7.5 1.5h3", "#8a8f94", 1.8),
  memo: shape("M4 2h10v14H4z", "#e8e8e8") + line("M6 5.5h6M6 8.5h6M6 11.5h4", "#8a8f94", 1.2),
  page_facing_up: shape("M4 1.5h7l3.5 3.5v11.5H4z", "#e3e6ea") + line("M6 7.5h6M6 10.5h6M6 13h4", "#8a8f94", 1.1),
  wave: shape("M5 16c-3-3-3.5-6-3-8l1.5.5 1 2.500L4 4l1.5-.5 1.5 5L7.5 2 9 2l.5 6 1.5-5 1.5.5-1 6 2-1 1 1.200C13 13 11 16 9 17z", YELLOW),
  tada: shape("M2 16L6 5l7 7z", YELLOW) + line("M10 6c0-2 1-3 2.5-3.500M13 9c1.5-.5 2.5 0 3.5 1M12 6.500l3-3", RED, 1.5) + `<circle cx="8" cy="3" r="1" fill="${BLUE}"/><circle cx="15.5" cy="6.5" r="1" fill="${GREEN}"/>`,
  speech_balloon: `<path d="M2.5 3.5h13v8.5H8l-3.5 3v-3h-2z" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linejoin="round"/>`,
  eye: `<path d="M1.5 9S4 4 9 4s7.5 5 7.5 5S14 14 9 14 1.5 9 1.5 9z" fill="none" stroke="currentColor" stroke-width="1.3"/><circle cx="9" cy="9" r="2.2" fill="currentColor"/>`,
};

const FACES = {
  closed_lock_with_key: "🔐", green_heart: "💚", heart: "❤️", thumbsup: "👍", "+1": "👍",
  thumbsdown: "👎", "-1": "👎", pray: "🙏", clap: "👏", fire: "🔥", boom: "💥", bug: "🐛",
  wrench: "🔧", hammer_and_wrench: "🛠️", gear: "⚙️", camera: "📷", camera_with_flash: "📸",
  floppy_disk: "💾", wastebasket: "🗑️", scissors: "✂️", broom: "🧹", clock1: "🕐",
  alarm_clock: "⏰", calendar: "📆", spiral_calendar_pad: "🗓️", snowflake: "❄️", mag: "🔍",
  link: "🔗", scroll: "📜", bar_chart: "📊", chart_with_upwards_trend: "📈", bulb: "💡", dog: "🐶",
  wolf: "🐺", paw_prints: "🐾", feet: "🐾", robot_face: "🤖", computer: "💻", satellite: "📡",
  construction: "🚧", traffic_light: "🚦", checkered_flag: "🏁", heavy_minus_sign: "➖",
  heavy_plus_sign: "➕", point_right: "👉", arrow_right: "➡️", arrow_up: "⬆️", arrow_down: "⬇️",
  bust_in_silhouette: "👤", busts_in_silhouette: "👥", radio_button: "🔘", zzz: "💤",
  sweat_smile: "😅", cry: "😢", smile: "😄", slightly_smiling_face: "🙂", thinking_face: "🤔",
  ghost: "👻", sparkles: "✨",
};

export function emoji(name) {
  const node = document.createElement("span");
  node.title = `:${name}:`;
  if (DRAWN[name]) {
    node.className = "emoji";
    node.setAttribute("role", "img");
    node.setAttribute("aria-label", name.replaceAll("_", " "));
    node.innerHTML = `<svg viewBox="0 0 18 18" aria-hidden="true">${DRAWN[name]}</svg>`;
  } else {
    node.textContent = FACES[name] ?? `:${name}:`;
  }
  return node;
}
