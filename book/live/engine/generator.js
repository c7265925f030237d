/**
 * The library's StyleGAN2 generator (architecture "skip", one image at a time): `rusr_core.generator`.
 *
 * Latents are matrices whose rows are vectors of W: W [1, D], W+ [L, D], W++ [R, D]. Activations are scaled instead of
 * the weights, and demodulation, bias, noise and the gain sqrt(2) are folded into one product and one sum a layer.
 */
Live.generator = (() => {
  const { conv, convRows, double } = Live.convolutions,
    { leaky } = Live.operations,
    { keep } = Live.weights;
  const GAIN = Math.SQRT2;

  /** The linear layer from w to styles: A [D, I], b [I]. */
  function affine(get, name) {
    const {
        shape: [I, D],
        data,
      } = get(`${name}.affine.weight`),
      A = new Float32Array(D * I);
    for (let i = 0; i < I; i++) for (let d = 0; d < D; d++) A[d * I + i] = data[i * D + d] / Math.sqrt(D);
    return { A: keep(A, [D, I]), b: keep(get(`${name}.affine.bias`).data, [I]) };
  }

  /** Each filter divided by its norm, in place: demodulation takes the factor out, and half floats do not overflow. */
  function normalise({ shape: [O, I], data }) {
    for (let o = 0; o < O; o++) {
      const filter = data.subarray(o * I * 9, (o + 1) * I * 9),
        norm = Math.sqrt(filter.reduce((s, v) => s + v * v, 0));
      for (let k = 0; k < filter.length; k++) filter[k] /= norm;
    }
  }

  /** The sum of squares of each 3 x 3 kernel, [I, O]. */
  function powers({ shape: [O, I], data }) {
    const power = new Float32Array(I * O);
    for (let o = 0; o < O; o++)
      for (let i = 0; i < I; i++) {
        let sum = 0;
        for (let k = 0; k < 9; k++) sum += data[(o * I + i) * 9 + k] ** 2;
        power[i * O + o] = sum;
      }
    return keep(power, [I, O]);
  }

  /** A modulated 3 x 3 convolution with noise, bias and leaky ReLU. */
  function layer(get, name, up) {
    const weight = get(`${name}.weight`),
      [O, I] = weight.shape;
    normalise(weight);
    const noise = get(`${name}.noise_const`),
      strength = get(`${name}.noise_strength`).data[0];
    const bias = get(`${name}.bias`).data,
      side = noise.shape[0],
      fixed = new Float32Array(side * side * O);
    for (let p = 0; p < side * side; p++)
      for (let o = 0; o < O; o++) {
        fixed[p * O + o] = GAIN * (bias[o] + noise.data[p] * strength);
      }
    const kernels = up ? Live.kernels.up(weight) : Live.kernels.plain(weight);
    const constants = { power: powers(weight), fixed: keep(fixed, [1, side, side, O]) };
    return { O, I, up, ...kernels, ...constants, ...affine(get, name) };
  }

  /** The 1 x 1 convolution to colours: weight [3, I]. */
  function colours(get, name) {
    const {
      shape: [O, I],
      data,
    } = get(`${name}.weight`);
    const weight = keep(
      data.map((v) => v / Math.sqrt(I)),
      [O, I],
    );
    return { weight, bias: keep(get(`${name}.bias`).data, [O]), ...affine(get, name) };
  }

  const style = (l, w) => tf.add(tf.matMul(w, l.A), l.b); // [n, D] -> [n, I]

  /** w [1, D], or a row for each filter [O, D]. */
  function modulated(l, x, w) {
    let s = style(l, w);
    if (w.shape[0] === 1) {
      const scale = tf.mul(tf.rsqrt(tf.add(tf.matMul(tf.square(s), l.power), 1e-8)), GAIN);
      x = tf.mul(conv(l, tf.mul(x, tf.reshape(s, [1, 1, 1, l.I]))), tf.reshape(scale, [1, 1, 1, l.O]));
    } else {
      const power = tf.sum(tf.mul(tf.square(s), tf.transpose(l.power)), 1, true);
      s = tf.mul(s, tf.mul(tf.rsqrt(tf.add(power, 1e-8)), GAIN));
      x = convRows(l, x, s);
    }
    return leaky(tf.add(x, l.fixed));
  }

  function rgb(l, x, w) {
    const [, H, W, I] = x.shape,
      rows = w.shape[0] === 1 ? w : tf.slice(w, [0, 0], [3, w.shape[1]]);
    const weight = tf.mul(l.weight, style(l, rows));
    return tf.reshape(tf.add(tf.matMul(tf.reshape(x, [H * W, I]), weight, false, true), l.bias), [1, H, W, 3]);
  }

  /** z [n, Z] -> w [n, D], as `Mapping.to_w`. */
  function mapping(get, config) {
    const layers = Array.from({ length: config.mapping_layers }, (_, k) => {
      const {
          shape: [O, I],
          data,
        } = get(`g.mapping.fc${k}.weight`),
        lr = config.mapping_lr;
      const bias = get(`g.mapping.fc${k}.bias`).data.map((v) => v * lr);
      return {
        weight: keep(
          data.map((v) => (v * lr) / Math.sqrt(I)),
          [O, I],
        ),
        bias: keep(bias, [O]),
      };
    });
    return (z) =>
      tf.tidy(() => {
        let x = tf.mul(z, tf.rsqrt(tf.add(tf.mean(tf.square(z), 1, true), 1e-8)));
        for (const l of layers)
          x = tf.mul(tf.leakyRelu(tf.add(tf.matMul(x, l.weight, false, true), l.bias), 0.2), GAIN);
        return x;
      });
  }

  /** Latents of a space in a wider one: the same image (CVPR 2023, on three phases). */
  const widener = (rows) => (ws, space) =>
    tf.tidy(() => {
      const size = { W: 1, "W+": rows.length, "W++": rows.reduce((a, b) => a + b) }[space],
        n = ws.shape[0];
      if (n === size) return ws.clone();
      if (n > size)
        throw new Error(`${n} rows of a latent cannot be turned into ${space}: expected ${size} or fewer`);
      const plus = n === 1 ? tf.tile(ws, [rows.length, 1]) : ws;
      if (space === "W+") return plus.clone();
      return tf.concat(
        tf.split(plus, rows.length, 0).map((w, k) => tf.tile(w, [rows[k], 1])),
        0,
      );
    });

  /** Latents of any space -> [1, R, R, 3], nominally in [0, 1], not clamped. */
  const synthesis = (blocks, start, rows) => (ws) => {
    const n = ws.shape[0];
    const w = n === 1 ? rows.map(() => ws) : tf.split(ws, n === rows.length ? rows.map(() => 1) : rows, 0);
    let x = start,
      img = null,
      k = 0;
    for (const block of blocks) {
      if (block.conv0) x = modulated(block.conv0, x, w[k++]);
      x = modulated(block.conv1, x, w[k++]);
      const colour = rgb(block.torgb, x, w[k]); // shares its vector with the next block's first layer
      img = img ? tf.add(double(img), colour) : colour;
    }
    return tf.add(tf.mul(img, 0.5), 0.5);
  };

  /** The generator of the packed weights: { image, widen, toW, mean [1, D], rows }. */
  function create(get, config) {
    const blocks = config.channels.map((_, i) => {
      const name = `g.synthesis.b${4 << i}`;
      const conv0 = i ? layer(get, `${name}.conv0`, true) : null;
      return { conv0, conv1: layer(get, `${name}.conv1`, false), torgb: colours(get, `${name}.torgb`) };
    });
    const constant = get("g.synthesis.b4.const");
    const first = tf.tidy(() => tf.transpose(tf.tensor(constant.data, constant.shape), [1, 2, 0]));
    const start = tf.keep(tf.expandDims(first, 0));
    first.dispose();
    const rows = [...blocks.flatMap(({ conv0, conv1 }) => (conv0 ? [conv0.O, conv1.O] : [conv1.O])), 3];
    const mean = keep(get("g.mapping.w_avg").data, [1, config.w_dim]);
    return { image: synthesis(blocks, start, rows), widen: widener(rows), toW: mapping(get, config), mean, rows };
  }

  return { create };
})();
