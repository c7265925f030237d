/** Which portrait is damaged: one of the held-out ones, one that the generator samples, or a file of the reader's. */
Page.source = (() => {
  const { el, ofUrl, ofFile } = Page.pictures;

  /** `chosen({ picture, name, own })` is called with each choice; `say` with each line that tells what is wrong. */
  function create(side, chosen, say, ask) {
    const group = el("div", { class: "rl-portraits", role: "radiogroup", "aria-label": "Portrait" });
    const name = `rl-${Math.random().toString(36).slice(2)}`;
    for (const [number, url] of Object.entries(RUSR_PORTRAITS.portraits)) {
      const radio = el("input", { type: "radio", name, value: number, onchange: () => pick(number) });
      group.append(
        el(
          "label",
          {},
          radio,
          el("img", { src: url, alt: `portrait ${number}`, class: "dark-light", width: 56, height: 56 }),
        ),
      );
    }
    async function pick(number) {
      const radio = [...group.querySelectorAll("input")].find((r) => r.value === number);
      radio.checked = true;
      chosen({
        picture: await ofUrl(RUSR_PORTRAITS.portraits[number], side),
        name: `portrait-${number}`,
        own: false,
      });
    }
    const release = () =>
      group.querySelectorAll("input").forEach((radio) => {
        radio.checked = false;
      });
    async function load(file) {
      if (!file) return;
      try {
        const { picture, note } = await ofFile(file, side);
        release();
        chosen({ picture, name: file.name.replace(/\.[^.]*$/, "").slice(0, 60) || "own", own: true });
        say(`${file.name} is on this page and goes nowhere else.${note}`);
      } catch (error) {
        say(error.message, true);
      }
    }
    const input = el("input", {
      type: "file",
      accept: "image/*",
      class: "rl-file",
      "aria-label": "A picture of your own",
      onchange: () => {
        load(input.files[0]);
        input.value = "";
      },
    });
    const sample = el("button", { type: "button", onclick: ask }, "Sample a new one");
    const own = el("label", { class: "rl-own" }, input, el("span", {}, "Your own file …"));
    const box = el(
      "fieldset",
      { class: "rl-source" },
      el("legend", {}, "1 · A portrait"),
      group,
      el("div", { class: "rl-buttons" }, sample, own),
      el(
        "p",
        { class: "rl-hint" },
        "A file stays in this browser: nothing is sent. The prior knows painted portraits only, and a photograph " +
          "shows what that means.",
      ),
    );
    box.addEventListener("dragover", (event) => event.preventDefault());
    box.addEventListener("drop", (event) => {
      event.preventDefault();
      load(event.dataTransfer.files[0]);
    });
    return {
      box,
      pick,
      release,
      lock(value) {
        for (const control of box.querySelectorAll("input, button")) control.disabled = value;
      },
    };
  }

  return { create };
})();
