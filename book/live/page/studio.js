/** A live restoration: choose, damage, start, pause, continue, stop, scrub back, compare, save. */
Page.studio = (() => {
  const { el } = Page.pictures,
    { NAMES, TERMS } = Page.controls,
    client = Page.client;
  const SETTINGS = "Portrait, damage and search";
  const ENDS = { steps: "all steps", patience: "no new best loss", stopped: "stopped by you", diverged: "diverged" };
  const YET = "Start loads about 11 MB of networks once, from this book; nothing is loaded yet.";
  const MOUTH = [[0.5, 0.7, 0.13]]; // the hole that a figure opens with, a disc [x, y, radius]

  class Studio {
    /** `options` as in `settings`, and `portrait`, `compact`, `predict`, `open`. */
    constructor(options) {
      this.options = options;
      this.method = RUSR_PORTRAITS.method;
      this.side = this.method.resolution;
      this.chosen = null;
      this.phase = "idle"; // "loading", "running", "paused"
      this.result = null;
      this.stage = Page.stage.create();
      this.runs = Page.runs.create();
      const size = { width: this.side, height: this.side };
      this.brush = Page.brush.create(this.stage.portrait, size, () => this.changed());
      this.brush.holes(MOUTH);
      this.source = Page.source.create({
        sides: this.sides(),
        chosen: (chosen) => this.choose(chosen),
        say: (...words) => this.say(...words),
        ask: () => this.sample(),
      });
      this.settings = Page.settings.create(options, this.method, this.brush.mask, () => this.changed());
      this.prediction = options.predict ? Page.prediction.create() : null;
      this.build();
      this.settings.refresh();
      this.source.pick(options.portrait || Object.keys(RUSR_PORTRAITS.portraits)[0]);
    }

    /** The sides that an input may have, the portrait's first: a file of the reader's is brought to each at once. */
    sides() {
      const { resolution, tasks, letters } = this.method,
        factors = tasks[Object.keys(letters).find((name) => letters[name] === "U")];
      return [resolution, ...factors.map((factor) => resolution / factor)];
    }

    build() {
      this.main = el("button", { type: "button", class: "rl-main", onclick: () => this.press() }, "Start");
      this.halt = el("button", { type: "button", disabled: true, onclick: () => this.stop() }, "Stop");
      this.clear = el("button", { type: "button", onclick: () => this.brush.clear() }, "Clear the holes");
      this.keep = el(
        "button",
        { type: "button", hidden: true, onclick: () => this.save() },
        "Save PNG with record",
      );
      this.status = el("p", { class: "rl-status", role: "status" });
      this.numbers = el("p", { class: "rl-numbers" });
      const buttons = el("div", { class: "rl-buttons rl-bar" }, this.main, this.halt, this.clear, this.keep);
      const setup = el("div", { class: "rl-setup" }, this.source.box, this.settings.boxes);
      const setting = this.options.compact
        ? el("details", { class: "rl-more", ".open": !!this.options.open }, el("summary", {}, SETTINGS), setup)
        : setup;
      this.box = el(
        "section",
        { class: "rl-studio", "aria-label": "Live restoration" },
        setting,
        this.prediction && this.prediction.box,
        buttons,
        this.status,
        this.numbers,
        this.stage.box,
        this.runs.box,
      );
      this.say(YET);
    }

    say(text, wrong = false) {
      this.status.textContent = text;
      this.status.classList.toggle("rl-wrong", wrong);
    }

    choose(chosen) {
      this.chosen = chosen;
      if (chosen.own) this.brush.clear(); // nobody knows where its mouth is
      this.brush.choose(chosen.picture);
      this.settings.choose(chosen);
    }

    /** Called with each choice: what is to be seen of it before the search. */
    changed() {
      if (!this.settings || !this.main) return;
      const painting = this.settings.state.task === "paint" && this.phase === "idle";
      if (painting !== this.painting || !painting) this.brush.on(painting);
      this.painting = painting;
      this.clear.hidden = this.settings.state.task !== "paint";
      this.preview();
    }

    /** What the damage makes of the portrait, if the engine is there already. */
    async preview() {
      if (!client.running() || this.phase !== "idle" || !this.chosen) return;
      const turn = (this.turn = (this.turn || 0) + 1);
      const { picture: seen } = await client.post("degrade", { ...this.given(), seed: this.settings.state.seed });
      if (turn === this.turn && this.phase === "idle") this.stage.observed(seen);
    }

    /** What the search is of: a portrait that is to be damaged, or what is damaged already, as it is. */
    given() {
      const { observed } = this.settings.state,
        { picture, pictures } = this.chosen;
      return { picture: observed ? pictures[this.settings.side()] : picture, stages: this.settings.stages(), observed };
    }

    /** The engine, loaded by now; false with a line on the page if that failed. */
    async ready() {
      try {
        const { picture } = await client.start((text) => this.say(text));
        this.stage.mean(picture);
        return true;
      } catch (error) {
        this.say(error.message, true);
        return false;
      }
    }

    async sample() {
      if (this.phase !== "idle" || !(await this.ready())) return;
      const seed = Math.floor(Math.random() * 100000),
        { picture } = await client.post("sample", { seed, psi: 0.7 });
      this.source.release();
      this.choose({ picture, name: `sample-${seed}`, own: false });
      this.say(`A portrait that the generator samples: seed ${seed}, truncation 0.7.`);
    }

    press() {
      if (this.phase === "loading") return undefined;
      if (this.phase === "idle") return this.run();
      const pause = this.phase === "running";
      client.post(pause ? "pause" : "resume");
      this.enter(pause ? "paused" : "running");
      return this.say(pause ? "Paused: scrub back through the steps, then continue or stop." : "Searching …");
    }

    stop() {
      client.post("stop");
      this.say("Stopping …");
    }

    enter(phase) {
      this.phase = phase;
      const busy = phase !== "idle";
      this.main.textContent = { idle: "Start", loading: "Loading …", running: "Pause", paused: "Continue" }[phase];
      this.main.setAttribute("aria-disabled", phase === "loading"); // a disabled one would lose the keyboard's focus
      if (!busy && document.activeElement === this.halt) this.main.focus({ preventScroll: true });
      this.halt.disabled = phase !== "running" && phase !== "paused";
      this.keep.hidden = busy || !this.result;
      this.clear.disabled = busy;
      this.source.lock(busy);
      this.settings.lock(busy);
      this.box.classList.toggle("rl-busy", phase === "running" || phase === "loading");
      if (this.settings.state.task === "paint") this.brush.on((this.painting = !busy));
    }

    /** Why a search cannot begin; null if it can. */
    missing() {
      const { task, spaces } = this.settings.state;
      if (!this.chosen) return "Choose a portrait first.";
      if (task === "paint" && !this.brush.used())
        return "Paint a hole on the portrait first, or choose another damage.";
      return spaces.length ? null : "Choose one phase or more: W, W+ or W++.";
    }

    /** The pictures in sight: on a phone the settings fill the window, with Start at its lower edge. */
    look() {
      this.stage.row.scrollIntoView({ block: "nearest", behavior: "smooth" });
    }

    async run() {
      this.look();
      const missing = this.missing();
      if (missing) return this.say(missing, true);
      this.result = null;
      this.enter("loading");
      if (!(await this.ready())) return this.enter("idle");
      this.stage.start();
      if (this.prediction) this.prediction.clear();
      this.enter("running");
      this.say("Searching …");
      const { steps, spaces, weights, seed } = this.settings.state;
      const asked = { preset: "default", steps, spaces, weights, seed, ...this.given() };
      this.points = [];
      this.planned = steps * spaces.length;
      try {
        this.finish(asked, await client.post("search", asked, (report) => this.report(report)));
      } catch (error) {
        this.say(error.message, true);
      }
      return this.enter("idle");
    }

    report({ type, picture, ...step }) {
      if (type === "observed") return this.stage.observed(picture);
      this.points.push({ space: step.space, loss: step.loss });
      this.seconds = step.seconds;
      this.stage.add({ picture, ...step });
      if (!picture) return undefined;
      const terms = Object.entries(step.terms)
        .map(([name, value]) => `${TERMS[name]} ${value.toPrecision(3)}`)
        .join(", ");
      this.loss = `Loss ${step.loss.toPrecision(3)} (${terms})`;
      this.numbers.textContent = `Step ${this.points.length} of ${this.planned}, ${this.remaining()}. ${this.loss}`;
      if (this.points.length === 1) this.look(); // the line of numbers has moved them
      return undefined;
    }

    /** The time that the steps still take at the pace so far; a phase may end before. */
    remaining() {
      const done = this.points.length,
        left = Math.ceil((this.seconds / done) * (this.planned - done));
      return `at most ${left} s left`;
    }

    finish(asked, { picture, phases, preset, psnr }) {
      const ends = phases.map(({ space, steps, reason }) => `${space} ${steps} (${ENDS[reason]})`).join(", ");
      const near = psnr === null ? "" : `: ${psnr.toFixed(1)} dB`;
      this.say(`Done in ${this.seconds.toFixed(1)} s${near}. Steps: ${ends}.`);
      this.numbers.textContent = this.loss;
      Page.pictures.draw(this.stage.guess, picture);
      this.stage.compare.show(this.chosen.picture, picture, asked.observed ? "your file" : "portrait");
      if (this.prediction) this.prediction.judge(psnr, this.points);
      const written = (stage) =>
        stage.painted ? { ...stage, painted: [...stage.painted].map((v) => +v.toFixed(3)) } : stage;
      const { seed, weights, observed } = asked,
        search = { stages: asked.stages.map(written), observed, seed, weights, preset, phases, psnr };
      this.result = { source: this.chosen.name, ...search, seconds: this.seconds, losses: this.points };
      const { task, level } = this.settings.state,
        damage = task === "paint" ? "holes" : `${NAMES[task]} ${level}`;
      this.runs.add({ ...this.result, damage, loss: this.points.at(-1).loss });
    }

    async save() {
      const record = {
        made: "in the browser, on the page of the RUSR book",
        date: new Date().toISOString(),
        ...this.result,
      };
      Page.record.save(
        await Page.record.png(this.stage.compare.restored, record),
        `restored-${this.result.source}.png`,
      );
      this.say('Saved; the record stands in the file\'s text "rusr-record".');
    }
  }

  return { create: (options) => new Studio(options) };
})();
