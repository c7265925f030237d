/** Pillow's resize of 8-bit pictures, to the last bit, and its filters as matrices. */
Live.resampling = (() => {
  const sinc = (x) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));
  const FILTERS = {
    // [radius, kernel]
    bilinear: [1, (x) => Math.max(0, 1 - Math.abs(x))],
    bicubic: [
      2,
      (x) => {
        const a = -0.5,
          t = Math.abs(x);
        if (t < 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
        return t < 2 ? (((t - 5) * t + 8) * t - 4) * a : 0;
      },
    ],
    lanczos: [3, (x) => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0)],
  };
  const NAMES = Object.keys(FILTERS);
  const BITS = 22; // of Pillow's fixed-point weights: 32 - 8 - 2

  /** Of each of `size` outputs: the first input that it sees, and the weights, which sum to 1. */
  function taps(name, length, size) {
    const [radius, kernel] = FILTERS[name],
      scale = length / size,
      stretch = Math.max(scale, 1);
    return Array.from({ length: size }, (_, i) => {
      const centre = (i + 0.5) * scale,
        reach = radius * stretch;
      const first = Math.max(0, Math.floor(centre - reach + 0.5)),
        end = Math.min(length, Math.floor(centre + reach + 0.5));
      const found = Array.from({ length: end - first }, (_, k) => kernel((k + first - centre + 0.5) / stretch));
      const sum = found.reduce((a, b) => a + b, 0);
      return { first, weights: found.map((v) => v / sum) };
    });
  }

  /** The same as a matrix [size, length], float32. */
  function matrix(name, length, size) {
    const M = new Float32Array(size * length);
    taps(name, length, size).forEach(({ first, weights }, i) =>
      weights.forEach((w, k) => (M[i * length + first + k] = w)),
    );
    return M;
  }

  /** One axis of bytes [outer, length, inner] -> [outer, size, inner]. */
  function along(bytes, outer, length, inner, size, name) {
    const result = new Uint8ClampedArray(outer * size * inner);
    taps(name, length, size).forEach(({ first, weights }, i) => {
      const fixed = weights.map((w) => Math.trunc(w * 2 ** BITS + (w < 0 ? -0.5 : 0.5)));
      for (let o = 0; o < outer; o++)
        for (let c = 0; c < inner; c++) {
          let sum = 2 ** (BITS - 1);
          for (let k = 0; k < fixed.length; k++) sum += fixed[k] * bytes[(o * length + first + k) * inner + c];
          result[(o * size + i) * inner + c] = Math.floor(sum / 2 ** BITS);
        }
    });
    return result;
  }

  /** Bytes [height, width, 3] -> [h, w, 3]: columns first, rounded to bytes between, as Pillow does. */
  function resize(bytes, [height, width], [h, w], name) {
    const narrow = w === width ? bytes : along(bytes, height, width, 3, w, name);
    return h === height ? narrow : along(narrow, 1, height, w * 3, h, name);
  }

  return { NAMES, matrix, resize };
})();
