/** A picture as a PNG file that holds the mark of a generator and the record of its search: `rusr show` reads both. */
Page.record = (() => {
  const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
    for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
    return n;
  });

  /** The CRC of the PNG standard (ISO 15948, annex D). */
  const crc = (bytes) =>
    (bytes.reduce((c, byte) => TABLE[(c ^ byte) & 255] ^ (c >>> 8), 0xffffffff) ^ 0xffffffff) >>> 0;

  const word = (value) => [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];

  /** An iTXt chunk: keyword, no compression, no language, UTF-8. */
  function chunk(keyword, text) {
    const content = new TextEncoder().encode(`iTXt${keyword}\0\0\0\0\0${text}`);
    return Uint8Array.from([...word(content.length - 4), ...content, ...word(crc(content))]);
  }

  /** A painted mask as the address of a small picture, white where the input is known. */
  function picture(values) {
    const side = Math.sqrt(values.length),
      rgba = new Uint8ClampedArray(4 * values.length).fill(255);
    values.forEach((v, p) => rgba.fill(Math.round(255 * v), 4 * p, 4 * p + 3));
    const canvas = Page.pictures.el("canvas");
    Page.pictures.draw(canvas, { width: side, height: side, rgba });
    return canvas.toDataURL("image/png");
  }

  /**
   * What is written of a search: of a `chosen` portrait, `asked` of the engine and `found` by it, with the `points` of
   * its losses and the `seconds` that it took.
   */
  function of(chosen, asked, found, points, seconds) {
    const { format, program, prior } = RUSR_PORTRAITS.mark,
      { seed, weights, observed } = asked,
      { preset, phases, psnr } = found,
      stages = asked.stages.map((stage) => (stage.painted ? { ...stage, painted: picture(stage.painted) } : stage)),
      losses = {};
    for (const { space, loss } of points) (losses[space] ||= []).push(+loss.toPrecision(6));
    const date = new Date().toISOString();
    const made = { format, program, date, prior, source: chosen.name, sample: chosen.sample }; // of a sampled portrait
    return { ...made, stages, observed, seed, weights, preset, phases, psnr, seconds: +seconds.toFixed(1), losses };
  }

  /** The canvas as a PNG with its mark and record, put before the pixels, where readers look without decoding. */
  async function png(canvas, record) {
    const { packet, text, xmp } = RUSR_PORTRAITS.mark,
      blob = await new Promise((done) => canvas.toBlob(done, "image/png")),
      bytes = new Uint8Array(await blob.arrayBuffer()),
      head = bytes.subarray(0, 33); // the signature, and IHDR
    const parts = [head, chunk(xmp, packet), chunk(text, JSON.stringify(record)), bytes.subarray(head.length)];
    return new Blob(parts, { type: "image/png" });
  }

  function save(blob, name) {
    const link = Page.pictures.el("a", { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  return { of, png, save };
})();
