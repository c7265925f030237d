/** The searches that have ended, a row each: what two of them differ in, and what that changed. */
Page.runs = (() => {
  const { el } = Page.pictures;
  const KEPT = 8; // rows; the oldest goes
  const HEADS = ["", "source", "damage", "steps", "loss", "PSNR"];

  /** What a row shows of a search, as `Studio.finish` knows it. */
  function cells(number, { source, damage, phases, loss, psnr }) {
    const steps = phases.map((phase) => `${phase.space} ${phase.steps}`).join(", ");
    return [number, source, damage, steps, loss.toPrecision(3), psnr === null ? "–" : `${psnr.toFixed(1)} dB`];
  }

  function create() {
    const body = el("tbody"),
      head = el("tr", {}, HEADS.map((text) => el("th", { scope: "col" }, text))),
      table = el("table", {}, el("caption", {}, "Your searches so far"), el("thead", {}, head), body),
      name = { role: "region", "aria-label": "Your searches so far", tabindex: 0 }, // narrow windows scroll it
      box = el("div", { class: "rl-runs", hidden: true, ...name }, table);
    let count = 0;

    function add(search) {
      count += 1;
      body.append(el("tr", {}, cells(count, search).map((text) => el("td", {}, `${text}`))));
      if (body.rows.length > KEPT) body.rows[0].remove();
      box.hidden = body.rows.length < 2; // one alone is in the status line
    }
    return { box, add };
  }

  return { create };
})();
