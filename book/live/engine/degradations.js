/**
 * Degradations as the library has them: `degrade` is the true operation, 8 bits and without gradient, `forward` the
 * differentiable surrogate. Both take an image [1, H, W, 3] in [0, 1]; what is random is drawn from a `Random`.
 */
Live.degradations = (() => {
  const { pool, softClamp, quantize } = Live.operations;

  /** Numbers drawn in torch's order (channels, H, W), as an image [1, H, W, C]. */
  function image(draw, [, H, W, C]) {
    const drawn = draw(H * W * C),
      values = new Float32Array(drawn.length);
    for (let c = 0; c < C; c++) for (let p = 0; p < H * W; p++) values[p * C + c] = drawn[c * H * W + p];
    return tf.tensor(values, [1, H, W, C]);
  }
  const normal = (random, shape) => image((size) => random.normal(size), shape);
  const alive = (random, [, H, W], p) =>
    image((size) => random.uniform(size).map((u) => +(u >= Math.fround(p))), [1, H, W, 1]);

  /** Pillow's resize with a filter that is drawn or named; the surrogate averages. */
  function downsample({ factor, filter = "random" }) {
    const { NAMES, resize } = Live.resampling;
    return {
      factor,
      degrade: (x, random) => {
        const [, H, W] = x.shape,
          size = [H / factor, W / factor];
        const name = filter === "random" ? NAMES[Math.floor(random.float() * NAMES.length)] : filter;
        const bytes = Uint8ClampedArray.from(tf.mul(quantize(x), 255).dataSync(), Math.round);
        return tf.div(tf.tensor(Float32Array.from(resize(bytes, [H, W], size, name)), [1, ...size, 3]), 255);
      },
      forward: (x) => pool(x, factor),
    };
  }

  /** Photon noise, then dead pixels; the surrogate is `PoissonBernoulliNoise.approximate`. */
  function noise({ photons, p }) {
    return {
      random: true,
      degrade: (x, random) => {
        const [, H, W] = x.shape,
          rates = tf.mul(tf.clipByValue(x, 0, 1), photons).dataSync();
        const inOrder = Float32Array.from(rates, (_, at) => rates[(at % (H * W)) * 3 + Math.floor(at / (H * W))]);
        const counts = image(() => random.poisson(inOrder), x.shape);
        return quantize(tf.mul(tf.div(counts, photons), alive(random, x.shape, p)));
      },
      forward: (x, random) => {
        const count = tf.mul(softClamp(x), photons),
          draw = normal(random, x.shape);
        const seen = tf.div(tf.add(count, tf.mul(tf.sqrt(tf.add(count, 1e-3)), draw)), photons);
        return softClamp(tf.mul(seen, alive(random, x.shape, p)));
      },
    };
  }

  /** A file of a quality. The true operation is the surrogate's value: what it is near to is said in `JPEG`. */
  function jpeg({ quality }, method) {
    const codec = Live.jpeg.create(quality, method.jpeg);
    return { degrade: (x) => quantize(codec.apply(x)), forward: codec.apply, dispose: codec.dispose };
  }

  /** Strokes of a seed, or a mask that was painted at the generator's size, averaged to the image's. */
  function masked({ count, seed, painted }, method, side) {
    const drawn = count === undefined ? null : Live.strokes.mask(count, seed, [side, side], method.brush);
    const full = Math.sqrt((drawn || painted).length);
    const mask = tf.keep(tf.tidy(() => pool(tf.tensor(drawn || painted, [1, full, full, 1]), full / side)));
    const forward = (x) => tf.mul(x, mask);
    return { mask, degrade: (x) => quantize(forward(x)), forward, dispose: () => mask.dispose() };
  }

  const STAGES = { downsample, noise, jpeg, strokes: masked, mask: masked };

  /**
   * Stages one after another, of the `side` of the generator's images. A stage is { kind, ... }, as the page's
   * `controls.stages` makes them. `mask` [1, h, w, 1] is that of the last masking stage, moved by the stages after it,
   * which are none in the library's tasks. `dispose` frees what the stages keep.
   */
  function create(stages, method) {
    let side = method.resolution;
    const made = stages.map((stage) => {
      const one = STAGES[stage.kind](stage, method, side);
      side /= one.factor || 1;
      return one;
    });
    const last = made.at(-1);
    return {
      side,
      mask: last && last.mask ? last.mask : null,
      random: made.some((stage) => stage.random),
      degrade: (x, random) =>
        tf.tidy(() => made.reduce((y, stage) => stage.degrade(y, random), made.length ? x : quantize(x))),
      forward: (x, random) => made.reduce((y, stage) => stage.forward(y, random), x),
      dispose: () => made.forEach((stage) => stage.dispose && stage.dispose()),
    };
  }

  return { create, normal };
})();
