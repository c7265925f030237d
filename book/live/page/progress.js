/** How far a search is: a bar, and a line with the step, the time that is left and the loss. */
Page.progress = (() => {
  const { el } = Page.pictures,
    { TERMS } = Page.controls;

  class Progress {
    constructor() {
      this.bar = el("progress", { class: "rl-progress", "aria-label": "Progress of the search", hidden: true });
      this.numbers = el("p", { class: "rl-numbers" });
    }

    /** A search of so many steps in each of `spaces`. */
    start(spaces, steps) {
      Object.assign(this, { spaces, steps, taken: 0, seconds: 0, loss: "" });
      this.numbers.textContent = "";
      this.bar.max = spaces.length * steps;
      this.bar.removeAttribute("value");
      this.bar.hidden = false;
    }

    /** A step was taken; `shown` with a picture, which is when the line is written anew. */
    step({ space, step, seconds, loss, terms }, shown) {
      this.taken += 1;
      this.seconds = seconds;
      const done = this.spaces.indexOf(space) * this.steps + step + 1; // a phase may have ended early
      this.bar.value = done;
      if (!shown) return;
      const each = Object.entries(terms).map(([name, value]) => `${TERMS[name]} ${value.toPrecision(3)}`);
      this.loss = `Loss ${loss.toPrecision(3)} (${each.join(", ")})`;
      const left = Math.ceil((seconds / this.taken) * (this.bar.max - done));
      this.numbers.textContent = `Step ${done} of ${this.bar.max}, at most ${left} s left. ${this.loss}`;
    }

    /** The search has ended: its last loss stays. */
    end() {
      this.bar.hidden = true;
      this.numbers.textContent = this.loss;
    }
  }

  return { create: () => new Progress() };
})();
