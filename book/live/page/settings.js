/** What is done to the portrait and how it is searched: damage, level, steps, phases, weights. */
Page.settings = (() => {
  const { el } = Page.pictures,
    { NAMES, label, select, range, check, stages, words } = Page.controls;
  const SPACES = ["W", "W+", "W++"];

  /** `options`: { task, level, seed, steps, spaces, weights }, all optional; `changed()` is called on each change. */
  function create(options, method, mask, changed) {
    const preset = method.presets.report;
    const state = {
      task: options.task || "paint",
      level: options.level || "M",
      seed: options.seed || 0,
      steps: options.steps || 60,
      spaces: options.spaces || ["W", "W+"],
      weights: { lpips: 1, l1: preset.l1_weight, identity: preset.identity_weight, ...options.weights },
    };
    const meaning = el("p", { class: "rl-hint" });
    const task = select(NAMES, state.task, (value) => {
      state.task = value;
      refresh();
    });
    const level = range(
      0,
      method.levels.length - 1,
      1,
      method.levels.indexOf(state.level),
      (k) => method.levels[k],
      (k) => {
        state.level = method.levels[k];
        refresh();
      },
    );
    const levelRow = label("Level", level.control, level.output);
    const seed = el("input", {
      type: "number",
      min: 0,
      max: 99999,
      ".value": state.seed,
      onchange: () => {
        state.seed = Math.min(Math.max(Math.trunc(+seed.value) || 0, 0), 99999);
        seed.value = state.seed;
        refresh();
      },
    });
    const steps = select({ 30: "30, a quick look", 60: "60", 150: "150, as published" }, state.steps, (value) => {
      state.steps = +value;
      changed();
    });
    const ticks = Object.fromEntries(
      SPACES.map((space) => [
        space,
        check(space, state.spaces.includes(space), (on) => {
          state.spaces = SPACES.filter((s) => (s === space ? on : state.spaces.includes(s)));
          changed();
        }),
      ]),
    );
    const weight = (name, text, max) => {
      const one = range(
        0,
        max,
        max / 20,
        state.weights[name],
        (v) => v.toFixed(2),
        (v) => {
          state.weights[name] = v;
          changed();
        },
      );
      weights[name] = one;
      return label(text, one.control, one.output);
    };
    const weights = {};
    const lossBox = el(
      "details",
      { ".open": options.open === "weights" },
      el("summary", {}, "Weights of the loss"),
      weight("lpips", "LPIPS", 2),
      weight("l1", "L1", 1),
      weight("identity", "Identity", 1),
    );

    const current = () => stages(state.task, state.level, state.seed, mask, method);
    function refresh() {
      levelRow.hidden = state.task === "paint";
      meaning.textContent =
        state.task === "paint"
          ? "Paint on the portrait: drag, or press Tab to reach it and use arrow keys and space."
          : `Level ${state.level}: ${words(current())}.`;
      changed();
    }
    const damage = el("fieldset", {}, el("legend", {}, "2 · Its damage"), label("Damage", task), levelRow, meaning);
    const searched = el(
      "fieldset",
      {},
      el("legend", {}, "3 · The search"),
      label("Steps a phase", steps),
      el("div", { class: "rl-ticks", role: "group", "aria-label": "Phases" }, Object.values(ticks)),
      label("Seed", seed),
      lossBox,
    );
    function set(next) {
      Object.assign(state, next, { weights: { ...state.weights, ...next.weights } });
      task.value = state.task;
      level.set(method.levels.indexOf(state.level));
      steps.value = state.steps;
      for (const space of SPACES) ticks[space].querySelector("input").checked = state.spaces.includes(space);
      for (const [name, one] of Object.entries(weights)) one.set(state.weights[name]);
      refresh();
    }
    const boxes = [damage, searched];
    return {
      boxes,
      state,
      stages: current,
      words: () => words(current()),
      set,
      refresh,
      lock(value) {
        for (const box of boxes)
          for (const control of box.querySelectorAll("input, select")) control.disabled = value;
      },
    };
  }

  return { create };
})();
