/** Portraits from W: a seed, truncation, a second seed mixed in. */
Page.walk = (() => {
  const { el, draw } = Page.pictures,
    { label, range, select } = Page.controls,
    client = Page.client;
  const MIXES = {
    none: "no: one portrait",
    share: "their latents",
    layers: "their layers",
  };
  const YET = "Nothing is loaded yet: the button loads about 11 MB once, from this book.";

  class Walk {
    /** `options`: { seed, mix }; `use` gets a portrait that is to be restored, null where none can be. */
    constructor(options, use) {
      const mix = options.mix || "none";
      this.state = { seed: options.seed || 1, other: 2, psi: 0.7, mix, share: 0.5, from: 4 };
      this.use = use;
      this.last = null;
      this.busy = this.again = false;
      this.canvas = el("canvas", { width: 128, height: 128, role: "img", "aria-label": "The sampled portrait" });
      this.status = el("p", { class: "rl-status", role: "status" }, client.running() ? "" : YET);
      client.loaded(() => this.status.textContent === YET && this.say(""));
      const frame = { class: "rl-frame", "data-yet": "press “Sample a portrait”" },
        figure = el("figure", {}, el("div", frame, this.canvas));
      const name = { class: "rl-walk", "aria-label": "Sampling portraits" };
      this.box = el("section", name, figure, this.controls());
    }

    controls() {
      const { state } = this,
        layers = 2 * RUSR_PORTRAITS.method.generator.channels.length;
      const psi = range(0, 1.2, 0.05, state.psi, (v) => v.toFixed(2), this.moved("psi"));
      const share = range(0, 1, 0.02, state.share, (v) => `${Math.round(100 * v)} %`, this.moved("share"));
      const from = range(1, layers - 1, 1, state.from, (v) => `the first ${v} of ${layers}`, this.moved("from"));
      this.rows = {
        share: label("Share of the second", share.control, share.output),
        layers: label("Layers of the first", from.control, from.output),
      };
      const mix = select(MIXES, state.mix, (value) => {
        this.moved("mix")(value);
        this.shown();
      });
      const main = { type: "button", class: "rl-main", onclick: () => this.draws() };
      this.button = el("button", main, "Sample a portrait");
      this.take = el("button", { type: "button", disabled: true, hidden: !this.use }, "Restore this one");
      this.take.addEventListener("click", () => this.restore());
      this.shown();
      return el(
        "fieldset",
        {},
        el("legend", {}, "A walk in W"),
        label("Truncation", psi.control, psi.output),
        label("Mix two portraits", mix),
        Object.values(this.rows),
        el("div", { class: "rl-buttons" }, this.button, this.take),
        this.status,
      );
    }

    /** A listener that keeps a value and draws the portrait anew, once there is an engine. */
    moved(name) {
      return (value) => {
        this.state[name] = value;
        if (client.running()) this.refresh();
      };
    }

    shown() {
      for (const [name, row] of Object.entries(this.rows)) row.hidden = this.state.mix !== name;
    }

    draws() {
      const seed = () => Math.floor(Math.random() * 100000);
      if (this.last) Object.assign(this.state, { seed: seed(), other: seed() });
      return this.refresh();
    }

    restore() {
      const { picture, asked } = this.last,
        name = `sample-${asked.seed}${asked.other === undefined ? "" : `-${asked.other}`}`;
      this.use({ picture, name, own: false, sample: asked });
    }

    /** What the engine is asked for. */
    asked() {
      const { seed, psi, mix, other, share, from } = this.state;
      return { seed, psi, ...{ none: {}, share: { other, share }, layers: { other, from } }[mix] };
    }

    say(text, wrong = false) {
      this.status.textContent = text;
      this.status.classList.toggle("rl-wrong", wrong);
    }

    /** One portrait at a time: a slider moves faster than the engine draws. */
    async refresh() {
      this.again = this.busy;
      if (this.busy) return;
      this.busy = true;
      try {
        await client.start((text) => this.say(text));
        do {
          this.again = false;
          const asked = this.asked(),
            { picture } = await client.post("sample", asked);
          this.last = { picture, asked };
          draw(this.canvas, picture);
        } while (this.again);
        const { seed, other, psi } = this.last.asked,
          pair = other !== undefined;
        this.button.textContent = pair ? "Another pair" : "Another portrait";
        this.say(`Seed ${pair ? `${seed} and ${other}` : seed}, truncation ${psi.toFixed(2)}.`);
        this.take.disabled = !this.use;
      } catch (error) {
        this.say(error.message, true);
      }
      this.busy = false;
    }
  }

  return { create: (options, use) => new Walk(options, use).box };
})();
