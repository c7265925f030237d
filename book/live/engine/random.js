/**
 * Random numbers as torch and numpy draw them, so that one seed gives the page and the library the same search.
 *
 * torch.Generator on a CPU is the Mersenne Twister MT19937 (Matsumoto & Nishimura, ACM TOMACS 1998). A float of
 * `torch.rand` is the low 24 bits of one word; `torch.randn` turns sixteen of them at a time into normal numbers by the
 * Box-Muller transform; `torch.poisson` multiplies uniform numbers below a rate of 10 and uses Hoermann's transformed
 * rejection (1993) above it. `seedWord` is numpy's SeedSequence, which `rusr_core.randomness.seeds` calls.
 */
Live.random = (() => {
  const SIZE = 624,
    SHIFT = 397;

  /** A generator of 32-bit words; `seed` is a whole number, of which the low 32 bits count, as in torch. */
  class Random {
    constructor(seed) {
      this.state = new Uint32Array(SIZE);
      this.state[0] = seed % 2 ** 32;
      for (let i = 1; i < SIZE; i++) {
        const last = this.state[i - 1] ^ (this.state[i - 1] >>> 30);
        this.state[i] = Math.imul(1812433253, last) + i;
      }
      this.at = SIZE;
    }

    refill() {
      const s = this.state;
      for (let i = 0; i < SIZE; i++) {
        const mixed = (s[i] & 0x80000000) | (s[(i + 1) % SIZE] & 0x7fffffff);
        s[i] = s[(i + SHIFT) % SIZE] ^ (mixed >>> 1) ^ (mixed & 1 ? 0x9908b0df : 0);
      }
      this.at = 0;
    }

    word() {
      if (this.at === SIZE) this.refill();
      let y = this.state[this.at++];
      y ^= y >>> 11;
      y ^= (y << 7) & 0x9d2c5680;
      y ^= (y << 15) & 0xefc60000;
      return (y ^ (y >>> 18)) >>> 0;
    }

    /** One float32 of U[0, 1), of one word. */
    float() {
      return (this.word() & 0xffffff) / 0x1000000;
    }

    /** One float64 of U[0, 1), of the low 53 bits of two words. */
    double() {
      const high = this.word() & 0x1fffff,
        low = this.word();
      return (high * 2 ** 32 + low) / 2 ** 53;
    }

    /** `size` numbers of U[0, 1). */
    uniform(size) {
      return Float32Array.from({ length: size }, () => this.float());
    }

    /** `size` numbers of N(0, 1), 16 or more: torch draws fewer in another way. */
    normal(size) {
      if (size < 16) throw new Error(`${size} normal numbers are asked for: expected 16 or more`);
      const values = this.uniform(size);
      for (let at = 0; at + 16 <= size; at += 16) boxMuller(values, at);
      if (size % 16) {
        for (let i = size - 16; i < size; i++) values[i] = this.float();
        boxMuller(values, size - 16);
      }
      return values;
    }

    /** A Poisson count for each rate. */
    poisson(rates) {
      return Float32Array.from(rates, (rate) => (rate >= 10 ? this.rejected(rate) : this.multiplied(rate)));
    }

    multiplied(rate) {
      if (rate === 0) return 0;
      const least = Math.exp(-rate);
      let count = 0;
      for (let product = this.double(); product > least; product *= this.double()) count++;
      return count;
    }

    rejected(rate) {
      const b = 0.931 + 2.53 * Math.sqrt(rate),
        a = -0.059 + 0.02483 * b;
      const inverse = 1.1239 + 1.1328 / (b - 3.4),
        certain = 0.9277 - 3.6224 / (b - 2);
      for (;;) {
        const u = this.double() - 0.5,
          v = this.double(),
          side = 0.5 - Math.abs(u);
        const k = Math.floor(((2 * a) / side + b) * u + rate + 0.43);
        if (side >= 0.07 && v <= certain) return k;
        if (k < 0 || (side < 0.013 && v > side)) continue;
        const left = Math.log(v) + Math.log(inverse) - Math.log(a / (side * side) + b);
        if (left <= k * Math.log(rate) - rate - logFactorial(k)) return k;
      }
    }
  }

  function boxMuller(values, at) {
    for (let i = at; i < at + 8; i++) {
      const radius = Math.sqrt(-2 * Math.log(1 - values[i])),
        angle = 2 * Math.PI * values[i + 8];
      values[i] = radius * Math.cos(angle);
      values[i + 8] = radius * Math.sin(angle);
    }
  }

  const factorials = [0];
  function logFactorial(k) {
    for (let i = factorials.length; i <= k; i++) factorials.push(factorials[i - 1] + Math.log(i));
    return factorials[k];
  }

  /** numpy.random.SeedSequence([seed, index]).generate_state(1)[0]; both are whole numbers below 2^32. */
  function seedWord(seed, index) {
    let constant = 0x43b0d7e5;
    const hash = (value) => {
      value ^= constant;
      constant = Math.imul(constant, 0x931e8875);
      value = Math.imul(value, constant);
      return (value ^ (value >>> 16)) >>> 0;
    };
    const mix = (x, y) => {
      const value = Math.imul(x, 0xca01f9dd) - Math.imul(y, 0x4973f715);
      return (value ^ (value >>> 16)) >>> 0;
    };
    const pool = [seed, index, 0, 0].map(hash);
    for (let from = 0; from < 4; from++) {
      for (let to = 0; to < 4; to++) if (from !== to) pool[to] = mix(pool[to], hash(pool[from]));
    }
    let value = pool[0] ^ 0x8b51f9dd;
    value = Math.imul(value, Math.imul(0x8b51f9dd, 0x58f38ded));
    return (value ^ (value >>> 16)) >>> 0;
  }

  return { Random, seedWord };
})();
