/**
 * What the worker answers to the page. Messages are { id, type, ... }; each is answered once by { id, type: "answer" }
 * or { id, type: "error", message }, and a search reports on its way by { id, type: "observed" | "step" }.
 */
Live.worker = (() => {
  const EVERY = 80; // milliseconds between two pictures, so that drawing does not slow the search
  let live = null,
    control = null;

  /** The backend from the one packed file, and the networks. */
  async function start({ wasm, packed }) {
    const { method, ...weights } = packed;
    tf.env().set("WASM_HAS_MULTITHREAD_SUPPORT", false); // the packed file is the one of a single thread
    if (!(await tf.env().getAsync("WASM_HAS_SIMD_SUPPORT"))) 
      throw new Error("this browser has no WebAssembly SIMD: expected one of 2023 or later");
    const names = ["", "-simd", "-threaded-simd"].map((kind) => `tfjs-backend-wasm${kind}.wasm`); // it wants all three
    tf.setWasmPaths(Object.fromEntries(names.map((name) => [name, wasm])));
    await tf.setBackend("wasm");
    await tf.ready();
    const get = Live.weights.reader(weights);
    live = {
      method,
      generator: Live.generator.create(get, method.generator),
      net: Live.features.create(get, method.features),
    };
    return { picture: await shown(live.generator.mean) };
  }

  /** An image [1, h, w, 3] as bytes { width, height, rgba }. */
  async function picture(x) {
    const [, height, width] = x.shape,
      values = await x.data(),
      rgba = new Uint8ClampedArray(width * height * 4).fill(255);
    for (let p = 0; p < width * height; p++)
      for (let c = 0; c < 3; c++) rgba[4 * p + c] = Math.round(255 * values[3 * p + c]);
    return { width, height, rgba };
  }

  async function of(make) {
    const x = tf.tidy(make),
      found = await picture(x);
    x.dispose();
    return found;
  }
  const shown = (ws) => of(() => live.generator.image(ws));

  /** Bytes of the page -> [1, side, side, 3] in [0, 1]. */
  const imageOf = ({ width, height, rgba }) =>
    tf.tidy(() => {
      const values = Float32Array.from(
        { length: width * height * 3 },
        (_, at) => rgba[Math.floor(at / 3) * 4 + (at % 3)] / 255,
      );
      return tf.tensor(values, [1, height, width, 3]);
    });

  /** The latent of a seed, [1, D], as `sample_w` draws it. */
  function sampled({ seed, psi }) {
    return tf.tidy(() => {
      const z = tf.tensor(new Live.random.Random(seed).normal(live.method.generator.z_dim), [
        1,
        live.method.generator.z_dim,
      ]);
      return tf.add(live.generator.mean, tf.mul(tf.sub(live.generator.toW(z), live.generator.mean), psi));
    });
  }

  /** A portrait of two seeds: a mixture of their latents by `share`, or the second one's layers from `from` on. */
  async function sample({ seed, psi, other = null, share = 0, from = null }) {
    const ws = tf.tidy(() => {
      const a = sampled({ seed, psi });
      if (other === null) return a;
      const b = sampled({ seed: other, psi });
      if (from === null) return tf.add(tf.mul(a, 1 - share), tf.mul(b, share));
      const [wide, last] = [live.generator.widen(a, "W+"), live.generator.widen(b, "W+")],
        n = wide.shape[0];
      return tf.concat([tf.slice(wide, [0, 0], [from, -1]), tf.slice(last, [from, 0], [n - from, -1])]);
    });
    const found = { picture: await shown(ws) };
    ws.dispose();
    return found;
  }

  /** A reduced preset with the reader's own phases. */
  function presetOf({ preset, steps, spaces }) {
    const whole = live.method.presets[preset];
    const short = steps ? Live.search.shortened(whole, steps, live.method.max_stretch) : whole;
    const phases = spaces ? short.phases.filter(({ space }) => spaces.includes(space)) : short.phases;
    if (!phases.length) throw new Error("no phase is left: choose one or more of W, W+ and W++");
    return { ...short, phases };
  }

  const psnrOf = (x, clean) =>
    tf.tidy(() => {
      const error = tf.mean(tf.squaredDifference(tf.clipByValue(x, 0, 1), clean)).dataSync()[0];
      return -10 * Math.log10(Math.max(error, 1e-10));
    });

  /** Lets a search wait, and tells its seconds less those of the pauses. */
  function clock() {
    let begun = performance.now(),
      waiting = null,
      resume = () => {};
    return {
      seconds: (now) => (now - begun) / 1000,
      pause() {
        waiting ||= new Promise((go) => {
          resume = go;
        });
      },
      go() {
        resume();
        waiting = null;
      },
      async wait() {
        if (!waiting) return;
        const paused = performance.now();
        await waiting;
        begun += performance.now() - paused;
      },
    };
  }

  /** Reports the steps of a search and lets messages come in between them. */
  function controlOf(id, f, clean, seed) {
    let last = 0;
    const { seconds, pause, go, wait } = clock(),
      draw = () => new Live.random.Random(seed);
    const own = {
      stopped: false,
      pause,
      go,
      async turn({ space, step, loss, terms, ws, end }) {
        const now = performance.now(),
          due = end || now - last > EVERY,
          info = { id, type: "step", space, step, loss, terms };
        if (due) {
          last = now;
          const x = tf.tidy(() => live.generator.image(ws));
          const seen = tf.tidy(() => f.forward(x, draw()));
          Object.assign(info, {
            picture: await picture(x),
            seen: await picture(seen),
            psnr: clean && psnrOf(x, clean),
          });
          tf.dispose([x, seen]);
        }
        postMessage({ ...info, seconds: seconds(now) });
        await new Promise((done) => setTimeout(done));
        await wait();
        return !own.stopped;
      },
    };
    return own;
  }

  /**
   * The input of a search, y: what f makes of the `given` picture, or the picture itself where it is `observed`, which
   * must have the size that f makes. What stands in a hole is not looked at.
   */
  function inputOf({ observed, seed }, given, f) {
    if (!observed) return f.degrade(given, new Live.random.Random(seed));
    const [, height, width] = given.shape;
    if (height !== f.side || width !== f.side)
      throw new Error(`a picture of ${width} x ${height} px: this damage gives ${f.side} x ${f.side}`);
    return f.mask ? tf.mul(given, f.mask) : given.clone();
  }

  async function search(message) {
    if (control) throw new Error("a search is running: stop it first");
    const { id, stages, seed, observed } = message;
    const preset = presetOf(message),
      given = imageOf(message.picture),
      clean = observed ? null : given,
      f = Live.degradations.create(stages, live.method);
    control = controlOf(id, f, clean, seed);
    let y = null;
    try {
      y = inputOf(message, given, f);
      postMessage({ id, type: "observed", picture: await picture(y) });
      const task = { y, f, preset, weights: { ...weightsOf(preset), ...message.weights }, seed };
      const { ws, phases } = await Live.search.run(live, task, control);
      const result = { picture: await shown(ws), phases, preset };
      result.psnr = clean && tf.tidy(() => psnrOf(live.generator.image(ws), clean));
      ws.dispose();
      return result;
    } finally {
      control = null;
      f.dispose();
      tf.dispose([given, y || []]);
    }
  }
  const weightsOf = (preset) => ({ lpips: 1, l1: preset.l1_weight, identity: preset.identity_weight });

  /** What the search would see, before any search. */
  async function degrade(message) {
    const f = Live.degradations.create(message.stages, live.method),
      given = imageOf(message.picture);
    try {
      return { picture: await of(() => inputOf(message, given, f)) };
    } finally {
      given.dispose();
      f.dispose();
    }
  }

  const ANSWERS = {
    start,
    sample,
    search,
    degrade,
    pause: async () => {
      if (control) control.pause();
      return {};
    },
    resume: async () => {
      if (control) control.go();
      return {};
    },
    stop: async () => {
      if (control) {
        control.stopped = true;
        control.go();
      }
      return {};
    },
    memory: async () => ({ tensors: tf.memory().numTensors, bytes: tf.memory().numBytes }),
  };

  async function answer({ data }) {
    const { id, type } = data;
    try {
      postMessage({ id, type: "answer", ...(await ANSWERS[type](data)) });
    } catch (error) {
      // what WebAssembly or an allocation breaks, such as too little memory, leaves the kernels in no known state
      const fatal = error instanceof WebAssembly.RuntimeError || error instanceof RangeError;
      postMessage({ id, type: "error", message: error.message, stack: String(error.stack), fatal });
    }
  }

  return { answer, live: () => live };
})();
