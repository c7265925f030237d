/** L = LPIPS over a pyramid + 0.1 L1 + lambda ID: `rusr_core.losses`. What looks at y alone is computed once. */
Live.losses = (() => {
  const { pool, magnitude } = Live.operations;

  /** How many levels of the pyramid of an image have a side above `smallest`. */
  function depth(side, levels, smallest) {
    let found = 0;
    for (; found < levels && side > smallest; side = Math.floor(side / 2)) found++;
    return found;
  }

  /** x and its average-poolings by 2, finest first. */
  function pyramid(x, poolings) {
    const images = [x];
    while (images.length <= poolings) images.push(pool(images.at(-1), 2));
    return images;
  }

  /** LPIPS of two lists of maps. */
  const distance = (a, b) =>
    tf.addN(a.map((u, k) => tf.div(tf.sum(tf.squaredDifference(u, b[k])), u.shape[1] * u.shape[2])));
  const l1 = (a, b) => tf.mean(magnitude(tf.sub(a, b)));
  const identity = (a, b) => tf.sub(1, tf.sum(tf.mul(a, b)));

  /** The distance, or with a second draw the energy score (Gneiting & Raftery, JASA 2007). */
  const score = (d, y, x, again) => (again ? tf.div(tf.sub(tf.add(d(x, y), d(again, y)), d(x, again)), 2) : d(x, y));

  class Loss {
    /**
     * The loss of a preset for images y [1, side, side, 3]. `weights`: { lpips, l1, identity }; a term of weight 0, or
     * one that sees nothing of so small a y, is left out.
     */
    constructor(net, preset, weights, side) {
      const { lpips_levels: levels, lpips_smallest: smallest } = preset;
      this.net = net;
      this.weights = weights;
      this.seen = depth(side, levels, smallest);
      this.poolings = levels > 1 ? this.seen : 0;
      this.named = weights.identity > 0 && side > smallest;
      this.lpips = weights.lpips > 0 && this.seen > 0;
      if (!this.lpips && !this.named && !(weights.l1 > 0))
        throw new Error("no term of the loss is left: expected a weight above 0");
    }

    /** What looks at y alone. */
    target(y, mask) {
      const images = pyramid(y, this.poolings),
        masks = mask ? pyramid(mask, this.poolings) : null;
      const looks = this.lpips && !mask ? images.slice(0, this.seen).map((v) => this.net.look(v, false).maps) : [];
      return { images, masks, looks, embedding: this.named ? this.net.embed(y) : null };
    }

    /** LPIPS of one level, and where there are no holes the embeddings that came with the look. */
    level(k, images, goal, random) {
      if (!goal.masks) {
        const looks = images.map((x) => this.net.look(x, this.named && k === 0));
        return { value: score(distance, goal.looks[k], ...looks.map((look) => look.maps)), looks };
      }
      const noise = tf.div(tf.add(Live.degradations.normal(random, images[0].shape), 0.5), 2); // a hole is no feature
      const hidden = tf.mul(noise, tf.sub(1, goal.masks[k]));
      const wanted = this.net.look(tf.add(goal.images[k], hidden), false).maps;
      const looks = images.map((x) => this.net.look(tf.add(x, hidden), false).maps);
      return { value: score(distance, wanted, ...looks), looks: [] };
    }

    /** Each term that counts, a scalar: of one or two draws of the degraded guess. */
    terms(draws, goal, random) {
      const levels = draws.map((x) => pyramid(x, this.poolings)),
        numbers = Array.from({ length: this.lpips ? this.seen : 0 }, (_, k) => k),
        found = {};
      const at = (k) => levels.map((images) => images[k]);
      const compared = numbers.map((k) => this.level(k, at(k), goal, random));
      if (this.lpips) found.lpips = tf.addN(compared.map(({ value }) => value));
      if (this.weights.l1 > 0) found.l1 = score(l1, goal.images.at(-1), ...levels.map((images) => images.at(-1)));
      if (!this.named) return found;
      const shared = this.lpips && !goal.masks; // net A has looked already
      const embeddings = shared ? compared[0].looks.map((look) => look.embedding) : draws.map(this.net.embed);
      found.identity = score(identity, goal.embedding, ...embeddings);
      return found;
    }

    total(found) {
      return tf.addN(Object.entries(found).map(([name, value]) => tf.mul(value, this.weights[name])));
    }
  }

  return { create: (...given) => new Loss(...given) };
})();
