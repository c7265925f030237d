/** What is done to the portrait and how it is searched: damage, level, steps, phases, weights. */
Page.settings = (() => {
  const { el } = Page.pictures,
    { NAMES, TERMS, label, select, range, check, stages, words } = Page.controls;
  const SPACES = ["W", "W+", "W++"];
  const STEPS = { 30: "30, a quick look", 60: "60", 150: "150, as published" };
  const LARGEST = { lpips: 2, l1: 1, identity: 1 }; // weight of a term
  const LARGEST_SEED = 99999;

  class Settings {
    /** `options`: { task, level, seed, steps, spaces, weights }, all optional; `changed()` is called on each change. */
    constructor(options, method, mask, changed) {
      Object.assign(this, { method, mask, changed, file: null });
      const { l1_weight: l1, identity_weight: identity } = method.presets.default;
      this.state = {
        task: options.task || "paint",
        level: options.level || "M",
        seed: options.seed || 0,
        steps: options.steps || 30,
        spaces: options.spaces || ["W", "W+"],
        weights: { lpips: 1, l1, identity, ...options.weights },
        observed: false,
      };
      this.boxes = [this.damage(), this.search(options.open === "weights")];
    }

    /** A listener that keeps a value. */
    keep(name) {
      return (value) => {
        this.state[name] = value;
        this.refresh();
      };
    }

    damage() {
      const { method, state } = this,
        levels = method.levels;
      this.meaning = el("p", { class: "rl-hint" });
      this.task = select(NAMES, state.task, this.keep("task"));
      const moved = (k) => this.keep("level")(levels[k]);
      this.level = range(0, levels.length - 1, 1, levels.indexOf(state.level), (k) => levels[k], moved);
      this.levelRow = label("Level", this.level.control, this.level.output);
      this.already = check("My file is damaged already: restore it as it is", false, this.keep("observed"));
      this.already.hidden = true;
      const named = label("Damage", this.task);
      return el("fieldset", {}, el("legend", {}, "2 · Its damage"), named, this.levelRow, this.meaning, this.already);
    }

    search(open) {
      const { state } = this;
      this.steps = select(STEPS, state.steps, (value) => this.keep("steps")(+value));
      const ticked = (space) => (on) =>
        this.keep("spaces")(SPACES.filter((s) => (s === space ? on : state.spaces.includes(s))));
      const tick = (space) => [space, check(space, state.spaces.includes(space), ticked(space))];
      this.ticks = Object.fromEntries(SPACES.map(tick));
      const ticks = el("div", { class: "rl-ticks", role: "group", "aria-label": "Phases" }, Object.values(this.ticks));
      this.weights = {};
      const rows = Object.keys(LARGEST).map((name) => this.weight(name));
      const more = el("details", { ".open": open }, el("summary", {}, "Weights of the loss, and the seed"), rows);
      more.append(this.seed());
      const steps = label("Steps a phase", this.steps);
      return el("fieldset", {}, el("legend", {}, "3 · The search"), steps, ticks, more);
    }

    seed() {
      const input = el("input", { type: "number", min: 0, max: LARGEST_SEED, ".value": this.state.seed });
      input.addEventListener("change", () => {
        input.value = Math.min(Math.max(Math.trunc(+input.value) || 0, 0), LARGEST_SEED);
        this.keep("seed")(+input.value);
      });
      return label("Seed", input);
    }

    weight(name) {
      const max = LARGEST[name];
      const moved = (value) => this.keep("weights")({ ...this.state.weights, [name]: value });
      this.weights[name] = range(0, max, max / 20, this.state.weights[name], (v) => v.toFixed(2), moved);
      return label(TERMS[name], this.weights[name].control, this.weights[name].output);
    }

    stages() {
      const { task, level, seed } = this.state;
      return stages(task, level, seed, this.mask, this.method);
    }

    /** The side of the input that the search sees. */
    side() {
      return this.stages().reduce((side, { factor }) => side / (factor || 1), this.method.resolution);
    }

    /** The chosen portrait; only a file of the reader's can be damaged already. */
    choose(chosen) {
      this.file = chosen.own ? chosen : null;
      this.already.hidden = !chosen.own;
      if (!chosen.own) this.state.observed = this.already.firstElementChild.checked = false;
      this.refresh();
    }

    /** The damage in words. */
    words() {
      const { task, level, observed } = this.state,
        side = this.side(),
        file = this.file;
      const where = observed ? "Paint over what is damaged" : "Black is hidden: paint on the portrait below";
      const paint = `${where}, by dragging, or with Tab, arrow keys and space.`;
      const what = task === "paint" ? paint : `Level ${level}: ${words(this.stages())}.`;
      if (!observed || (file.width === side && file.height === side)) return what;
      const size = `${file.width} x ${file.height} px, taken as ${side} x ${side}`;
      return `${what} The file has ${size}, and resizing changes noise and JPEG blocks.`;
    }

    refresh() {
      const { state } = this;
      for (const option of this.task.options) option.hidden = state.observed && option.value.includes("P");
      if (state.observed && state.task.includes("P")) state.task = this.task.value = "paint"; // strokes of a seed
      this.levelRow.hidden = state.task === "paint";
      this.meaning.textContent = this.words();
      this.changed();
    }

    set(next) {
      Object.assign(this.state, next, { weights: { ...this.state.weights, ...next.weights } });
      const { state } = this;
      this.task.value = state.task;
      this.level.set(this.method.levels.indexOf(state.level));
      this.steps.value = state.steps;
      for (const space of SPACES) this.ticks[space].firstElementChild.checked = state.spaces.includes(space);
      for (const [name, one] of Object.entries(this.weights)) one.set(state.weights[name]);
      this.refresh();
    }

    lock(value) {
      for (const box of this.boxes) for (const one of box.querySelectorAll("input, select")) one.disabled = value;
    }
  }

  return { create: (...given) => new Settings(...given) };
})();
