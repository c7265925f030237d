/** Pointwise operations and poolings with gradients of their own, where autodiff has none or a slow one on wasm. */
Live.operations = (() => {
  /** Leaky ReLU of slope 0.2; its gain is the caller's. */
  const leaky = (x) =>
    tf.customGrad((x, save) => {
      save([x]);
      return { value: tf.leakyRelu(x, 0.2), gradFunc: (dy, [x]) => tf.mul(dy, tf.step(x, 0.2)) };
    })(x);

  /** PReLU, one slope a channel. */
  const prelu = (slopes, x) =>
    tf.customGrad((x, save) => {
      save([x]);
      return {
        value: tf.prelu(x, slopes),
        gradFunc: (dy, [x]) => tf.where(tf.greater(x, 0), dy, tf.mul(dy, slopes)),
      };
    })(x);

  /**
   * Means of 2 x 2 pixels a b / c d, summed in torch's order, ((a + b) + c) + d. Of pictures that hold whole bytes two
   * means are often the same number, and only then their difference is 0 in the page, too.
   */
  function halved(x) {
    const [, H, W, C] = x.shape,
      size = (H / 2) * W * C,
      rows = tf.reshape(x, [H / 2, 2, W * C]);
    const row = (k) => tf.reshape(tf.slice(rows, [0, k, 0], [H / 2, 1, W * C]), [size]);
    const here = (r) => tf.slice(r, [0], [size - C]),
      beside = (r) => tf.slice(r, [C], [size - C]);
    const [top, bottom] = [row(0), row(1)];
    const sums = tf.add(tf.add(tf.add(here(top), beside(top)), here(bottom)), beside(bottom)); // of every column
    const even = tf.slice(tf.reshape(tf.pad(sums, [[0, C]]), [size / (2 * C), 2 * C]), [0, 0], [size / (2 * C), C]);
    return tf.reshape(tf.mul(even, 0.25), [1, H / 2, W / 2, C]);
  }

  /** Means of k x k pixels; the sides are multiples of k. */
  const pool = (x, k) =>
    k === 1
      ? x
      : tf.customGrad((x) => ({
          value: k === 2 ? halved(x) : tf.avgPool(x, k, k, "valid"),
          gradFunc: (dy) => tf.mul(tf.image.resizeNearestNeighbor(dy, x.shape.slice(1, 3)), 1 / (k * k)),
        }))(x);

  /**
   * |x| with torch's derivative, the sign of x, 0 at 0. That of tf.abs is -1 at 0, and the WebAssembly kernel of
   * tf.sign takes all that is smaller than 1e-7 for 0.
   */
  const magnitude = (x) =>
    tf.customGrad((x, save) => {
      save([x]);
      const number = (found) => tf.cast(found, "float32");
      const sign = (x) => tf.sub(number(tf.greater(x, 0)), number(tf.less(x, 0)));
      return { value: tf.abs(x), gradFunc: (dy, [x]) => tf.mul(dy, sign(x)) };
    })(x);

  /** Each pixel's channels divided by their norm, times `roots` [C]: `networks.perceptual.unit_channels`. */
  const unit = (roots, x) =>
    tf.customGrad((x, save) => {
      const inverse = tf.rsqrt(tf.add(tf.sum(tf.square(x), 3, true), 1e-6));
      save([x, inverse]);
      return {
        value: tf.mul(tf.mul(x, inverse), roots),
        gradFunc: (dy, [x, inverse]) => {
          const g = tf.mul(dy, roots),
            along = tf.mul(tf.sum(tf.mul(g, x), 3, true), tf.pow(inverse, 3));
          return tf.sub(tf.mul(g, inverse), tf.mul(x, along));
        },
      };
    })(x);

  /** Clamped to [0, 1] with the gradient of sigmoid(2 (x - 1/2)), which never vanishes. */
  const softClamp = (x) =>
    tf.customGrad((x, save) => {
      save([x]);
      return {
        value: tf.clipByValue(x, 0, 1),
        gradFunc: (dy, [x]) => {
          const p = tf.sigmoid(tf.mul(tf.sub(x, 0.5), 2));
          return tf.mul(dy, tf.mul(tf.mul(p, tf.sub(1, p)), 2));
        },
      };
    })(x);

  /** `step(x)`, whose gradient is passed on unchanged. */
  const passing = (x, step) => tf.customGrad((x) => ({ value: step(x), gradFunc: (dy) => dy }))(x);

  /** What an 8-bit file holds of x: clamped to [0, 1], rounded to 1 / 255. */
  const quantize = (x) => tf.div(tf.round(tf.mul(tf.clipByValue(x, 0, 1), 255)), 255);

  /** Rows, then columns of x [1, H, W, C] through the matrices [h, H] and [w, W] -> [1, h, w, C]. */
  function separable(x, rows, columns) {
    const [, H, W, C] = x.shape,
      [h] = rows.shape,
      [w] = columns.shape;
    const tall = tf.reshape(tf.matMul(rows, tf.reshape(x, [H, W * C])), [h, W, C]);
    const turned = tf.reshape(tf.transpose(tall, [1, 0, 2]), [W, h * C]);
    const wide = tf.reshape(tf.matMul(columns, turned), [w, h, C]);
    return tf.expandDims(tf.transpose(wide, [1, 0, 2]), 0);
  }

  return { leaky, prelu, pool, magnitude, unit, softClamp, passing, quantize, separable };
})();
