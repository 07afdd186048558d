// Long lists and long texts: each is cut into pieces, and only those near the screen are there.

const NEAR = "1200px 0px";

export class Window {
  // `make` makes item `place`; `per` items are a piece; `height` is what an item takes at first.
  constructor(container, make, per, height) {
    this.container = container;
    this.make = make;
    this.per = per;
    this.height = typeof height === "function" ? height : () => height;
    this.count = 0;
    this.pieces = [];
    this.watch = new IntersectionObserver((seen) => {
      for (const one of seen) one.isIntersecting ? this.fill(one.target) : this.drop(one.target);
    }, { rootMargin: NEAR });
  }

  // Take in more items; those from `fresh` on may have changed.
  grow(count, fresh = count) {
    const from = Math.min(this.count, fresh);
    this.count = count;
    for (let number = Math.floor(from / this.per); number * this.per < count; number++) {
      const piece = this.pieces[number] || this.piece(number);
      if (piece.filled) this.fill(piece, true);
      else piece.style.height = `${this.guess(number)}px`;
    }
  }

  // Have an item there now, to scroll to it.
  reach(place) {
    const piece = this.pieces[Math.floor(place / this.per)];
    if (piece) this.fill(piece);
  }

  close() {
    this.watch.disconnect();
    this.pieces = [];
    this.count = 0;
  }

  piece(number) {
    const made = document.createElement("div");
    made.className = "window";
    made.number = number;
    this.pieces[number] = made;
    this.container.append(made);
    this.watch.observe(made);
    return made;
  }

  places(number) {
    const first = number * this.per;
    return Array.from({ length: Math.min(this.per, this.count - first) }, (_, n) => first + n);
  }

  guess(number) {
    return this.places(number).reduce((sum, place) => sum + this.height(place), 0);
  }

  fill(piece, again = false) {
    if (piece.filled && !again) return;
    const nodes = this.places(piece.number).map(this.make);
    const same = nodes.length === piece.childNodes.length && nodes.every((node, n) => node === piece.childNodes[n]);
    if (!same) piece.replaceChildren(...nodes);
    piece.style.height = "";
    piece.filled = true;
  }

  drop(piece) {
    if (!piece.filled || piece.contains(document.activeElement)) return;
    piece.style.height = `${piece.offsetHeight}px`;
    piece.replaceChildren();
    piece.filled = false;
  }
}

const CHUNK = 200; // lines

export class Lines {
  // A text that grows, kept in pieces of so many lines.
  constructor() {
    this.pieces = [];
    this.count = 0;
    this.changed = 0;
    this.open = false; // the last line may go on
  }

  get chunks() {
    return this.pieces.length;
  }

  add(text, raw) {
    const lines = text.split("\n");
    if (this.open && lines.length) this.push(this.pop() + lines.shift());
    this.open = Boolean(raw) && lines[lines.length - 1] !== "";
    if (lines.length && lines[lines.length - 1] === "") lines.pop();
    for (const line of lines) this.push(line);
  }

  push(line) {
    let last = this.pieces[this.pieces.length - 1];
    if (!last || last.length >= CHUNK) this.pieces.push((last = []));
    last.push(line);
    this.count += 1;
    this.changed = Math.min(this.changed, this.pieces.length - 1);
  }

  pop() {
    const last = this.pieces[this.pieces.length - 1];
    if (!last) return "";
    this.count -= 1;
    const line = last.pop();
    this.changed = Math.min(this.changed, this.pieces.length - 1);
    if (!last.length) this.pieces.pop();
    return line;
  }

  chunk(place) {
    return this.pieces[place].join("\n");
  }

  size(place) {
    return this.pieces[place].length;
  }

  // The first piece that has changed since this was asked last.
  fresh() {
    const from = this.changed;
    this.changed = this.pieces.length;
    return from;
  }
}
