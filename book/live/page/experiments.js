/** Guided experiments: each sets the figure up and says what to look at. */
Page.experiments = (() => {
  const { el, glide } = Page.pictures;
  const EXPERIMENTS = [
    {
      title: "A hole that the prior fills",
      text:
        "Both eyes are hidden. Nothing in the input says how they look: compare the eyes, then the rest of the face, " +
        "with the portrait.",
      found:
        "What stands under the holes is the prior's alone: it is further from the portrait there than beside them.",
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
        "eyes, brows and hair line.",
      found:
        "f(G(w)) and the input can no longer be told apart, and G(w) is somebody else: sixteen pixels do not " +
        "determine a face, and a good match says nothing about the person.",
      set: { task: "U", level: "XL", steps: 60, spaces: ["W", "W+"], seed: 0 },
    },
    {
      title: "Without the way through W",
      text:
        "Noise, searched in W++ alone, from the mean face; then once more, through W and W+. Which of the two comes " +
        "nearer to the portrait? The table under the pictures holds both.",
      found:
        "The way through W comes clearly nearer. W++ alone bends single filters until the noise is met; W finds a " +
        "person first, and leaves W++ the details.",
      set: { task: "N", level: "M", steps: 30, spaces: ["W++"], seed: 0 },
      then: ["Set up the second", ["W", "W+", "W++"]],
    },
  ];

  /** `spaces` where it is the experiment's second search. */
  async function setUp(studio, { title, set, holes }, spaces = set.spaces) {
    if (studio.phase !== "idle") return studio.say(Page.source.BUSY, true);
    if (studio.chosen.own) await studio.source.pick(Object.keys(RUSR_PORTRAITS.portraits)[0]); // whose eyes are known
    studio.settings.set({ ...set, spaces, observed: false });
    if (holes) studio.brush.holes(holes);
    glide(studio.box, "start");
    studio.main.focus({ preventScroll: true });
    return studio.say(`“${title}” is set up: predict, then press Start.`);
  }

  function create(studio) {
    const card = (experiment) => {
      const { title, text, found, then } = experiment,
        button = (words, spaces) =>
          el("button", { type: "button", onclick: () => setUp(studio, experiment, spaces) }, words);
      return el(
        "li",
        {},
        el("strong", {}, title),
        el("p", {}, text),
        button("Set it up"),
        then && button(...then),
        el("details", {}, el("summary", {}, "What there is to find"), el("p", {}, found)),
      );
    };
    const list = el("ol", {}, EXPERIMENTS.map(card));
    const name = { class: "rl-experiments", "aria-label": "Guided experiments" };
    return el("section", name, el("h3", {}, "Three experiments"), list);
  }

  return { create };
})();
