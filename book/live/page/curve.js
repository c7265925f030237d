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
  const name = (space) => `rl-w${space.length - 1}`;

  /** Runs of consecutive points of one phase; each begins where the one before it ends. */
  function runs(points) {
    const found = [];
    points.forEach((point, k) => {
      if (!k || points[k - 1].space !== point.space) found.push({ space: point.space, from: Math.max(k - 1, 0) });
      found.at(-1).to = k;
    });
    return found;
  }

  /** Where the points lie: x of a step, y of it. Energy scores may be negative. */
  function axes(points) {
    const low = Math.min(...points.map((p) => p.loss)),
      shift = low > 0 ? 0 : 1e-4 - low,
      logs = points.map((p) => Math.log(p.loss + shift)),
      least = Math.min(...logs),
      span = Math.max(...logs) - least || 1;
    return {
      x: (k) => MARGIN + (k / (points.length - 1)) * (WIDTH - 2 * MARGIN),
      y: (k) => MARGIN + (1 - (logs[k] - least) / span) * (HEIGHT - 2 * MARGIN),
    };
  }

  /** The line of one run. */
  function line({ space, from, to }, { x, y }) {
    const path = Array.from({ length: to - from + 1 }, (_, k) => from + k);
    const points = path.map((k) => `${x(k).toFixed(1)},${y(k).toFixed(1)}`).join(" ");
    return svg("polyline", { points, class: `rl-line ${name(space)}` });
  }

  function create() {
    const view = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" };
    const frame = svg("svg", { ...view, "aria-label": "Loss by step, logarithmic" });
    const legend = el("p", { class: "rl-legend" }),
      box = el("div", { class: "rl-curve", hidden: true }, frame, legend);
    let points = [];

    function redraw(marked) {
      box.hidden = points.length < 2;
      if (box.hidden) return;
      const scales = axes(points),
        phases = runs(points);
      frame.replaceChildren(...phases.map((run) => line(run, scales)));
      const x = marked === null ? null : scales.x(marked);
      if (x !== null) frame.append(svg("line", { x1: x, x2: x, y1: 0, y2: HEIGHT, class: "rl-mark" }));
      const ends = `loss ${points[0].loss.toPrecision(3)} → ${points.at(-1).loss.toPrecision(3)}`;
      legend.replaceChildren(...phases.map(({ space }) => el("span", { class: name(space) }, space)), ends);
    }
    function clear() {
      points = [];
      redraw(null);
    }
    return { box, clear, add: (point) => points.push(point), redraw, length: () => points.length };
  }

  return { create };
})();
