/** The embedded feature net (net A), `rusr_core.networks.portrait_net.PortraitNet`: perceptual maps and identity. */
Live.features = (() => {
  const { conv, down } = Live.convolutions,
    { prelu, unit, separable } = Live.operations,
    { keep } = Live.weights;

  function block(get, name) {
    const tensor = (part) => keep(get(`${name}.${part}`).data, get(`${name}.${part}`).shape);
    return {
      reduce: Live.kernels.down(get(`${name}.reduce.weight`)),
      reduceBias: tensor("reduce.bias"),
      reduceSlope: tensor("reduce_slope.weight"),
      refine: Live.kernels.plain(get(`${name}.refine.weight`)),
      refineBias: tensor("refine.bias"),
      refineSlope: tensor("refine_slope.weight"),
    };
  }

  /** [1, H, W, C] -> [1, H / 2, W / 2, C']. */
  function apply(b, x) {
    x = prelu(b.reduceSlope, tf.add(down(b.reduce, x), b.reduceBias));
    return prelu(b.refineSlope, tf.add(tf.add(conv(b.refine, x), b.refineBias), x));
  }

  /** The last linear layer, its columns moved from torch's order (C, H, W) to (H, W, C): [C H W, E]. */
  function projection(get, channels) {
    const {
        shape: [E, all],
        data,
      } = get("a.project.weight"),
      pixels = all / channels,
      P = new Float32Array(all * E);
    for (let e = 0; e < E; e++)
      for (let c = 0; c < channels; c++)
        for (let p = 0; p < pixels; p++) {
          P[(p * channels + c) * E + e] = data[e * all + c * pixels + p];
        }
    return { P: keep(P, [all, E]), bias: keep(get("a.project.bias").data, [E]) };
  }

  /**
   * The net of the packed weights. `look(x)` of an image [1, H, W, 3] in [0, 1] gives `maps`, and with `named` also the
   * `embedding` [1, E] of unit norm, for which an image of another size than the net's is enlarged by itself.
   */
  function create(get, config) {
    const blocks = config.channels.map((_, k) => block(get, `a.blocks.${k}`)),
      levels = config.perceptual_levels;
    const roots = blocks.slice(0, levels).map((_, k) => {
      const { data, shape } = get(`a.channel_weight${k}`);
      return keep(data.map(Math.sqrt), shape);
    });
    const { P, bias } = projection(get, config.channels.at(-1)),
      side = config.resolution,
      matrices = new Map();
    const activations = (x, count) => {
      x = tf.sub(tf.mul(x, 2), 1);
      return blocks.slice(0, count).map((b) => (x = apply(b, x)));
    };
    const maps = (found) => roots.map((root, k) => unit(root, found[k]));
    function embedding(last) {
      const e = tf.add(tf.matMul(tf.reshape(last, [1, -1]), P), bias);
      return tf.div(e, tf.maximum(tf.sqrt(tf.sum(tf.square(e), 1, true)), 1e-12));
    }
    function enlarged(x) {
      // as `images.resize(x, side, "bilinear")`
      const from = x.shape[1];
      if (!matrices.has(from)) matrices.set(from, keep(Live.resampling.matrix("bilinear", from, side), [side, from]));
      return separable(x, matrices.get(from), matrices.get(from));
    }
    function look(x, named) {
      if (!named) return { maps: maps(activations(x, levels)) };
      if (x.shape[1] !== side) return { maps: maps(activations(x, levels)), embedding: embed(x) };
      const found = activations(x);
      return { maps: maps(found), embedding: embedding(found.at(-1)) };
    }
    const embed = (x) => embedding(activations(x.shape[1] === side ? x : enlarged(x)).at(-1));
    return { look, embed };
  }

  return { create };
})();
