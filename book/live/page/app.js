/** Puts a live figure wherever a page asks for one: `<div class="rusr-live" data-live="{...}">`, see `figures.live`. */
Page.app = (() => {
  const { el } = Page.pictures;

  /** The whole page "Restore one now". */
  function whole(place, options) {
    const studio = Page.studio.create({ predict: true, ...options });
    const walk = Page.walk.create({ seed: 1 }, (chosen) => studio.use(chosen));
    place.replaceChildren(studio.box, Page.experiments.create(studio), walk);
  }

  const KINDS = {
    walk: ["Walk in W yourself, in this page", (options) => Page.walk.create(options, null)],
    restore: ["Run it yourself, in this page", (options) => Page.studio.create({ compact: true, ...options }).box],
  };

  /** In a chapter: what was recorded stands there until the reader asks for the live figure, and comes back as well. */
  function inline(place, options) {
    const recorded = [...place.childNodes],
      [words, make] = KINDS[options.kind],
      open = el("button", { type: "button", class: "rl-open", onclick: () => toggle(true) }, words),
      back = { type: "button", class: "rl-close", onclick: () => toggle(false) },
      close = el("button", back, "Back to the recorded figure");
    let figure = null;
    function toggle(opened) {
      figure ||= make(options);
      place.classList.toggle("rl-opened", opened);
      place.replaceChildren(...(opened ? [figure, close] : [...recorded, open]));
      (opened ? figure.querySelector(".rl-main") : open).focus({ preventScroll: true });
    }
    place.append(open);
  }

  if (!globalThis.RUSR_PORTRAITS) return; // the loader has said that they could not be loaded
  for (const place of document.querySelectorAll(".rusr-live")) {
    const options = JSON.parse(place.dataset.live);
    (options.kind === "page" ? whole : inline)(place, options);
  }
})();
