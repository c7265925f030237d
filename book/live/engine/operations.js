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

  /** Means of k x k pixels; the sides are multiples of k. */
  const pool = (x, k) =>
    k === 1
      ? x
      : tf.customGrad((x) => ({
          value: tf.avgPool(x, k, k, "valid"),
          gradFunc: (dy) => tf.mul(tf.image.resizeNearestNeighbor(dy, x.shape.slice(1, 3)), 1 / (k * k)),
        }))(x);

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

  return { leaky, prelu, pool, unit, softClamp, passing, quantize, separable };
})();
