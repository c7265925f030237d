// The brush of `figures.brush` in Gradio's page. Its value: { picture, width, height, painted }, a data URL, the sides
// of the mask, and its bytes in base64, 255 where nothing was painted.
let shown = "",
  brush = null;

function write() {
  const bytes = Uint8Array.from(brush.mask, (v) => Math.round(255 * v));
  let text = "";
  for (let k = 0; k < bytes.length; k += 4096) text += String.fromCharCode(...bytes.subarray(k, k + 4096));
  props.value = { picture: shown, width: brush.width, height: brush.height, painted: btoa(text) };
}

async function choose() {
  const { picture, painted } = props.value || {};
  if (picture && picture === shown) {
    if (!painted && brush && brush.used()) write(); // the same picture once more: what was painted stays
    return;
  }
  shown = picture;
  brush = null;
  place.replaceChildren();
  if (!picture) return;
  const canvas = element("canvas"),
    found = await pixels(picture);
  if (picture !== shown) return; // another was chosen meanwhile
  brush = new Brush(canvas, found, write);
  const words =
      "Paint over what is hidden or damaged: drag, or press Tab to reach the picture and use arrow keys and space.",
    frame = element("div", { className: "rb-frame" }, canvas),
    style = element("style", { textContent: STYLE });
  const box = element("div", { className: "rusr-brush" }, style, frame, tools(brush));
  place.append(element("p", { textContent: words }), box);
  brush.on(true);
  brush.choose(found);
  // it was shown and painted on before
  if (painted) brush.load(Float32Array.from(atob(painted), (letter) => letter.charCodeAt(0) / 255));
}

watch("value", choose);
choose();
