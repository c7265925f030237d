/** The pictures of a search: input, guess and degraded guess live, every step to scrub back to, a slider to compare. */
Page.stage = (() => {
  const { el, draw } = Page.pictures;
  const KEPT = 240; // pictures of a search; beyond it every second one is dropped

  const canvas = (label, pixels = false) =>
    el("canvas", { role: "img", "aria-label": label, class: pixels && "rl-pixels", width: 128, height: 128 });
  const figure = (picture, caption) =>
    el("figure", {}, el("div", { class: "rl-frame" }, picture), el("figcaption", {}, caption));

  /** Two canvases one over the other and a range that moves the cut. */
  function comparison() {
    const below = canvas("The restoration"),
      above = canvas("The portrait");
    const left = el("span", {}, "portrait"),
      box = el("div", { class: "rl-pair" }, below, above, el("span", { class: "rl-cut" }));
    const move = el("input", {
      type: "range",
      min: 0,
      max: 100,
      ".value": 50,
      "aria-label": "Share of the left picture that is shown, in percent",
    });
    move.addEventListener("input", () => box.style.setProperty("--cut", `${move.value}%`));
    const view = el(
      "figure",
      { class: "rl-compare", hidden: true },
      el("div", { class: "rl-frame" }, box),
      move,
      el("figcaption", { class: "rl-sides" }, left, el("span", {}, "restored")),
    );
    return {
      view,
      restored: below,
      show(first, restored, words) {
        draw(above, first);
        draw(below, restored);
        left.textContent = words;
        above.setAttribute("aria-label", words);
        view.hidden = false;
      },
    };
  }

  function create() {
    const input = canvas("What the search sees", true),
      guess = canvas("The guess G(w)"),
      seen = canvas("The degraded guess f(G(w))", true);
    const portrait = canvas("The portrait"),
      caption = el("span", {}, "restored: G(w)");
    const compare = comparison(),
      curve = Page.curve.create();
    const scrub = el("input", { type: "range", min: 0, max: 0, ".value": 0, "aria-label": "Step that is shown" });
    const where = el("output", {}),
      scrubber = el("div", { class: "rl-scrub", hidden: true }, scrub, where);
    let frames = [],
      live = true;

    function show(k) {
      const frame = frames[k];
      draw(guess, frame.picture);
      if (frame.seen) draw(seen, frame.seen);
      where.textContent =
        `${frame.space}, step ${frame.step + 1}` + (frame.psnr === null ? "" : ` · ${frame.psnr.toFixed(1)} dB`);
      scrub.setAttribute("aria-valuetext", where.textContent);
      curve.redraw(live ? null : frame.at);
    }
    scrub.addEventListener("input", () => {
      live = +scrub.value === frames.length - 1;
      show(+scrub.value);
    });
    const row = el(
      "div",
      { class: "rl-row" },
      figure(portrait, "the portrait"),
      figure(input, "input y: what the search sees"),
      figure(guess, caption),
      figure(seen, "f(G(w)): must match the input"),
    );
    return {
      box: el("div", { class: "rl-stage" }, row, scrubber, curve.box, compare.view),
      portrait,
      guess,
      compare,
      start() {
        frames = [];
        live = true;
        curve.clear();
        scrubber.hidden = compare.view.hidden = true;
      },
      observed(picture) {
        draw(input, picture);
      },
      mean(picture) {
        if (!frames.length) draw(guess, picture);
      },
      add(step) {
        curve.add({ space: step.space, loss: step.loss });
        if (!step.picture) return;
        frames.push({ ...step, psnr: step.psnr ?? null, at: curve.length() - 1 });
        if (frames.length > KEPT) frames = frames.filter((_, k) => k % 2 || k === frames.length - 1);
        scrub.max = frames.length - 1;
        if (live) scrub.value = scrub.max;
        scrubber.hidden = frames.length < 2;
        if (live) show(frames.length - 1);
      },
      frames: () => frames,
    };
  }

  return { create };
})();
