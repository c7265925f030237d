/** The packed networks: 16-bit floats in base64, and where each tensor of the library's files begins. */
Live.weights = (() => {
  /** All finite values of a 16-bit float, by its bits; weights hold no others. */
  function halves() {
    const table = new Float32Array(65536);
    for (let bits = 0; bits < 65536; bits++) {
      const exponent = (bits >> 10) & 31,
        mantissa = bits & 1023;
      const value = exponent ? 2 ** (exponent - 15) * (1 + mantissa / 1024) : 2 ** -14 * (mantissa / 1024);
      table[bits] = bits & 0x8000 ? -value : value;
    }
    return table;
  }

  /** What `pack.py` wrote -> a function of a tensor's name that returns its `shape` and `data`, float32. */
  function reader({ fp16, index }) {
    const text = atob(fp16),
      bytes = new Uint8Array(text.length),
      table = halves();
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    const words = new Uint16Array(bytes.buffer);
    return (name) => {
      if (!(name in index)) throw new Error(`the packed weights hold no ${name}: pack them again`);
      const [at, shape] = index[name],
        size = shape.reduce((a, b) => a * b, 1);
      return { shape, data: Float32Array.from(words.subarray(at, at + size), (bits) => table[bits]) };
    };
  }

  /** A tensor that stays until the worker ends. */
  const keep = (data, shape) => tf.keep(tf.tensor(data, shape));

  return { reader, keep };
})();
