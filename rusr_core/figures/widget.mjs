const LATER = 150; // milliseconds until a mask is sent: a stroke has many pieces

/** The slider that lays the restored picture over the other: { after, cut, compare }. */
function comparison(model, frame) {
  const after = element("canvas", { className: "rb-after", hidden: true, ":role": "img", ":aria-label": "restored" }),
    words = "Where the restored picture begins, in percent of the width",
    cut = element("input", { type: "range", hidden: true, ":aria-label": words });
  cut.addEventListener("input", () => frame.style.setProperty("--cut", `${cut.value}%`));
  async function compare() {
    const url = model.get("restored");
    after.hidden = cut.hidden = !url;
    if (!url) return;
    const { width, height, rgba } = await pixels(url);
    if (url !== model.get("restored")) return; // another has come meanwhile
    Object.assign(after, { width, height });
    after.getContext("2d").putImageData(new ImageData(rgba, width, height), 0, 0);
  }
  return { after, cut, compare };
}

/** The mask of `brush` and that of the model, which Python and other views of the widget see: { send, load, end }. */
function exchange(model, brush) {
  let due = null,
    sending = false;
  function write() {
    due = null;
    sending = true;
    model.set("painted", new DataView(Uint8Array.from(brush().mask, (v) => Math.round(255 * v)).buffer));
    sending = false;
    model.save_changes();
  }
  function load() {
    const { buffer, byteOffset, byteLength } = model.get("painted");
    if (sending || due !== null) return; // it is this view's own, or soon will be
    brush().load(Float32Array.from(new Uint8Array(buffer, byteOffset, byteLength), (v) => v / 255));
  }
  /** The view goes: what was painted last is sent at once. */
  function end() {
    if (due === null) return;
    clearTimeout(due);
    write();
  }
  return { load, send: () => (due ??= setTimeout(write, LATER)), end };
}

/** The widget. `model`: picture and restored, data URLs; width, CSS pixels; painted, the mask in bytes. */
async function render({ model, el }) {
  const below = element("canvas"),
    frame = element("div", { className: "rb-frame" }, below),
    { after, cut, compare } = comparison(model, frame),
    box = element("div", { className: "rusr-brush" }, element("style", { textContent: STYLE }), frame, cut);
  frame.append(after);
  box.style.width = `${model.get("width")}px`;
  el.append(box);
  const picture = await pixels(model.get("picture")),
    { send, load, end } = exchange(model, () => brush),
    brush = new Brush(below, picture, send);
  brush.on(true);
  brush.choose(picture);
  load();
  box.append(tools(brush));
  const heard = { "change:restored": compare, "change:painted": load };
  for (const [name, listener] of Object.entries(heard)) model.on(name, listener);
  await compare();
  return () => {
    end();
    for (const [name, listener] of Object.entries(heard)) model.off(name, listener);
  };
}

export default { render };
