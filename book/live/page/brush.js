/** Holes painted on a portrait by mouse, touch, pen or keyboard: a mask [side * side], 1 = visible. */
Page.brush = (() => {
  const { draw } = Page.pictures;
  const HELP =
    "Paint holes: drag, or with the keyboard move by the arrow keys, paint with space, change the brush with " +
    "plus and minus, clear with delete";
  const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const KEYS = [" ", "+", "=", "-", "Delete", "Backspace", ...Object.keys(MOVES)];

  class Brush {
    /** `changed` is called after each stroke. The canvas shows the picture with its holes; off until `on(true)`. */
    constructor(canvas, side, changed) {
      Object.assign(this, { canvas, side, changed, picture: null, enabled: false, keyboard: false });
      this.mask = new Float32Array(side * side).fill(1);
      this.radius = side / 16;
      this.at = [side / 2, side / 2];
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
      const { side, mask, radius } = this;
      for (let y = 0; y < side; y++)
        for (let x = 0; x < side; x++) {
          const edge = Math.hypot(x + 0.5 - cx, y + 0.5 - cy) - radius + 0.5;
          mask[y * side + x] = Math.min(mask[y * side + x], Math.min(Math.max(edge, 0), 1));
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
      const { side, picture, mask } = this;
      if (!picture) return;
      const rgba = new Uint8ClampedArray(picture.rgba);
      if (this.enabled) for (let p = 0; p < side * side; p++) for (let c = 0; c < 3; c++) rgba[4 * p + c] *= mask[p];
      draw(this.canvas, { width: side, height: side, rgba });
      if (!this.enabled || !this.keyboard) return;
      const context = this.canvas.getContext("2d");
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
        ((event.clientX - box.left) / box.width) * this.side,
        ((event.clientY - box.top) / box.height) * this.side,
      ]);
    }

    key(event) {
      const { key, shiftKey, ctrlKey, metaKey, altKey } = event,
        move = MOVES[key];
      if (!this.enabled || !KEYS.includes(key) || ctrlKey || metaKey || altKey) return;
      event.preventDefault();
      this.keyboard = true;
      this.lift();
      if (move) this.at = this.at.map((v, k) => Math.min(Math.max(v + move[k] * (shiftKey ? 10 : 3), 0), this.side));
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

    /** Holes at once: discs [x, y, radius] as shares of the side. */
    holes(discs) {
      this.clear();
      for (const [x, y, radius] of discs) {
        this.radius = radius * this.side;
        this.lift();
        this.stroke([x * this.side, y * this.side]);
      }
      this.radius = this.side / 16;
    }

    used() {
      return this.mask.some((v) => v < 1);
    }
  }

  return { create: (canvas, side, changed) => new Brush(canvas, side, changed) };
})();
