/**
 * Convolutions of images [1, H, W, C] with frozen kernels, each with its gradient written as one more forward
 * convolution. Padding is always explicit: that of TensorFlow's "same" at stride 2 is another than torch's.
 */
Live.convolutions = (() => {
  const FIR = [0.25, 0.75, 0.75, 0.25]; // (1, 3, 3, 1) / 8 with gain 2 an axis, as StyleGAN2 up-samples
  const pad = (top, bottom, left = top, right = bottom) => [
    [0, 0],
    [top, bottom],
    [left, right],
    [0, 0],
  ];

  const firs = new Map();
  function fir(C) {
    if (!firs.has(C)) {
      const one = () => tf.tile(tf.reshape(tf.outerProduct(FIR, FIR), [4, 4, 1, 1]), [1, 1, C, 1]);
      firs.set(C, tf.keep(tf.tidy(one)));
    }
    return firs.get(C);
  }

  /** Rows of two [1, H, W, 2 C] in turn -> [1, 2 H, 2 W, C]; reshape and concat, since other ways are slow on wasm. */
  function interleave(even, odd, C) {
    const [, H, W] = even.shape,
      flat = [H, 1, W * 2 * C];
    return tf.reshape(tf.concat([tf.reshape(even, flat), tf.reshape(odd, flat)], 1), [1, 2 * H, 2 * W, C]);
  }

  /** `l`: { K, B } of `kernels.plain`, or { even, odd, B, up: true } of `kernels.up`, which the FIR follows. */
  function forward(l, x) {
    if (!l.up) return tf.conv2d(x, l.K, 1, "same");
    const C = l.B.shape[2];
    const even = tf.conv2d(x, l.even, 1, pad(1, 1)),
      odd = tf.conv2d(x, l.odd, 1, pad(0, 1, 1, 1));
    return tf.depthwiseConv2d(interleave(even, odd, C), fir(C), 1, pad(1, 0));
  }
  const firBackward = (dy) => tf.depthwiseConv2d(dy, fir(dy.shape[3]), 1, pad(2, 3)); // [2 H + 2, 2 W + 2]
  const backward = (l, d) => (l.up ? tf.conv2d(d, l.B, 2, "valid") : tf.conv2d(d, l.B, 1, "same"));

  /** x [1, H, W, I] -> [1, H, W, O], or up: [1, 2 H, 2 W, O]. */
  const conv = (l, x) =>
    tf.customGrad((x) => ({
      value: forward(l, x),
      gradFunc: (dy) => backward(l, l.up ? firBackward(dy) : dy),
    }))(x);

  /** a [H, W, P], b [H, W, Q] -> their products summed over the pixels, [P, Q]. */
  function correlate(a, b) {
    const [H, W, P] = a.shape; // wasm multiplies fast only what need not be transposed inside
    return tf.matMul(tf.transpose(tf.reshape(a, [H * W, P])), tf.reshape(b, [H * W, b.shape[2]]));
  }

  /** The nine shifts of the gradient (up) or of the input, side by side: [H, W, 9 C]. */
  function patches(l, x, d) {
    const [, H, W] = x.shape,
      C = l.up ? l.O : l.I,
      taps = [];
    const wide = l.up ? tf.reshape(d, [H + 1, 2, W + 1, 2 * C]) : tf.pad(x, pad(1, 1));
    for (let a = 0; a < 3; a++) {
      if (l.up) {
        // d[2 y + a, 2 x + b]: b = 0 and 1 lie side by side
        const from = (b, channels) => tf.slice(wide, [a >> 1, a % 2, b, 0], [H, 1, W, channels]);
        taps.push(from(0, 2 * C), from(1, C));
      } else {
        for (let b = 0; b < 3; b++) taps.push(tf.slice(wide, [0, a, b, 0], [1, H, W, C]));
      }
    }
    return tf.reshape(tf.concat(taps, 3), [H, W, 9 * C]);
  }

  /** The gradient of the styles: of the kernel, which is one matrix product, times the kernel -> [O, I]. */
  function styleGradient(l, x, d) {
    const { O, I } = l,
      [, H, W] = x.shape,
      shifted = patches(l, x, d);
    if (l.up) {
      const of = tf.reshape(correlate(shifted, tf.reshape(x, [H, W, I])), [9, O, I]); // as B is laid out
      return tf.sum(tf.mul(of, tf.reshape(l.B, [9, O, I])), 0);
    }
    const of = tf.reshape(correlate(shifted, tf.reshape(d, [H, W, O])), [9, I, O]);
    return tf.transpose(tf.sum(tf.mul(of, tf.reshape(l.K, [9, I, O])), 0));
  }

  /** W++: each output filter has its own style, s [O, I]. */
  const convRows = (l, x, s) =>
    tf.customGrad((x, s, save) => {
      const st = tf.transpose(s),
        twice = l.up && tf.tile(st, [1, 2]);
      const styled = l.up
        ? { up: true, even: tf.mul(l.even, twice), odd: tf.mul(l.odd, twice), B: l.B }
        : { K: tf.mul(l.K, st) };
      save([x, s]);
      return {
        value: forward(styled, x),
        gradFunc: (dy, [x, s]) => {
          const d = l.up ? firBackward(dy) : dy;
          return [backward({ up: l.up, B: tf.mul(l.B, s) }, d), styleGradient(l, x, d)];
        },
      };
    })(x, s);

  /** Stride 2, padding 1, of `kernels.down`: x [1, H, W, I] -> [1, H / 2, W / 2, O]. */
  const down = ({ K, even, odd }, x) =>
    tf.customGrad((x) => ({
      value: tf.conv2d(x, K, 2, pad(1, 1)),
      gradFunc: (dy) => {
        const rows = [tf.conv2d(dy, even, 1, pad(0, 0, 0, 1)), tf.conv2d(dy, odd, 1, pad(0, 1))];
        return interleave(...rows, K.shape[2]);
      },
    }))(x);

  /** A picture [1, H, W, 3] twice as large: zeros between, then the FIR. */
  const double = (x) =>
    tf.customGrad((x) => {
      const row = tf.concat([x, tf.zerosLike(x)], 3);
      return {
        value: tf.depthwiseConv2d(interleave(row, tf.zerosLike(row), 3), fir(3), 1, pad(2, 1)),
        gradFunc: (dy) => tf.depthwiseConv2d(dy, fir(3), 2, pad(1, 1)),
      };
    })(x);

  return { conv, convRows, down, double };
})();
