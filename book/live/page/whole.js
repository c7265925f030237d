/**
 * Whether a reader's file is whole. Browsers draw what there is of a picture that ends too early, and leave the rest
 * empty. Each function reads the parts of a format as far as the first picture's end: what reads beyond the file's end
 * is a RangeError.
 */
Page.whole = (() => {
  const IEND = 0x49454e44;

  /** Chunks (ISO 15948), the last of which has a checksum. */
  function png(file) {
    let at = 8;
    while (file.getUint32(at + 4) !== IEND) at += 12 + file.getUint32(at);
    file.getUint32(at + 8);
  }

  /** Segments and scans (ITU-T T.81, annex B). Previews inside a segment, and what phones append, are passed over. */
  function jpeg(file) {
    for (let at = 2; ; at++) {
      if (file.getUint8(at) !== 0xff) continue;
      const kind = file.getUint8(at + 1);
      if (kind === 0xd9) return;
      const bare = kind < 0xc0 || kind === 0xff || (kind >= 0xd0 && kind <= 0xd8); // stuffed, filled, restarted
      if (!bare) at += 1 + file.getUint16(at + 2);
    }
  }

  /** Extensions, and the first frame (GIF 89a). */
  function gif(file) {
    const colours = (flags) => (flags & 128 ? 3 * 2 ** ((flags & 7) + 1) : 0);
    const after = (at) => {
      while (file.getUint8(at)) at += 1 + file.getUint8(at);
      return at + 1;
    };
    let at = 13 + colours(file.getUint8(10));
    while (file.getUint8(at) === 0x21) at = after(at + 2);
    if (file.getUint8(at) === 0x2c) after(at + 11 + colours(file.getUint8(at + 9)));
  }

  /** The last row of pixels, where they are not compressed. */
  function bmp(file) {
    const [begin, head, width, height] = [10, 14, 18, 22].map((at) => Math.abs(file.getInt32(at, true)));
    if (head < 40 || ![0, 3].includes(file.getUint32(30, true))) return;
    file.getUint8(begin + Math.ceil((width * file.getUint16(28, true)) / 32) * 4 * height - 1);
  }

  /** The length that the header names. */
  const webp = (file) => file.getUint8(file.getUint32(4, true) + 7);

  const BEGINNINGS = { "\x89PNG": png, "\xff\xd8": jpeg, GIF8: gif, BM: bmp, RIFF: webp };

  /** False for the bytes of a PNG, JPEG, GIF, BMP or WebP that end too early; of other files nothing is known. */
  return (bytes) => {
    const begin = String.fromCharCode(...bytes.subarray(0, 4)),
      format = Object.keys(BEGINNINGS).find((text) => begin.startsWith(text));
    try {
      if (format) BEGINNINGS[format](new DataView(bytes.buffer));
      return true;
    } catch (error) {
      if (error instanceof RangeError) return false;
      throw error;
    }
  };
})();
