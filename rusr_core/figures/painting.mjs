/**
 * Holes painted on a picture by mouse, touch, pen or keyboard: a mask [height * width], 1 = visible.
 *
 * One source for two places: the widget of a notebook (`figures.brush`, an anywidget), and the book's live pages, into
 * which `book/live/pack.py` packs this file.
 */
const HELP =
  "Paint holes: drag, or with the keyboard move by the arrow keys, paint with space, change the brush with " +
  "plus and minus, clear with delete";
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const KEYS = [" ", "+", "=", "-", "Delete", "Backspace", ...Object.keys(MOVES)];

export class Brush {
  /** `changed` is called after each stroke. The canvas shows the picture with its holes; off until `on(true)`. */
  constructor(canvas, { width, height }, changed) {
    Object.assign(this, { canvas, width, height, changed, picture: null, enabled: false, keyboard: false });
    this.side = Math.min(width, height);
    this.mask = new Float32Array(width * height).fill(1);
    this.radius = this.side / 16;
    this.at = [width / 2, height / 2];
    this.last = null; // where a stroke has come to
    const handlers = {
      pointerdown: (event) => this.press(event),
      pointermove: (event) => this.drag(event),
      pointerup: () => this.lift(),
      pointercancel: () => this.lift(),
      keydown: (event) => this.key(event),
      focus: () => this.marked(canvas.matches(":focus-visible")),
      blur: () => this.marked(false),
    };
    for (const [name, handler] of Object.entries(handlers)) canvas.addEventListener(name, handler);
  }

  /** Hide a disc; a soft border of one pixel. */
  disc([cx, cy]) {
    const { width, height, mask, radius } = this;
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
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
    if (this.enabled) for (const [p, v] of mask.entries()) for (let c = 0; c < 3; c++) rgba[4 * p + c] *= v;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d");
    context.putImageData(new ImageData(rgba, width, height), 0, 0);
    if (!this.enabled || !this.keyboard) return;
    context.strokeStyle = "#fff";
    context.setLineDash([3, 2]);
    context.beginPath();
    context.arc(...this.at, this.radius, 0, 2 * Math.PI);
    context.stroke();
  }

  marked(keyboard) {
    this.keyboard = keyboard;
    this.show();
  }

  press(event) {
    if (!this.enabled || !event.isPrimary) return; // a second finger zooms or does nothing
    this.canvas.setPointerCapture(event.pointerId);
    this.lift();
    this.drag(event);
  }

  lift() {
    this.last = null;
  }

  drag(event) {
    if (!this.enabled || !event.isPrimary || !(event.buttons & 1)) return;
    const box = this.canvas.getBoundingClientRect();
    this.keyboard = false;
    this.stroke([
      ((event.clientX - box.left) / box.width) * this.width,
      ((event.clientY - box.top) / box.height) * this.height,
    ]);
  }

  key(event) {
    const { key, shiftKey, ctrlKey, metaKey, altKey } = event,
      move = MOVES[key];
    if (!this.enabled || !KEYS.includes(key) || ctrlKey || metaKey || altKey) return;
    event.preventDefault();
    this.keyboard = true;
    this.lift();
    const ends = [this.width, this.height];
    if (move) this.at = this.at.map((v, k) => Math.min(Math.max(v + move[k] * (shiftKey ? 10 : 3), 0), ends[k]));
    if (key === "+" || key === "=") this.radius = Math.min(this.radius * 1.25, this.side / 4);
    if (key === "-") this.radius = Math.max(this.radius / 1.25, 1.5);
    if (key === "Delete" || key === "Backspace") this.clear();
    else if (key === " ") this.stroke(this.at);
    else this.show();
  }

  clear() {
    this.mask.fill(1);
    this.lift();
    this.show();
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
    for (const [x, y, radius] of discs) {
      this.radius = radius * this.side;
      this.lift();
      this.stroke([x * this.width, y * this.height]);
    }
    this.radius = this.side / 16;
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
.rusr-brush input { width: 100%; accent-color: #0072b2; }`;

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

/** The pixels behind a data URL: { width, height, rgba }, drawn on `canvas`. */
async function pixels(url, canvas = document.createElement("canvas")) {
  const image = new Image();
  image.src = url;
  await image.decode();
  Object.assign(canvas, { width: image.naturalWidth, height: image.naturalHeight });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const { width, height } = canvas;
  return { width, height, rgba: context.getImageData(0, 0, width, height).data };
}

/** The widget. `model`: picture and restored, data URLs; width, CSS pixels; painted, the mask in bytes. */
async function render({ model, el }) {
  const below = element("canvas"),
    after = element("canvas", { className: "rb-after", hidden: true, ":role": "img", ":aria-label": "restored" }),
    cut = element("input", { type: "range", hidden: true, ":aria-label": "Where the restored one begins, percent" }),
    clear = element("button", { type: "button", textContent: "Clear the holes" }),
    frame = element("div", { className: "rb-frame" }, below, after),
    box = element("div", { className: "rusr-brush" }, element("style", { textContent: STYLE }), frame, cut, clear);
  box.style.width = `${model.get("width")}px`;
  el.append(box);
  const picture = await pixels(model.get("picture"));
  const send = () => {
    model.set("painted", new DataView(Uint8Array.from(brush.mask, (v) => Math.round(255 * v)).buffer));
    model.save_changes();
  };
  const brush = new Brush(below, picture, send);
  async function compare() {
    const url = model.get("restored");
    after.hidden = cut.hidden = !url;
    if (url) await pixels(url, after);
  }
  clear.addEventListener("click", () => brush.clear());
  cut.addEventListener("input", () => frame.style.setProperty("--cut", `${cut.value}%`));
  model.on("change:restored", compare);
  brush.on(true);
  brush.choose(picture);
  await compare();
}

export default { render };
