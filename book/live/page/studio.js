/** A live restoration: choose, damage, start, pause, continue, stop, scrub back, compare, save. */
Page.studio = (() => {
  const { el, glide } = Page.pictures,
    { NAMES } = Page.controls,
    client = Page.client;
  const SETTINGS = "Portrait, damage and search";
  const ENDS = { steps: "all steps", patience: "no new best loss", stopped: "stopped by you", diverged: "diverged" };
  const YET = "Start loads about 11 MB of networks once, from this book; nothing is loaded yet.";
  const ELSEWHERE =
    "Another figure of this page has a search that has not ended: open that figure, and stop it or let it end.";
  const PSI = 0.7; // truncation of a sampled portrait
  const MOUTH = [[0.5, 0.7, 0.13]]; // the hole that a figure opens with, a disc [x, y, radius]

  let searching = null; // the figure whose search the one engine runs, or will

  class Studio {
    /** `options` as in `settings`, and `portrait`, `compact`, `predict`, `open`. */
    constructor(options) {
      this.options = options;
      this.method = RUSR_PORTRAITS.method;
      this.side = this.method.resolution;
      this.chosen = null;
      this.phase = "idle"; // "loading", "running", "paused"
      this.space = null; // that is searched
      this.result = null;
      this.stale = this.previewing = false;
      this.stage = Page.stage.create();
      this.progress = Page.progress.create();
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
      this.tools = Page.brush.tools(this.brush);
      this.keep = el(
        "button",
        { type: "button", hidden: true, onclick: () => this.save() },
        "Save PNG with record",
      );
      this.status = el("p", { class: "rl-status", role: "status" });
      const buttons = el("div", { class: "rl-buttons rl-bar" }, this.main, this.halt, this.keep);
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
        this.progress.bar,
        this.progress.numbers,
        this.tools,
        this.stage.box,
        this.runs.box,
      );
      this.source.listen(this.box, !this.options.compact);
      if (!client.running()) this.say(YET);
      client.loaded(() => this.status.textContent === YET && this.say(""));
    }

    say(text, wrong = false) {
      this.status.textContent = text;
      this.status.classList.toggle("rl-wrong", wrong);
    }

    /** Called with each choice; what was shown of the one before goes, but for its comparison, which can be saved. */
    choose(chosen) {
      this.chosen = chosen;
      this.stage.reset();
      if (chosen.own) this.brush.clear(); // nobody knows where its mouth is
      this.brush.choose(chosen.picture);
      this.settings.choose(chosen);
    }

    /** A portrait from elsewhere on the page. */
    use(chosen) {
      if (this.phase !== "idle") this.say(Page.source.BUSY, true);
      else this.source.take(() => chosen);
      glide(this.box, "start");
      this.main.focus({ preventScroll: true });
    }

    /** Called with each setting: what is to be seen of it before the search. */
    changed() {
      if (!this.settings || !this.main) return;
      const painting = this.settings.state.task === "paint" && this.phase === "idle";
      if (painting !== this.painting || !painting) this.brush.on(painting);
      this.painting = painting;
      this.tools.hidden = !painting;
      this.preview();
    }

    /** What the damage makes of the portrait, if the engine is there already: one at a time, a slider is faster. */
    async preview() {
      this.stale = true;
      if (this.previewing) return;
      this.previewing = true;
      try {
        while (this.stale && client.running() && this.phase === "idle" && this.chosen) {
          this.stale = false;
          const { picture } = await client.post("degrade", { ...this.given(), seed: this.settings.state.seed });
          if (this.phase === "idle") this.stage.observed(picture);
        }
      } catch (error) {
        this.say(error.message, true);
      }
      this.previewing = false;
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

    sample() {
      if (this.phase !== "idle") return;
      this.source.take(async () => {
        await client.start((text) => this.say(text));
        const seed = Math.floor(Math.random() * 100000),
          { picture } = await client.post("sample", { seed, psi: PSI }),
          note = `A portrait that the generator samples: seed ${seed}, truncation ${PSI}.`;
        return { picture, name: `sample-${seed}`, own: false, sample: { seed, psi: PSI }, note };
      });
    }

    press() {
      if (this.phase === "loading") return undefined;
      if (this.phase === "idle") return this.run();
      const pause = this.phase === "running";
      this.tell(pause ? "pause" : "resume");
      this.enter(pause ? "paused" : "running");
      return pause ? this.say("Paused: scrub back through the steps, then continue or stop.") : this.searching();
    }

    stop() {
      this.tell("stop");
      this.say("Stopping …");
    }

    /** A word to the engine, which has nothing to answer. */
    tell(type) {
      client.post(type).catch((error) => this.say(error.message, true));
    }

    searching() {
      this.say(this.space ? `Searching in ${this.space} …` : "Searching …");
    }

    enter(phase) {
      this.phase = phase;
      const busy = phase !== "idle";
      searching = busy ? this : null;
      this.main.textContent = { idle: "Start", loading: "Loading …", running: "Pause", paused: "Continue" }[phase];
      this.main.setAttribute("aria-disabled", phase === "loading"); // a disabled one would lose the keyboard's focus
      if (!busy && document.activeElement === this.halt) this.main.focus({ preventScroll: true });
      this.halt.disabled = phase !== "running" && phase !== "paused";
      this.keep.hidden = busy || !this.result;
      this.source.lock(busy);
      this.settings.lock(busy);
      this.box.classList.toggle("rl-busy", phase === "running" || phase === "loading");
      if (this.settings.state.task === "paint") this.brush.on((this.painting = !busy));
      this.tools.hidden = !this.painting;
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
      glide(this.stage.row, "nearest");
    }

    async run() {
      if (searching) return this.say(ELSEWHERE, true);
      this.look();
      this.enter("loading");
      if (!(await this.source.settled())) return this.enter("idle"); // a file that is no picture has said so
      const missing = this.missing();
      if (missing) this.say(missing, true);
      if (missing || !(await this.ready())) return this.enter("idle");
      const { steps, spaces, weights, seed } = this.settings.state,
        asked = { preset: "default", steps, spaces, weights, seed, ...this.given() };
      this.begin(asked);
      try {
        this.finish(asked, await client.post("search", asked, (report) => this.report(report)));
      } catch (error) {
        this.say(error.message, true);
      }
      this.progress.end();
      return this.enter("idle");
    }

    begin({ spaces, steps }) {
      this.result = this.space = null;
      this.points = [];
      this.stage.start();
      this.progress.start(spaces, steps);
      if (this.prediction) this.prediction.clear();
      this.enter("running");
      this.searching();
    }

    report({ type, picture, ...step }) {
      if (type === "observed") return this.stage.observed(picture);
      if (!this.box.isConnected && this.phase === "running") this.press(); // closed: nothing runs unseen
      this.points.push({ space: step.space, loss: step.loss });
      this.stage.add({ picture, ...step });
      this.progress.step(step, !!picture);
      if (step.space !== this.space) {
        this.space = step.space;
        if (this.phase === "running") this.searching(); // said aloud once a phase
      }
      if (this.points.length === 1) this.look(); // the bar and the line of numbers have moved the pictures
      return undefined;
    }

    finish(asked, found) {
      const { picture, phases, psnr } = found,
        last = this.points.at(-1);
      const ends = phases.map(({ space, steps, reason }) => `${space} ${steps} (${ENDS[reason]})`).join(", ");
      const near = psnr === null ? "" : `: ${psnr.toFixed(1)} dB`,
        { seconds } = this.progress;
      this.say(`Done in ${seconds.toFixed(1)} s${near}. Steps: ${ends}.`);
      this.stage.end({ picture, psnr, ...last, step: phases.at(-1).steps - 1 });
      this.stage.compare.show(this.chosen.picture, picture, asked.observed ? "your file" : "portrait");
      if (this.prediction) this.prediction.judge(psnr, this.points);
      this.result = Page.record.of(this.chosen, asked, found, this.points, seconds);
      const { task, level } = this.settings.state,
        damage = task === "paint" ? "holes" : `${NAMES[task]} ${level}`;
      this.runs.add({ ...this.result, damage, loss: last.loss });
    }

    async save() {
      const name = `restored-${this.result.source}.png`;
      try {
        Page.record.save(await Page.record.png(this.stage.compare.restored, this.result), name);
      } catch (error) {
        return this.say(`${name} could not be saved: ${error.message}`, true);
      }
      return this.say(`${name} is saved, with a mark that a generator made it and the record that “rusr show” prints.`);
    }
  }

  return { create: (options) => new Studio(options) };
})();
