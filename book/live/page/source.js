/** Which portrait is damaged: one of the held-out ones, one that the generator samples, or a file of the reader's. */
Page.source = (() => {
  const { el, ofUrl, ofFile } = Page.pictures;
  const HINT = "A file stays in this browser: nothing is sent. The prior knows painted portraits only.";

  class Source {
    /**
     * `chosen({ picture, name, own })` is called with each choice, for a file also with its { width, height } and its
     * `pictures` by size, one for each of `sides`; `say` with each line that tells what is wrong; `ask` for a sample.
     */
    constructor({ sides, chosen, say, ask }) {
      Object.assign(this, { sides, chosen, say });
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
      this.box.addEventListener("dragover", (event) => event.preventDefault());
      this.box.addEventListener("drop", (event) => this.drop(event));
    }

    portrait(name, number, url) {
      const radio = el("input", { type: "radio", name, value: number, onchange: () => this.pick(number) });
      const image = { src: url, alt: `portrait ${number}`, class: "dark-light", width: 56, height: 56 };
      return el("label", {}, radio, el("img", image));
    }

    input() {
      const attributes = { type: "file", accept: "image/*", class: "rl-file", "aria-label": "A picture of your own" };
      const input = el("input", attributes);
      input.addEventListener("change", () => {
        this.load(input.files[0]);
        input.value = "";
      });
      return input;
    }

    drop(event) {
      event.preventDefault();
      if (!this.locked) this.load(event.dataTransfer.files[0]);
    }

    async pick(number) {
      for (const radio of this.group.querySelectorAll("input")) radio.checked = radio.value === number;
      const picture = await ofUrl(RUSR_PORTRAITS.portraits[number], this.sides[0]);
      this.chosen({ picture, name: `portrait-${number}`, own: false });
    }

    release() {
      for (const radio of this.group.querySelectorAll("input")) radio.checked = false;
    }

    async load(file) {
      if (!file) return;
      try {
        const found = await ofFile(file, this.sides);
        this.release();
        const name = file.name.replace(/\.[^.]*$/, "").slice(0, 60) || "own";
        this.chosen({ ...found, picture: found.pictures[this.sides[0]], name, own: true });
        const { width, height } = found,
          note = width === height ? "" : ` The middle of its ${width} x ${height} px is used.`;
        this.say(`${file.name} is on this page and goes nowhere else.${note}`);
      } catch (error) {
        this.say(error.message, true);
      }
    }

    lock(value) {
      this.locked = value;
      for (const control of this.box.querySelectorAll("input, button")) control.disabled = value;
    }
  }

  return { create: (options) => new Source(options) };
})();
