/**
 * Frozen 3 x 3 kernels [O, I, 3, 3], rearranged once so that a convolution and its gradient are both plain forward
 * convolutions: the wasm backend has no fast other one. Images are [1, H, W, C].
 */
Live.kernels = (() => {
  /** Stride 1, padding 1: `K` [3, 3, I, O], and of the gradient `B` [3, 3, O, I], turned by 180 degrees. */
  function plain({ shape: [O, I], data }) {
    const K = new Float32Array(data.length),
      B = new Float32Array(data.length);
    for (let o = 0; o < O; o++)
      for (let i = 0; i < I; i++)
        for (let t = 0; t < 9; t++) {
          const value = data[(o * I + i) * 9 + t];
          K[(t * I + i) * O + o] = value;
          B[((8 - t) * O + o) * I + i] = value;
        }
    return kept({ K: [K, [3, 3, I, O]], B: [B, [3, 3, O, I]] });
  }

  /**
   * Transposed, stride 2: [H, W] -> [2H + 2, 2W + 2], with a row and a column of zeros at the end. Of x[m - 1], x[m]
   * are made row 2m = w[2] x[m - 1] + w[0] x[m] (`even`) and row 2m + 1 = w[1] x[m] (`odd`); columns alike, both as
   * channels (rx, o), so that [W, 2 O] is [2 W, O] without moving anything. The gradient `B` has stride 2.
   */
  function up({ shape: [O, I], data }) {
    const taps = [
      [2, 0],
      [-1, 1],
    ]; // of x[m - 1], x[m] for the even and the odd rows
    const even = new Float32Array(8 * I * O),
      odd = new Float32Array(4 * I * O),
      B = new Float32Array(9 * O * I);
    for (let o = 0; o < O; o++)
      for (let i = 0; i < I; i++) {
        const at = (o * I + i) * 9;
        for (let jx = 0; jx < 2; jx++)
          for (let rx = 0; rx < 2; rx++) {
            const kx = taps[rx][jx],
              channel = rx * O + o;
            if (kx < 0) continue;
            for (let jy = 0; jy < 2; jy++)
              even[((jy * 2 + jx) * I + i) * 2 * O + channel] = data[at + taps[0][jy] * 3 + kx];
            odd[(jx * I + i) * 2 * O + channel] = data[at + 3 + kx];
          }
        for (let k = 0; k < 9; k++) B[(k * O + o) * I + i] = data[at + k];
      }
    return kept({ even: [even, [2, 2, I, 2 * O]], odd: [odd, [1, 2, I, 2 * O]], B: [B, [3, 3, O, I]] });
  }

  /** Stride 2, padding 1: `K`; its gradient is transposed, rows 2m: w[1] (`even`), 2m + 1: w[2], w[0] (`odd`). */
  function down({ shape: [O, I], data }) {
    const K = new Float32Array(9 * I * O),
      even = new Float32Array(4 * O * I),
      odd = new Float32Array(8 * O * I);
    for (let o = 0; o < O; o++)
      for (let i = 0; i < I; i++) {
        const at = (o * I + i) * 9;
        for (let k = 0; k < 9; k++) K[(k * I + i) * O + o] = data[at + k];
        for (let jx = 0; jx < 2; jx++)
          for (let rx = 0; rx < 2; rx++) {
            const kx = rx ? [2, 0][jx] : [1, -1][jx],
              channel = rx * I + i;
            if (kx < 0) continue;
            even[(jx * O + o) * 2 * I + channel] = data[at + 3 + kx];
            for (let jy = 0; jy < 2; jy++)
              odd[((jy * 2 + jx) * O + o) * 2 * I + channel] = data[at + [2, 0][jy] * 3 + kx];
          }
      }
    return kept({ K: [K, [3, 3, I, O]], even: [even, [1, 2, O, 2 * I]], odd: [odd, [2, 2, O, 2 * I]] });
  }

  const kept = (arrays) =>
    Object.fromEntries(Object.entries(arrays).map(([name, [data, shape]]) => [name, Live.weights.keep(data, shape)]));

  return { plain, up, down };
})();
