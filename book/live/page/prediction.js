/** Predict before you run: how near the restoration will come, and which phase will gain most. */
Page.prediction = (() => {
  const { el } = Page.pictures,
    { label, select, range } = Page.controls;
  const PHASES = { "": "choose …", W: "W", "W+": "W+", "W++": "W++" };

  function create() {
    const said = { psnr: 25, space: "", touched: false };
    const near = range(
      12,
      40,
      1,
      said.psnr,
      (v) => `${v} dB`,
      (v) => {
        said.psnr = v;
        said.touched = true;
      },
    );
    const phase = select(PHASES, "", (value) => {
      said.space = value;
    });
    const verdict = el("p", { class: "rl-verdict", role: "status" });
    const box = el(
      "fieldset",
      { class: "rl-predict" },
      el("legend", {}, "Predict, then press Start"),
      label("How near to the portrait (PSNR)?", near.control, near.output),
      label("Which phase lowers the loss most?", phase),
      verdict,
    );

    /** The fall of log loss in each phase that has been searched: from its first to its last step. */
    function gains(points) {
      const found = {};
      for (const { space, loss } of points) {
        found[space] ||= { first: loss };
        found[space].last = loss;
      }
      return Object.entries(found)
        .map(([space, { first, last }]) => [space, first - last])
        .sort((a, b) => b[1] - a[1]);
    }
    return {
      box,
      clear() {
        verdict.textContent = "";
      },
      judge(psnr, points) {
        const words = [],
          [best] = gains(points);
        if (said.touched && psnr !== null) {
          const off = Math.abs(psnr - said.psnr);
          words.push(`You said ${said.psnr} dB; it is ${psnr.toFixed(1)} dB${off <= 2 ? ": well seen." : "."}`);
        }
        if (said.space && best) {
          words.push(
            said.space === best[0]
              ? `And ${best[0]} does lower the loss most, by ${best[1].toPrecision(2)}.`
              : `${best[0]} lowers the loss most, by ${best[1].toPrecision(2)}, not ${said.space}.`,
          );
        }
        verdict.textContent = words.join(" ");
      },
    };
  }

  return { create };
})();
