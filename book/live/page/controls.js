/** Labelled controls, and what a damage and a level mean: from the library's own table of tasks. */
Page.controls = (() => {
  const { el } = Page.pictures;
  const NAMES = {
    P: "strokes",
    U: "reduced",
    N: "noise",
    A: "JPEG",
    UN: "reduced + noise",
    NA: "noise + JPEG",
    NP: "noise + strokes",
    UNAP: "all four",
    paint: "holes that you paint",
  };
  const TERMS = { lpips: "LPIPS", l1: "L1", identity: "Identity" }; // of the loss

  const label = (text, control, hint) => el("label", {}, el("span", {}, text), control, hint || null);
  function select(options, value, change) {
    const control = el(
      "select",
      { onchange: () => change(control.value) },
      Object.entries(options).map(([key, text]) =>
        el("option", { value: key, ".selected": key === String(value) }, text),
      ),
    );
    return control;
  }
  function range(min, max, step, value, text, input) {
    const output = el("output", {}, text(value));
    const control = el("input", { type: "range", min, max, step, ".value": value, oninput: () => show(true) });
    function show(told) {
      output.textContent = text(+control.value);
      control.setAttribute("aria-valuetext", output.textContent);
      if (told) input(+control.value);
    }
    show(false);
    return {
      control,
      output,
      set(next) {
        control.value = next;
        show(false);
      },
    };
  }
  const check = (text, checked, change) => {
    const control = el("input", { type: "checkbox", ".checked": checked, onchange: () => change(control.checked) });
    return el("label", { class: "tick" }, control, text);
  };

  /** The stages of a damage, as the engine takes them. */
  function stages(task, level, seed, mask, method) {
    if (task === "paint") return [{ kind: "mask", painted: mask }];
    const row = method.levels.indexOf(level),
      names = Object.entries(method.letters).filter(([, letter]) => task.includes(letter));
    return names.map(([name, letter]) => {
      const value = method.tasks[name][row];
      if (letter === "U") return { kind: "downsample", factor: value };
      if (letter === "N") return { kind: "noise", photons: value[0], p: value[1] };
      return letter === "A" ? { kind: "jpeg", quality: value } : { kind: "strokes", count: value, seed };
    });
  }

  /** The same in words. */
  const words = (made) =>
    made
      .map((stage) =>
        ({
          mask: () => "the holes that you paint",
          downsample: () => `each side ${stage.factor} times smaller`,
          noise: () => `${stage.photons} photons, ${Math.round(100 * stage.p)} % dead pixels`,
          jpeg: () => `JPEG of quality ${stage.quality}`,
          strokes: () => `${stage.count} stroke${stage.count > 1 ? "s" : ""}`,
        })[stage.kind](),
      )
      .join(", then ");

  return { NAMES, TERMS, label, select, range, check, stages, words };
})();
