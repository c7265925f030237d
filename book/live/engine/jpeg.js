/**
 * The library's differentiable JPEG, `rusr_core.degradations.jpeg.differentiable_jpeg`, chroma 4:2:0.
 *
 * It follows the standard (ITU-T T.81) and libjpeg step by step. Images are [1, H, W, 3], H and W multiples of 16 or
 * smaller sides that are extended to them. Rounding of coefficients has the derivative (1 - k) + 3 k (t - round t)^2.
 */
Live.jpeg = (() => {
  const { pool, passing } = Live.operations;
  const BLOCK = 8;
  const TO_YCC = [
    [0.299, 0.587, 0.114],
    [-0.168736, -0.331264, 0.5],
    [0.5, -0.418688, -0.081312],
  ]; // T.871
  const TO_RGB = [
    [1, 0, 1.402],
    [1, -0.344136, -0.714136],
    [1, 1.772, 0],
  ];

  /** libjpeg's steps of a quality from 1 to 100 from those of quality 50. */
  function steps(table, quality) {
    const scale = quality < 50 ? Math.floor(5000 / quality) : 200 - 2 * quality;
    return table.map((v) => Math.min(Math.max(Math.floor((v * scale + 50) / 100), 1), 255));
  }

  /** The orthonormal cosine transform of a flattened 8 x 8 block, [64, 64]. */
  function transform() {
    const basis = (k, n) => Math.sqrt((k ? 2 : 1) / BLOCK) * Math.cos(((2 * n + 1) * k * Math.PI) / (2 * BLOCK));
    const M = new Float32Array(4096);
    for (let r = 0; r < 64; r++)
      for (let c = 0; c < 64; c++) {
        M[r * 64 + c] = basis(r >> 3, c >> 3) * basis(r % 8, c % 8);
      }
    return M;
  }

  /** Rounded, halves away from zero, with a soft derivative. */
  const soften = (t, k) =>
    tf.customGrad((t, save) => {
      const whole = tf.mul(tf.sign(t), tf.floor(tf.add(tf.abs(t), 0.5)));
      save([tf.sub(t, whole)]);
      return {
        value: whole,
        gradFunc: (dy, [rest]) => tf.mul(dy, tf.add(tf.mul(tf.square(rest), 3 * k), 1 - k)),
      };
    })(t);

  const colour = (x, matrix) => {
    // a 3 x 3 matrix on the channels
    const [, H, W] = x.shape;
    return tf.reshape(tf.matMul(tf.reshape(x, [H * W, 3]), tf.transpose(tf.tensor2d(matrix))), x.shape);
  };

  /** The last row and column repeated until both sides are multiples of the given numbers. */
  function extend(x, rows, columns) {
    const [, H, W, C] = x.shape,
      down = (rows - (H % rows)) % rows,
      right = (columns - (W % columns)) % columns;
    if (down) x = tf.concat([x, tf.tile(tf.slice(x, [0, H - 1, 0, 0], [1, 1, W, C]), [1, down, 1, 1])], 1);
    return right
      ? tf.concat([x, tf.tile(tf.slice(x, [0, 0, W - 1, 0], [1, H + down, 1, C]), [1, 1, right, 1])], 2)
      : x;
  }

  /** [1, H, W, C] -> rows of blocks [C H W / 64, 64], and back. */
  function blocksOf(x) {
    const [, H, W, C] = x.shape,
      cut = tf.reshape(x, [H / BLOCK, BLOCK, W / BLOCK, BLOCK, C]);
    return tf.reshape(tf.transpose(cut, [4, 0, 2, 1, 3]), [-1, BLOCK * BLOCK]);
  }
  function imageOf(blocks, [, H, W, C]) {
    const cut = tf.reshape(blocks, [C, H / BLOCK, W / BLOCK, BLOCK, BLOCK]);
    return tf.reshape(tf.transpose(cut, [1, 3, 2, 4, 0]), [1, H, W, C]);
  }

  /** Alternate values along the columns, [1, 1, W, 1]: how libjpeg rounds halves. */
  const alternate = ([a, b], W) => tf.reshape(tf.tile(tf.tensor1d([a, b]), [W / 2]), [1, 1, W, 1]);

  /** Half the size: means of 2 x 2 whole numbers, halves down and up in turn. */
  const reduce = (c) => passing(pool(c, 2), (v) => tf.floor(tf.add(v, alternate([0.25, 0.5], v.shape[2]))));

  /** One axis twice as long by the triangle filter (3, 1) / 4, borders repeated; `axis` is 1 or 2. */
  function smooth(c, axis) {
    const n = c.shape[axis],
      at = (from, count) => {
        const begin = [0, 0, 0, 0],
          size = [...c.shape];
        begin[axis] = from;
        size[axis] = count;
        return tf.slice(c, begin, size);
      };
    const before = tf.concat([at(0, 1), at(0, n - 1)], axis),
      after = tf.concat([at(1, n - 1), at(n - 1, 1)], axis);
    const mixed = (other) => tf.add(tf.mul(c, 0.75), tf.mul(other, 0.25)),
      shape = [...c.shape];
    shape[axis] *= 2;
    return tf.reshape(tf.stack([mixed(before), mixed(after)], axis + 1), shape);
  }

  /** libjpeg's "fancy" up-sampling; it repeats pixels where there are 2 columns or less. */
  function enlarge(c) {
    const [, H, W] = c.shape;
    if (W <= 2) return tf.reshape(tf.tile(tf.reshape(c, [H, 1, W, 1, 2]), [1, 2, 1, 2, 1]), [1, 2 * H, 2 * W, 2]);
    return passing(smooth(smooth(c, 1), 2), (v) => tf.floor(tf.add(v, alternate([8 / 16, 7 / 16], 2 * W))));
  }

  /** `tables`: { luma, chroma, rounding } of the library, [64] at quality 50 -> a function of x, same shape. */
  function create(quality, { luma, chroma, rounding }) {
    const dct = Live.weights.keep(transform(), [64, 64]),
      turned = tf.keep(tf.transpose(dct));
    const [forLuma, forChroma] = [luma, chroma].map((table) => tf.keep(tf.tensor1d(steps(table, quality))));
    function code(x, table) {
      // eighths: libjpeg's integer transform makes exact halves of a step common
      const eighths = passing(tf.matMul(blocksOf(x), turned), (v) => tf.div(tf.round(tf.mul(v, 8)), 8));
      return imageOf(tf.matMul(tf.mul(soften(tf.div(eighths, table), rounding), table), dct), x.shape);
    }
    const bytes = (x, low, high) => passing(x, (v) => tf.clipByValue(tf.round(v), low, high));
    const corner = (v, h, w) => tf.slice(v, [0, 0, 0, 0], [1, h, w, v.shape[3]]);
    const apply = (x) =>
      tf.tidy(() => {
        const [, H, W] = x.shape,
          shift = tf.tensor1d([-128, 0, 0]),
          half = tf.tensor1d([0.5, 0.4999, 0.4999]);
        const exact = tf.add(colour(bytes(tf.mul(x, 255), 0, 255), TO_YCC), shift);
        const ycc = extend(
          passing(exact, (v) => tf.floor(tf.add(v, half))),
          2,
          2 * BLOCK,
        ); // chroma's halves go down
        const [, tall, wide] = ycc.shape,
          part = (from, count) => tf.slice(ycc, [0, 0, 0, from], [1, tall, wide, count]);
        const y = bytes(code(extend(part(0, 1), BLOCK, 1), forLuma), -128, 127);
        const small = bytes(code(extend(reduce(part(1, 2)), BLOCK, 1), forChroma), -128, 127);
        const c = enlarge(corner(small, Math.ceil(H / 2), Math.ceil(W / 2)));
        const both = tf.concat([tf.add(corner(y, H, W), 128), corner(c, H, W)], 3);
        return tf.div(bytes(colour(both, TO_RGB), 0, 255), 255);
      });
    return { apply, dispose: () => tf.dispose([dct, turned, forLuma, forChroma]) };
  }

  return { create };
})();
