/** Guided experiments: each sets the figure up and says what to look at. */
Page.experiments = (() => {
  const { el } = Page.pictures;
  const EXPERIMENTS = [
    {
      title: "A hole that the prior fills",
      text:
        "Both eyes are hidden. Nothing in the input says how they look: compare the eyes, then the rest of the face, " +
        "with the portrait.",
      set: { task: "paint", steps: 60, spaces: ["W", "W+"], seed: 0 },
      holes: [
        [0.38, 0.47, 0.11],
        [0.62, 0.47, 0.11],
      ],
    },
    {
      title: "Sixteen pixels",
      text:
        "The input has 4 x 4 pixels. The right picture soon matches it, and yet the guess is another person: compare " +
        "eyes, brows and hair line. The input does not determine them.",
      set: { task: "U", level: "XL", steps: 60, spaces: ["W", "W+"], seed: 0 },
    },
    {
      title: "Without the way through W",
      text:
        "Noise, searched in W++ alone, from the mean face. Then tick W and W+ as well and start again: which of the " +
        "two comes nearer to the portrait?",
      set: { task: "N", level: "M", steps: 30, spaces: ["W++"], seed: 0 },
    },
  ];

  function setUp(studio, { title, set, holes }) {
    if (studio.phase !== "idle") return studio.say("A search is running: stop it first.", true);
    studio.settings.set({ ...set, observed: false });
    if (holes) studio.brush.holes(holes);
    studio.box.scrollIntoView({ block: "start", behavior: "smooth" });
    studio.main.focus({ preventScroll: true });
    return studio.say(`“${title}” is set up: predict, then press Start.`);
  }

  function create(studio) {
    const card = (experiment) => {
      const button = el("button", { type: "button", onclick: () => setUp(studio, experiment) }, "Set it up");
      return el("li", {}, el("strong", {}, experiment.title), el("p", {}, experiment.text), button);
    };
    const list = el("ol", {}, EXPERIMENTS.map(card));
    const name = { class: "rl-experiments", "aria-label": "Guided experiments" };
    return el("section", name, el("h3", {}, "Three experiments"), list);
  }

  return { create };
})();
