/** A picture as a PNG file that holds the record of its search, and the record alone, as text. */
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

  /** The canvas as a PNG with `record` in the text "rusr-record", put before its last chunk. */
  async function png(canvas, record) {
    const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
    const bytes = new Uint8Array(await blob.arrayBuffer()),
      end = bytes.length - 12; // IEND is 12 bytes
    return new Blob([bytes.subarray(0, end), chunk("rusr-record", JSON.stringify(record)), bytes.subarray(end)], {
      type: "image/png",
    });
  }

  function save(blob, name) {
    const link = Page.pictures.el("a", { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  return { png, save };
})();
