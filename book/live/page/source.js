/** Which portrait is damaged: one of the held-out ones, one that the generator samples, or a file of the reader's. */
Page.source = (() => {
  const { el, ofUrl, ofFile } = Page.pictures;
  const HINT =
    "Drop a file on this figure, paste one, or choose it: it stays in this browser, and nothing is sent. " +
    "The prior knows painted portraits only.";
  const BUSY = "A search is running: stop it first.";

  class Source {
    /**
     * `chosen({ picture, name, own })` is called with each choice, for a file also with its { width, height } and its
     * `pictures` by size, one for each of `sides`; `say` with each line that tells what is wrong; `ask` for a sample.
     */
    constructor({ sides, chosen, say, ask }) {
      Object.assign(this, { sides, chosen, say, turn: 0, pending: null, locked: false });
      this.group = el("div", { class: "rl-portraits", role: "radiogroup", "aria-label": "Portrait" });
      const name = `rl-${Math.random().toString(36).slice(2)}`;
      this.group.append(...Object.entries(RUSR_PORTRAITS.portraits).map((entry) => this.portrait(name, ...entry)));
      const sample = el("button", { type: "button", onclick: ask }, "Sample one");
      const own = el("label", { class: "rl-own" }, this.input(), el("span", {}, "Your own file"));
      this.box = el(
        "fieldset",
        { class: "rl-source" },
        el("legend", {}, "1 · A portrait"),
        el("div", { class: "rl-choice" }, this.group, el("div", { class: "rl-buttons" }, sample, own)),
        el("p", { class: "rl-hint" }, HINT),
      );
    }

    portrait(name, number, url) {
      const radio = el("input", { type: "radio", name, value: number, onchange: () => this.pick(number) });
      const image = { src: url, alt: `held-out portrait ${number}`, class: "dark-light", width: 56, height: 56 };
      return el("label", {}, radio, el("img", image));
    }

    input() {
      const attributes = { type: "file", accept: "image/*", class: "rl-file", "aria-label": "A picture of your own" };
      const input = el("input", attributes);
      input.addEventListener("change", () => {
        if (input.files.length) this.hand([...input.files]); // none if the reader cancels
        input.value = "";
      });
      return input;
    }

    /**
     * Files that are dropped on `zone`, or pasted while it has the focus. With `everywhere` also what is dropped beside
     * it, for which a browser would leave the page, and what is pasted while nothing has the focus.
     */
    listen(zone, everywhere) {
      const place = everywhere ? document : zone,
        over = (value) => zone.classList.toggle("rl-over", value && !this.locked),
        holds = ({ dataTransfer }) => dataTransfer.types.includes("Files"),
        // of what lies beside the figure, files alone, and not those of another figure
        ours = (event) => zone.contains(event.target) || (!event.defaultPrevented && holds(event));
      place.addEventListener("dragover", (event) => {
        if (!ours(event)) return;
        event.preventDefault();
        over(holds(event));
      });
      place.addEventListener("dragleave", (event) => place.contains(event.relatedTarget) || over(false));
      place.addEventListener("drop", (event) => {
        over(false);
        if (!ours(event)) return;
        event.preventDefault();
        this.hand([...event.dataTransfer.files]);
      });
      document.addEventListener("paste", (event) => {
        const files = [...event.clipboardData.files],
          here = zone.contains(event.target) || (everywhere && event.target === document.body);
        if (!here || !files.length) return;
        event.preventDefault();
        this.hand(files);
      });
    }

    /**
     * `make` finds a choice, or throws an Error with one line. Only the newest choice counts: a slower one before it
     * changes nothing. `settled` waits for it and is false if it failed.
     */
    take(make) {
      const turn = ++this.turn;
      const taken = (async () => {
        try {
          const found = await make();
          if (turn === this.turn) this.commit(found);
          return true;
        } catch (error) {
          if (turn === this.turn) this.say(error.message, true);
          return turn !== this.turn;
        }
      })();
      this.pending = taken;
      return taken.finally(() => {
        if (this.pending === taken) this.pending = null;
      });
    }

    async settled() {
      while (this.pending) if (!(await this.pending)) return false;
      return true;
    }

    commit({ number = null, note = "", ...found }) {
      for (const radio of this.group.querySelectorAll("input")) radio.checked = radio.value === number;
      this.chosen(found);
      if (note) this.say(note);
    }

    pick(number) {
      return this.take(async () => {
        const picture = await ofUrl(RUSR_PORTRAITS.portraits[number], this.sides[0]);
        return { picture, number, name: `portrait-${number}`, own: false };
      });
    }

    /** A file of the reader's; of several the first one. */
    hand([file, ...others]) {
      if (this.locked) return this.say(BUSY, true);
      if (!file) return this.say("There is no file in what was dropped: expected a picture.", true);
      return this.take(async () => {
        const found = await ofFile(file, this.sides),
          name = file.name.replace(/\.[^.]*$/, "").slice(0, 60) || "own";
        const picture = found.pictures[this.sides[0]];
        return { ...found, picture, name, own: true, note: this.note(file, found, others.length + 1) };
      });
    }

    /** What the page does with a file, the first of `count`, in words. */
    note({ name }, { width, height }, count) {
      const [side] = this.sides,
        words = [`${name} is on this page and goes nowhere else.`];
      if (count > 1) words.push(`It is the first of ${count} files: the page restores one at a time.`);
      if (width !== height) words.push(`The middle of its ${width} x ${height} px is used.`);
      if (Math.min(width, height) > side)
        words.push(`It is reduced to ${side} x ${side} px, since the prior knows no larger pictures.`);
      return words.join(" ");
    }

    lock(value) {
      this.locked = value;
      for (const control of this.box.querySelectorAll("input, button")) control.disabled = value;
    }
  }

  return { create: (options) => new Source(options), BUSY };
})();
