/** Portraits from W: a seed, truncation, a second seed mixed in. */
Page.walk = (() => {
  const { el, draw } = Page.pictures,
    { label, range, select } = Page.controls,
    client = Page.client;
  const MIXES = {
    none: "no: one portrait",
    share: "between the two latents",
    layers: "coarse layers of the first, fine ones of the second",
  };

  function create(options, use) {
    const { generator } = RUSR_PORTRAITS.method,
      layers = 2 * generator.channels.length;
    const state = { seed: options.seed || 1, other: 2, psi: 0.7, mix: options.mix || "none", share: 0.5, from: 4 };
    const canvas = el("canvas", { width: 128, height: 128, role: "img", "aria-label": "The sampled portrait" });
    const status = el(
      "p",
      { class: "rl-status", role: "status" },
      "Nothing is loaded yet: the button loads about 11 MB once, from this book.",
    );
    let last = null,
      busy = false,
      again = false;

    async function refresh() {
      if (busy) {
        again = true;
        return;
      }
      busy = true;
      try {
        await client.start((text) => {
          status.textContent = text;
        });
        do {
          again = false;
          last = await client.post("sample", { seed: state.seed, psi: state.psi, ...mixed() });
          draw(canvas, last.picture);
        } while (again);
        button.textContent = "Another pair";
        const seeds = state.mix === "none" ? state.seed : `${state.seed} and ${state.other}`;
        status.textContent = `Seed ${seeds}, truncation ${state.psi.toFixed(2)}.`;
        if (use) take.disabled = false;
      } catch (error) {
        status.textContent = error.message;
      }
      busy = false;
    }
    const mixed = () =>
      ({
        none: {},
        share: { other: state.other, share: state.share },
        layers: { other: state.other, from: state.from },
      })[state.mix];
    const moved = (name) => (value) => {
      state[name] = value;
      if (client.running()) refresh();
    };
    const psi = range(0, 1.2, 0.05, state.psi, (v) => v.toFixed(2), moved("psi"));
    const share = range(0, 1, 0.02, state.share, (v) => `${Math.round(100 * v)} %`, moved("share"));
    const from = range(1, layers - 1, 1, state.from, (v) => `the first ${v} of ${layers}`, moved("from"));
    const rows = {
      share: label("Share of the second", share.control, share.output),
      layers: label("Layers of the first", from.control, from.output),
    };
    const mix = select(MIXES, state.mix, (value) => {
      moved("mix")(value);
      shown();
    });
    const shown = () =>
      Object.entries(rows).forEach(([name, row]) => {
        row.hidden = state.mix !== name;
      });
    const draws = () => {
      if (last) [state.seed, state.other] = [1, 2].map(() => Math.floor(Math.random() * 100000));
      refresh();
    };
    const button = el("button", { type: "button", class: "rl-main", onclick: draws }, "Sample a portrait");
    const take = el(
      "button",
      {
        type: "button",
        disabled: true,
        hidden: !use,
        onclick: () => use({ picture: last.picture, name: `sample-${state.seed}`, own: false }),
      },
      "Restore this one",
    );
    shown();
    const controls = el(
      "fieldset",
      {},
      el("legend", {}, "A walk in W"),
      label("Truncation", psi.control, psi.output),
      label("Mix two portraits", mix),
      rows.share,
      rows.layers,
      el("div", { class: "rl-buttons" }, button, take),
      status,
    );
    return el(
      "section",
      { class: "rl-walk", "aria-label": "Sampling portraits" },
      el("figure", {}, el("div", { class: "rl-frame" }, canvas)),
      controls,
    );
  }

  return { create };
})();
