/** The pictures of a search: input, guess and degraded guess live, every step to scrub back to, a slider to compare. */
Page.stage = (() => {
  const { el, draw, wipe } = Page.pictures;
  const YET = "after Start"; // stands in a frame without a picture
  const KEPT = 240; // pictures of a search; beyond it every second one is dropped

  const canvas = (label, pixels = false) =>
    el("canvas", { role: "img", "aria-label": label, class: pixels && "rl-pixels", width: 128, height: 128 });
  const figure = (picture, caption, yet = null) =>
    el("figure", {}, el("div", { class: "rl-frame", "data-yet": yet }, picture), el("figcaption", {}, caption));

  /** Two canvases one over the other and a range that moves the cut. */
  function comparison() {
    const below = canvas("The restoration"),
      above = canvas("The portrait"),
      left = el("span", {}, "portrait"),
      box = el("div", { class: "rl-pair" }, below, above, el("span", { class: "rl-cut" }));
    const label = "Share of the left picture that is shown, in percent";
    const move = el("input", { type: "range", min: 0, max: 100, ".value": 50, "aria-label": label });
    move.addEventListener("input", () => box.style.setProperty("--cut", `${move.value}%`));
    const sides = el("figcaption", { class: "rl-sides" }, left, el("span", {}, "restored"));
    const frame = el("div", { class: "rl-frame" }, box),
      view = el("figure", { class: "rl-compare", hidden: true }, frame, move, sides);
    function show(first, restored, words) {
      draw(above, first);
      draw(below, restored);
      left.textContent = words;
      above.setAttribute("aria-label", words);
      view.hidden = false;
    }
    return { view, restored: below, show };
  }

  class Stage {
    constructor() {
      this.input = canvas("What the search sees", true);
      this.guess = canvas("The guess G(w)");
      this.seen = canvas("The degraded guess f(G(w))", true);
      this.portrait = canvas("The portrait");
      this.compare = comparison();
      this.curve = Page.curve.create();
      this.frames = [];
      this.live = true; // whether the newest step is shown
      this.scrub = el("input", { type: "range", min: 0, max: 0, ".value": 0, "aria-label": "Step that is shown" });
      this.scrub.addEventListener("input", () => {
        this.live = +this.scrub.value === this.frames.length - 1;
        this.show(+this.scrub.value);
      });
      this.where = el("output", {});
      this.scrubber = el("div", { class: "rl-scrub", hidden: true }, this.scrub, this.where);
      this.source = el("span", {}, "the portrait");
      this.row = el(
        "div",
        { class: "rl-row" },
        figure(this.portrait, this.source),
        figure(this.input, "input y: what the search sees", YET),
        figure(this.guess, "restored: G(w)", YET),
        figure(this.seen, "f(G(w)): must match the input", YET),
      );
      this.box = el("div", { class: "rl-stage" }, this.row, this.scrubber, this.curve.box, this.compare.view);
    }

    show(k) {
      const frame = this.frames[k];
      draw(this.guess, frame.picture);
      if (frame.seen) draw(this.seen, frame.seen);
      const near = frame.psnr === null ? "" : ` · ${frame.psnr.toFixed(1)} dB`;
      this.where.textContent = `${frame.space}, step ${frame.step + 1}${near}`;
      this.scrub.setAttribute("aria-valuetext", this.where.textContent);
      this.curve.redraw(this.live ? null : frame.at);
    }

    /** Another portrait: nothing is known of it yet. A comparison that was made stays until the next search. */
    reset() {
      this.frames = [];
      this.live = true;
      this.curve.clear();
      this.scrubber.hidden = true;
      for (const picture of [this.input, this.guess, this.seen]) wipe(picture);
    }

    start() {
      this.reset();
      this.compare.view.hidden = true;
    }

    observed(picture) {
      draw(this.input, picture);
    }

    mean(picture) {
      if (!this.frames.length) draw(this.guess, picture);
    }

    add(step) {
      this.curve.add({ space: step.space, loss: step.loss });
      if (!step.picture) return;
      this.frames.push({ ...step, psnr: step.psnr ?? null, at: this.curve.length() - 1 });
      if (this.frames.length > KEPT) this.thin();
      this.scrub.max = this.frames.length - 1;
      this.scrubber.hidden = this.frames.length < 2;
      if (!this.live) return;
      this.scrub.value = this.scrub.max;
      this.show(this.frames.length - 1);
    }

    /** Every second picture goes, but for the first and the newest. */
    thin() {
      const last = this.frames.length - 1;
      this.frames = this.frames.filter((_, k) => k % 2 === 0 || k === last);
      if (!this.live) this.scrub.value = Math.floor(this.scrub.value / 2);
    }

    /** The search has ended with this picture, also where it was stopped at a step that was not drawn. */
    end(step) {
      this.live = true;
      if (!this.frames.length || this.frames.at(-1).at < this.curve.length() - 1)
        this.frames.push({ ...step, at: this.curve.length() - 1 });
      this.scrub.max = this.scrub.value = this.frames.length - 1;
      this.scrubber.hidden = this.frames.length < 2;
      this.show(this.frames.length - 1);
    }
  }

  return { create: () => new Stage() };
})();
