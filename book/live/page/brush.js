/** Holes painted on a portrait by mouse, touch, pen or keyboard: a mask [side * side], 1 = visible. */
Page.brush = (() => {
  const { draw } = Page.pictures;
  const HELP =
    "Paint holes: drag, or with the keyboard move by the arrow keys, paint with space, change the brush with " +
    "plus and minus, clear with delete";

  /** `changed` is called after each stroke. The canvas shows `picture` with its holes; the brush is off until `on`. */
  function create(canvas, side, changed) {
    const mask = new Float32Array(side * side).fill(1);
    let picture = null,
      enabled = false,
      radius = side / 16,
      at = [side / 2, side / 2],
      keyboard = false;

    function paint([cx, cy]) {
      for (let y = 0; y < side; y++)
        for (let x = 0; x < side; x++) {
          const edge = Math.hypot(x + 0.5 - cx, y + 0.5 - cy) - radius + 0.5; // a soft border of one pixel
          mask[y * side + x] = Math.min(mask[y * side + x], Math.min(Math.max(edge, 0), 1));
        }
      show();
      changed();
    }
    function show() {
      if (!picture) return;
      const rgba = new Uint8ClampedArray(picture.rgba);
      if (enabled) for (let p = 0; p < side * side; p++) for (let c = 0; c < 3; c++) rgba[4 * p + c] *= mask[p];
      draw(canvas, { width: side, height: side, rgba });
      if (!enabled || !keyboard) return;
      const context = canvas.getContext("2d");
      context.strokeStyle = "#fff";
      context.setLineDash([3, 2]);
      context.beginPath();
      context.arc(...at, radius, 0, 2 * Math.PI);
      context.stroke();
    }
    function pointer(event) {
      if (!enabled || !(event.buttons & 1)) return;
      const box = canvas.getBoundingClientRect();
      keyboard = false;
      at = [((event.clientX - box.left) / box.width) * side, ((event.clientY - box.top) / box.height) * side];
      paint(at);
    }
    function key(event) {
      const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      const known = move || [" ", "+", "=", "-", "Delete", "Backspace"].includes(event.key);
      if (!enabled || !known || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      keyboard = true;
      if (move) at = at.map((v, k) => Math.min(Math.max(v + move[k] * (event.shiftKey ? 10 : 3), 0), side));
      if (event.key === "+" || event.key === "=") radius = Math.min(radius * 1.25, side / 4);
      if (event.key === "-") radius = Math.max(radius / 1.25, 1.5);
      if (event.key.length > 1 && !move) clear();
      else if (event.key === " ") paint(at);
      else show();
    }
    function clear() {
      mask.fill(1);
      show();
      changed();
    }
    canvas.addEventListener("pointerdown", (event) => {
      if (enabled) canvas.setPointerCapture(event.pointerId);
      pointer(event);
    });
    canvas.addEventListener("pointermove", pointer);
    canvas.addEventListener("keydown", key);
    canvas.addEventListener("focus", () => {
      keyboard = canvas.matches(":focus-visible");
      show();
    });
    canvas.addEventListener("blur", () => {
      keyboard = false;
      show();
    });
    return {
      mask,
      clear,
      show,
      on(value) {
        enabled = value;
        canvas.classList.toggle("paintable", value);
        canvas.tabIndex = value ? 0 : -1;
        canvas.setAttribute("role", value ? "application" : "img");
        canvas.setAttribute("aria-label", value ? HELP : "The portrait");
        show();
      },
      picture(value) {
        picture = value;
        show();
      },
      disc(x, y, r) {
        [at, radius] = [[x * side, y * side], r * side];
        paint(at);
        radius = side / 16;
      },
      used: () => mask.some((v) => v < 1),
    };
  }

  return { create };
})();
