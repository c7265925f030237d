/** L = LPIPS over a pyramid + 0.1 L1 + lambda ID: `rusr_core.losses`. What looks at y alone is computed once. */
Live.losses = (() => {
  const { pool } = Live.operations;

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
  const l1 = (a, b) => tf.mean(tf.abs(tf.sub(a, b)));
  const identity = (a, b) => tf.sub(1, tf.sum(tf.mul(a, b)));

  /** The distance, or with a second draw the energy score (Gneiting & Raftery, JASA 2007). */
  const score = (d, y, x, again) => (again ? tf.div(tf.sub(tf.add(d(x, y), d(again, y)), d(x, again)), 2) : d(x, y));

  /**
   * The loss of a preset for images y [1, side, side, 3] -> { target(y, mask), value(draws, target, random) }.
   * `weights`: { lpips, l1, identity }; a term of weight 0, or one that sees nothing of so small a y, is left out.
   */
  function create(net, preset, weights, side) {
    const seen = depth(side, preset.lpips_levels, preset.lpips_smallest),
      poolings = preset.lpips_levels > 1 ? seen : 0;
    const named = weights.identity > 0 && side > preset.lpips_smallest,
      lpips = weights.lpips > 0 && seen > 0;

    function target(y, mask) {
      const images = pyramid(y, poolings),
        masks = mask ? pyramid(mask, poolings) : null;
      const looks = lpips && !mask ? images.slice(0, seen).map((v) => net.look(v, false).maps) : [];
      return { images, masks, looks, embedding: named ? net.embed(y) : null };
    }

    /** LPIPS of one level, and where there are no holes the embeddings that came with the look. */
    function level(k, images, goal, random) {
      if (!goal.masks) {
        const looks = images.map((x) => net.look(x, named && k === 0));
        return { value: score(distance, goal.looks[k], ...looks.map((look) => look.maps)), looks };
      }
      const noise = tf.div(tf.add(Live.degradations.normal(random, images[0].shape), 0.5), 2); // a hole is no feature
      const hidden = tf.mul(noise, tf.sub(1, goal.masks[k]));
      const wanted = net.look(tf.add(goal.images[k], hidden), false).maps;
      const looks = images.map((x) => net.look(tf.add(x, hidden), false).maps);
      return { value: score(distance, wanted, ...looks), looks: [] };
    }

    /** Each term that counts, a scalar: of one or two draws of the degraded guess. */
    function terms(draws, goal, random) {
      const levels = draws.map((x) => pyramid(x, poolings)),
        found = {};
      let embeddings = null;
      if (lpips) {
        const compared = Array.from({ length: seen }, (_, k) =>
          level(
            k,
            levels.map((p) => p[k]),
            goal,
            random,
          ),
        );
        found.lpips = tf.addN(compared.map(({ value }) => value));
        if (named && !goal.masks) embeddings = compared[0].looks.map((look) => look.embedding);
      }
      if (weights.l1 > 0) found.l1 = score(l1, goal.images.at(-1), ...levels.map((p) => p.at(-1)));
      if (named) found.identity = score(identity, goal.embedding, ...(embeddings || draws.map(net.embed)));
      return found;
    }

    const total = (found) => tf.addN(Object.entries(found).map(([name, value]) => tf.mul(value, weights[name])));
    if (!lpips && !named && !(weights.l1 > 0))
      throw new Error("no term of the loss is left: expected a weight above 0");
    return { target, terms, total };
  }

  return { create };
})();
