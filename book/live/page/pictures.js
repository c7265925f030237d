/** Elements, pictures on canvases, and a reader's own file. A picture is { width, height, rgba }. */
Page.pictures = (() => {
  /** An element: attributes, `on...` listeners, properties after a dot (".value"), children. */
  function el(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (name.startsWith(".")) element[name.slice(1)] = value;
      else if (value !== false && value !== null && value !== undefined)
        element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
    return element;
  }

  /** Scroll to an element, at once for readers who want no motion. */
  function glide(element, block) {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    element.scrollIntoView({ block, behavior: still ? "auto" : "smooth" });
  }

  function draw(canvas, { width, height, rgba }) {
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    canvas.getContext("2d").putImageData(new ImageData(rgba, width, height), 0, 0);
    canvas.classList.add("rl-drawn");
  }

  /** No picture is left. */
  function wipe(canvas) {
    canvas.width = canvas.width; // which empties it
    canvas.classList.remove("rl-drawn");
  }

  /** The largest square in the middle of anything that can be drawn, over white, `side` px. */
  function square(source, side, width = source.width, height = source.height) {
    const canvas = el("canvas"),
      edge = Math.min(width, height);
    canvas.width = canvas.height = side;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.fillStyle = "#fff";
    context.fillRect(0, 0, side, side);
    context.imageSmoothingQuality = "high";
    context.drawImage(source, (width - edge) / 2, (height - edge) / 2, edge, edge, 0, 0, side, side);
    return { width: side, height: side, rgba: context.getImageData(0, 0, side, side).data };
  }

  async function ofUrl(url, side) {
    const image = new Image();
    image.src = url;
    await image.decode();
    return square(image, side);
  }

  const LARGEST = 64; // MB of a file, and million pixels of a picture

  /** A picture of a file that a browser draws: its first frame, upright, in sRGB. */
  async function decoded(file) {
    const url = URL.createObjectURL(file),
      image = new Image();
    try {
      image.src = url;
      await image.decode();
    } catch {
      throw new Error(`${file.name} is no picture that this browser can read: expected PNG, JPEG, WebP or GIF`);
    } finally {
      URL.revokeObjectURL(url);
    }
    return image;
  }

  /**
   * A reader's file -> { width, height, pictures }, its middle at each of `sides`. An Error with one line that says
   * what is wrong for anything else.
   */
  async function ofFile(file, sides) {
    const { name, size } = file;
    if (size > LARGEST * 1e6)
      throw new Error(`${name} has ${Math.round(size / 1e6)} MB: expected a picture of at most ${LARGEST} MB`);
    if (!Page.whole(new Uint8Array(await file.arrayBuffer())))
      throw new Error(`${name} ends too early: expected a whole picture`);
    const image = await decoded(file),
      { naturalWidth: width, naturalHeight: height } = image;
    if (!width || width * height > LARGEST * 1e6)
      throw new Error(`${name} has ${width} x ${height} px: expected 1 to ${LARGEST} million`);
    const pictures = Object.fromEntries(sides.map((side) => [side, square(image, side, width, height)]));
    return { width, height, pictures };
  }

  return { el, glide, draw, wipe, ofUrl, ofFile };
})();
