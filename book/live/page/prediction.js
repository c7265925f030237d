/** Predict before you run: how near the restoration will come, and which phase will gain most. */
Page.prediction = (() => {
  const { el } = Page.pictures,
    { label, select, range } = Page.controls;
  const PHASES = { "": "choose …", W: "W", "W+": "W+", "W++": "W++" };
  const NEAR = 2; // dB that a good guess may be off

  /** The phase in which the loss falls most, from its first to its last step: [space, fall], or nothing. */
  function best(points) {
    const found = {};
    for (const { space, loss } of points) {
      found[space] ||= { first: loss };
      found[space].last = loss;
    }
    const falls = Object.entries(found).map(([space, { first, last }]) => [space, first - last]);
    return falls.sort((a, b) => b[1] - a[1])[0];
  }

  /** What is to be said of the two guesses. */
  function verdict(said, psnr, points) {
    const words = [],
      gained = best(points);
    if (said.touched && psnr !== null) {
      const good = Math.abs(psnr - said.psnr) <= NEAR;
      words.push(`You said ${said.psnr} dB; it is ${psnr.toFixed(1)} dB${good ? ": well seen." : "."}`);
    }
    if (said.space && gained) {
      const [space, fall] = gained,
        by = fall.toPrecision(2);
      words.push(
        said.space === space
          ? `${space} does lower the loss most, by ${by}.`
          : `${space} lowers the loss most, by ${by}, not ${said.space}.`,
      );
    }
    return words.join(" ");
  }

  function create() {
    const said = { psnr: 25, space: "", touched: false };
    const guessed = (value) => Object.assign(said, { psnr: value, touched: true });
    const near = range(12, 40, 1, said.psnr, (v) => `${v} dB`, guessed);
    const phase = select(PHASES, "", (value) => {
      said.space = value;
    });
    const line = el("p", { class: "rl-verdict", role: "status" });
    const box = el(
      "fieldset",
      { class: "rl-predict" },
      el("legend", {}, "Predict, then press Start"),
      label("How near (PSNR)?", near.control, near.output),
      label("Which phase gains most?", phase),
      line,
    );
    const say = (text) => {
      line.textContent = text;
    };
    return { box, clear: () => say(""), judge: (psnr, points) => say(verdict(said, psnr, points)) };
  }

  return { create };
})();
