/**
 * Holes painted on a picture by mouse, touch, pen or keyboard: a mask [height * width], 1 = visible.
 *
 * One source for three places: the widget of a notebook (`figures.brush`, with `widget.mjs` behind this), the page of
 * `rusr app`, and the book's live pages, into which `book/live/pack.py` packs this file.
 */
const HELP =
  "Paint holes: drag, or with the keyboard move by the arrow keys, paint with space, change the brush with " +
  "plus and minus, take the last stroke back with control and Z, clear with delete";
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const KEYS = [" ", "+", "=", "-", "Delete", "Backspace", ...Object.keys(MOVES)];
const WIDTHS = [0.02, 0.5]; // of the brush, shares of the picture's shorter side
const REMEMBERED = 2 ** 25; // bytes of masks that can be taken back to

class Brush {
  /**
   * `changed` is called after each stroke. The canvas shows the picture with its holes; off until `on(true)`. What
   * `tools` show follows the event "brush" of the canvas: another width, or something to take back.
   */
  constructor(canvas, { width, height }, changed) {
    Object.assign(this, { canvas, width, height, changed, picture: null, enabled: false, outlined: false });
    this.side = Math.min(width, height);
    this.mask = new Float32Array(width * height).fill(1);
    this.before = []; // masks to take back to, the newest last
    this.radius = this.side / 16;
    this.at = [width / 2, height / 2];
    this.last = null; // where a stroke has come to
    this.pressed = false; // whether it began on the canvas: a button that was pressed elsewhere paints nothing
    const handlers = {
      pointerdown: (event) => this.press(event),
      pointermove: (event) => this.drag(event),
      pointerup: (event) => event.isPrimary && this.lift(), // a second finger ends nothing
      pointercancel: (event) => event.isPrimary && this.lift(),
      pointerleave: () => this.outline(false),
      keydown: (event) => this.key(event),
      focus: () => this.outline(canvas.matches(":focus-visible")),
      blur: () => this.outline(false),
    };
    for (const [name, handler] of Object.entries(handlers)) canvas.addEventListener(name, handler);
  }

  /** Tell `tools`. */
  tell() {
    this.canvas.dispatchEvent(new Event("brush"));
  }

  /** Keep the mask as it is before something changes it. */
  remember() {
    this.before.push(this.mask.slice());
    if (this.before.length > Math.max(REMEMBERED / this.mask.byteLength, 1)) this.before.shift();
  }

  /** Take the last stroke, or what cleared the holes, back. */
  undo() {
    if (!this.enabled || !this.before.length) return;
    const mask = this.before.pop();
    this.lift();
    this.load(mask);
    this.changed();
  }

  /** Another mask [height * width], whose owner knows it. */
  load(mask) {
    this.mask.set(mask);
    this.show();
    this.tell();
  }

  /** The brush's width, a share of the picture's shorter side. */
  get size() {
    return (2 * this.radius) / this.side;
  }
  set size(value) {
    this.radius = (Math.min(Math.max(value, WIDTHS[0]), WIDTHS[1]) * this.side) / 2;
    this.show();
    this.tell();
  }

  /** Hide a disc; a soft border of one pixel. */
  disc([cx, cy]) {
    const { width, height, mask, radius } = this,
      first = (c) => Math.max(Math.floor(c - radius), 0),
      end = (c, side) => Math.min(Math.ceil(c + radius), side);
    for (let y = first(cy); y < end(cy, height); y++)
      for (let x = first(cx); x < end(cx, width); x++) {
        const edge = Math.hypot(x + 0.5 - cx, y + 0.5 - cy) - radius + 0.5;
        mask[y * width + x] = Math.min(mask[y * width + x], Math.max(edge, 0));
      }
  }

  /** A stroke from where the last one came to: a quick finger leaves no gaps. */
  stroke(to) {
    const from = this.last || to,
      pieces = Math.max(Math.ceil((2 * Math.hypot(to[0] - from[0], to[1] - from[1])) / this.radius), 1);
    for (let k = 1; k <= pieces; k++) this.disc(from.map((v, c) => v + ((to[c] - v) * k) / pieces));
    this.last = this.at = to;
    this.show();
    this.changed();
  }

  show() {
    const { canvas, width, height, picture, mask } = this;
    if (!picture) return;
    const rgba = new Uint8ClampedArray(picture.rgba);
    if (this.enabled)
      for (let p = 0; p < mask.length; p++) if (mask[p] < 1) for (let c = 0; c < 3; c++) rgba[4 * p + c] *= mask[p];
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d");
    context.putImageData(new ImageData(rgba, width, height), 0, 0);
    if (!this.enabled || !this.outlined) return;
    context.lineWidth = Math.max(this.side / 128, 1);
    const dashes = [3 * context.lineWidth, 2 * context.lineWidth];
    for (const [colour, dash] of Object.entries({ "#000": [], "#fff": dashes })) {
      context.strokeStyle = colour; // on dark and on light pictures
      context.setLineDash(dash);
      context.beginPath();
      context.arc(...this.at, this.radius, 0, 2 * Math.PI);
      context.stroke();
    }
  }

  /** Whether the brush's outline is drawn where it would paint. */
  outline(value) {
    if (value === this.outlined) return;
    this.outlined = value;
    this.show();
  }

  press(event) {
    if (!this.enabled || !event.isPrimary || event.button !== 0) return; // a second finger zooms or does nothing
    this.canvas.setPointerCapture(event.pointerId);
    this.lift();
    this.pressed = true;
    this.remember();
    this.drag(event);
  }

  lift() {
    this.last = null;
    this.pressed = false;
    this.tell();
  }

  drag(event) {
    if (!this.enabled || !event.isPrimary) return;
    const box = this.canvas.getBoundingClientRect(),
      to = [
        ((event.clientX - box.left) / box.width) * this.width,
        ((event.clientY - box.top) / box.height) * this.height,
      ];
    this.outlined = event.pointerType === "mouse" && !(event.buttons & 1);
    if (this.pressed && event.buttons & 1) this.stroke(to);
    else if (this.outlined) {
      this.at = to;
      this.show();
    }
  }

  key(event) {
    const { key, shiftKey, ctrlKey, metaKey, altKey } = event,
      move = MOVES[key],
      back = (ctrlKey || metaKey) && key.toLowerCase() === "z" && !shiftKey;
    if (!this.enabled || !(back || (KEYS.includes(key) && !ctrlKey && !metaKey)) || altKey) return;
    event.preventDefault();
    this.outlined = true;
    if (back) return this.undo();
    this.lift();
    const ends = [this.width, this.height];
    if (move) this.at = this.at.map((v, k) => Math.min(Math.max(v + move[k] * (shiftKey ? 10 : 3), 0), ends[k]));
    if (key === "+" || key === "=") this.size *= 1.25;
    if (key === "-") this.size /= 1.25;
    if (key === "Delete" || key === "Backspace") this.clear();
    else if (key === " ") this.dab();
    else this.show();
    return undefined;
  }

  /** A disc where the brush is. */
  dab() {
    this.remember();
    this.stroke(this.at);
    this.lift();
  }

  clear() {
    if (this.used()) this.remember();
    this.lift();
    this.load(new Float32Array(this.mask.length).fill(1));
    this.changed();
  }

  on(value) {
    this.enabled = value;
    this.canvas.classList.toggle("paintable", value);
    this.canvas.tabIndex = value ? 0 : -1;
    this.canvas.setAttribute("role", value ? "application" : "img");
    this.canvas.setAttribute("aria-label", value ? HELP : "The portrait");
    this.show();
  }

  choose(picture) {
    this.picture = picture;
    this.show();
  }

  /** Holes at once: discs [x, y, radius], as shares of the sides and of the shorter one. */
  holes(discs) {
    this.clear();
    const { radius } = this;
    for (const [x, y, share] of discs) {
      this.radius = share * this.side;
      this.lift();
      this.stroke([x * this.width, y * this.height]);
    }
    this.lift();
    this.radius = radius;
  }

  used() {
    return this.mask.some((v) => v < 1);
  }
}

const STYLE = `
.rusr-brush { display: inline-block; max-width: 100%; font: inherit; }
.rusr-brush canvas { display: block; width: 100%; image-rendering: pixelated; }
.rusr-brush .rb-frame { position: relative; overflow: hidden; }
.rusr-brush canvas.paintable { cursor: crosshair; touch-action: none; }
.rusr-brush canvas:focus-visible { outline: 3px solid #0072b2; outline-offset: -3px; }
.rusr-brush .rb-after { position: absolute; inset: 0; pointer-events: none; clip-path: inset(0 0 0 var(--cut, 50%)); }
.rusr-brush [hidden] { display: none; }
.rusr-brush input { width: 100%; accent-color: #0072b2; }
.rusr-brush .rb-tools input { flex: 1; width: auto; min-width: 4em; }
.rb-tools { display: flex; flex-wrap: wrap; gap: 0.5em; align-items: center; margin-top: 0.3em; }
.rb-tools button { white-space: nowrap; }
.rb-tools label { flex: 1 1 8em; display: flex; gap: 0.5em; align-items: center; margin: 0; }
.rb-tools [aria-disabled="true"] { opacity: 0.5; cursor: default; }`;

/** An element with properties, attributes after a colon, and children. */
function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith(":")) made.setAttribute(name.slice(1), value);
    else made[name] = value;
  }
  made.append(...children);
  return made;
}

/** The pixels behind a data URL: { width, height, rgba }. */
async function pixels(url) {
  const image = new Image(),
    canvas = element("canvas");
  image.src = url;
  await image.decode();
  Object.assign(canvas, { width: image.naturalWidth, height: image.naturalHeight });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const { width, height } = canvas;
  return { width, height, rgba: context.getImageData(0, 0, width, height).data };
}

/** What changes a brush beside the picture: its width, the way back, and all holes gone at once. */
function tools(brush) {
  const [min, max] = WIDTHS,
    width = element("input", { type: "range", min, max, step: 0.01 }),
    button = (textContent, click) => element("button", { type: "button", textContent, onclick: click }),
    undo = button("Undo", () => brush.undo()),
    clear = button("Clear", () => brush.clear());
  function follow() {
    width.value = brush.size;
    width.setAttribute("aria-valuetext", `${Math.round(100 * brush.size)} % of the picture`);
    undo.setAttribute("aria-disabled", !brush.before.length);
    clear.setAttribute("aria-disabled", !brush.used()); // a disabled one would lose the keyboard's focus
  }
  width.addEventListener("input", () => {
    brush.size = +width.value;
  });
  brush.canvas.addEventListener("brush", follow);
  follow();
  const group = { className: "rb-tools", ":role": "group", ":aria-label": "Brush" };
  return element("div", group, element("label", {}, "Brush", width), undo, clear);
}
