/** The curve of the loss: a line a phase over the steps, logarithmic, drawn as SVG in the page's colours. */
Page.curve = (() => {
  const { el } = Page.pictures;
  const WIDTH = 640,
    HEIGHT = 120,
    MARGIN = 8;
  const svg = (tag, attributes, text = "") => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.textContent = text;
    return element;
  };

  function create() {
    const frame = svg("svg", {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      preserveAspectRatio: "none",
      role: "img",
      "aria-label": "Loss by step, logarithmic",
    });
    const legend = el("p", { class: "rl-legend" }),
      box = el("div", { class: "rl-curve", hidden: true }, frame, legend);
    let points = [];

    /** Runs of consecutive points of one phase; each begins where the one before it ends. */
    function runs() {
      const found = [];
      points.forEach((point, k) => {
        if (!k || points[k - 1].space !== point.space) found.push({ space: point.space, from: Math.max(k - 1, 0) });
        found.at(-1).to = k;
      });
      return found;
    }
    function redraw(marked) {
      box.hidden = points.length < 2;
      if (box.hidden) return;
      const low = Math.min(...points.map((p) => p.loss)),
        shift = low > 0 ? 0 : 1e-4 - low; // energy scores may be negative
      const logs = points.map((p) => Math.log(p.loss + shift)),
        least = Math.min(...logs),
        most = Math.max(...logs);
      const x = (k) => MARGIN + (k / (points.length - 1)) * (WIDTH - 2 * MARGIN);
      const y = (k) => MARGIN + (1 - (logs[k] - least) / (most - least || 1)) * (HEIGHT - 2 * MARGIN);
      frame.replaceChildren(
        ...runs().map(({ space, from, to }) => {
          const path = Array.from(
            { length: to - from + 1 },
            (_, k) => `${x(from + k).toFixed(1)},${y(from + k).toFixed(1)}`,
          );
          return svg("polyline", { points: path.join(" "), class: `rl-line ${name(space)}` });
        }),
      );
      if (marked !== null)
        frame.append(svg("line", { x1: x(marked), x2: x(marked), y1: 0, y2: HEIGHT, class: "rl-mark" }));
      const ends = `loss ${points[0].loss.toPrecision(3)} → ${points.at(-1).loss.toPrecision(3)}`;
      legend.replaceChildren(...runs().map(({ space }) => el("span", { class: name(space) }, space)), ends);
    }
    const name = (space) => `rl-w${space.length - 1}`;
    return {
      box,
      clear() {
        points = [];
        redraw(null);
      },
      add(point) {
        points.push(point);
      },
      redraw,
      length: () => points.length,
    };
  }

  return { create };
})();
