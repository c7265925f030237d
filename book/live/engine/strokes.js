/** Masks of brush strokes, the same for the same seed as `rusr_core.degradations.inpainting.stroke_mask`. */
Live.strokes = (() => {
  const CANVAS = 4; // strokes are drawn at 4 times the size and reduced twice by 2
  const BINOMIAL = [1, 4, 6, 4, 1].map((v) => v / 16);

  /** Ends (x0, y0, x1, y1) of `count` strokes on the canvas: each lies in the first or the last third of the sides. */
  function ends(count, seed, [height, width]) {
    const random = new Live.random.Random(seed),
      sides = [width, height, width, height];
    return Array.from({ length: count }, () =>
      sides.map((side) => {
        const near = random.float() < 0.5,
          place = Math.fround(random.float() / 3);
        return (near ? place : Math.fround(1 - place)) * side * CANVAS - 0.5;
      }),
    );
  }

  /** First and last (excluded) of the pixels 0 ... side - 1 that a stroke from a to b can touch. */
  const reach = (a, b, radius, side) => [
    Math.max(0, Math.trunc(Math.min(a, b) - radius)),
    Math.max(0, Math.min(side, Math.trunc(Math.max(a, b) + radius) + 2)),
  ];

  /** What lies within `radius` of a line segment becomes 1. */
  function stroke(canvas, height, width, [x0, y0, x1, y1], radius) {
    const [left, right] = reach(x0, x1, radius, width),
      [top, bottom] = reach(y0, y1, radius, height);
    const dx = x1 - x0,
      dy = y1 - y0,
      length = Math.max(dx * dx + dy * dy, 1e-12);
    for (let j = top; j < bottom; j++)
      for (let i = left; i < right; i++) {
        const x = i - x0,
          y = j - y0,
          along = Math.min(Math.max((x * dx + y * dy) / length, 0), 1);
        if ((x - along * dx) ** 2 + (y - along * dy) ** 2 <= radius ** 2) canvas[j * width + i] = 1;
      }
  }

  /** Every second value along an axis of [outer, length, inner], after the binomial of 5 taps, mirrored at the ends. */
  function halve(values, outer, length, inner) {
    const result = new Float32Array((outer * length * inner) / 2),
      last = length - 1;
    for (let o = 0; o < outer; o++)
      for (let i = 0; i < length / 2; i++)
        for (let c = 0; c < inner; c++) {
          let sum = 0;
          for (let tap = 0; tap < 5; tap++) {
            const at = Math.abs(2 * i + tap - 2);
            sum += BINOMIAL[tap] * values[(o * length + (at > last ? 2 * last - at : at)) * inner + c];
          }
          result[(o * (length / 2) + i) * inner + c] = sum;
        }
    return result;
  }

  /** [height * width] in [0, 1], 1 = visible; `width` of the brush is a share of the shorter side. */
  function mask(count, seed, [height, width], brush) {
    let h = height * CANVAS,
      w = width * CANVAS,
      canvas = new Float32Array(h * w);
    const radius = (CANVAS * brush * Math.min(height, width)) / 2;
    for (const line of ends(count, seed, [height, width])) stroke(canvas, h, w, line, radius);
    for (; h > height; h /= 2, w /= 2) canvas = halve(halve(canvas, 1, h, w), h / 2, w, 1);
    return canvas.map((hidden) => 1 - hidden);
  }

  return { mask };
})();
