/** Puts a live figure wherever a page asks for one: `<div class="rusr-live" data-live="{...}">`, see `figures.live`. */
Page.app = (() => {
  const { el } = Page.pictures;

  /** The whole page "Restore one now". */
  function whole(place, options) {
    const studio = Page.studio.create({ predict: true, ...options });
    const use = (chosen) => {
      studio.source.release();
      studio.choose(chosen);
      studio.box.scrollIntoView({ block: "start" });
    };
    place.replaceChildren(studio.box, Page.experiments.create(studio), Page.walk.create({ seed: 1 }, use));
  }

  /** In a chapter: what was recorded stands there until the reader asks for the live figure. */
  function inline(place, options) {
    const open = el(
      "button",
      {
        type: "button",
        class: "rl-open",
        onclick: () => {
          const figure =
            options.kind === "walk"
              ? Page.walk.create(options, null)
              : Page.studio.create({ compact: true, ...options }).box;
          place.classList.add("rl-opened");
          place.replaceChildren(figure);
        },
      },
      options.kind === "walk" ? "Walk in W yourself, in this page" : "Run it yourself, in this page",
    );
    place.append(open);
  }

  for (const place of document.querySelectorAll(".rusr-live")) {
    const options = JSON.parse(place.dataset.live);
    (options.kind === "page" ? whole : inline)(place, options);
  }
})();
