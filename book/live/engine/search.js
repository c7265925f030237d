/** The method: search W, then W+, then W++ for the latent whose degraded image matches y. `rusr_core.restore`. */
Live.search = (() => {
  /** NAME@STEPS of a preset: fewer steps, each longer by the share that is missing, up to a factor a space. */
  function shortened(preset, steps, maxStretch) {
    const phases = preset.phases.map(({ space, lr, steps: whole }) => ({
      space,
      steps,
      lr: lr * Math.min(Math.max(whole / steps, 1), maxStretch[space]),
    }));
    return { ...preset, name: `${preset.name}@${steps}`, phases };
  }

  /** Optimisers: a function of gradient and state that returns the move and the new state; `rate` is a row's length. */
  const OPTIMIZERS = {
    adam: (rate, D) => ({
      start: (ws) => [tf.zerosLike(ws), tf.zerosLike(ws)],
      move: (grad, [m, v], step) => {
        m = tf.add(tf.mul(m, 0.9), tf.mul(grad, 0.1));
        v = tf.add(tf.mul(v, 0.999), tf.mul(tf.square(grad), 0.001));
        const root = tf.add(tf.div(tf.sqrt(v), Math.sqrt(1 - 0.999 ** (step + 1))), 1e-8);
        return [tf.mul(tf.div(m, root), rate / Math.sqrt(D) / (1 - 0.9 ** (step + 1))), m, v];
      },
    }),
    ngd: (rate) => ({
      // every row moves by exactly `rate`, CVPR 2023
      start: () => [],
      move: (grad) => {
        const norm = tf.sqrt(tf.sum(tf.square(grad), 1, true));
        return [tf.mul(tf.divNoNan(grad, norm), rate)];
      },
    }),
  };

  /** Stops after `patience` steps without a new best loss; null: never. */
  function earlyStopping(patience) {
    let best = Infinity,
      waited = 0;
    return (loss) => {
      waited = loss < best ? 0 : waited + 1;
      best = Math.min(best, loss);
      return patience !== null && waited >= patience;
    };
  }

  /** The objective of one search: w -> { value, grad, terms }, with the random numbers of a phase. */
  function objective({ generator, net, method }, { y, f, preset, weights, seed }) {
    const loss = Live.losses.create(net, preset, weights, f.side),
      twice = f.random && preset.draws > 1;
    const goal = tf.tidy(() => loss.target(y, f.mask));
    let ofF, ofLoss, kept;
    const gradient = tf.valueAndGrad((ws) => {
      const x = generator.image(ws),
        draws = [f.forward(x, ofF)];
      if (twice) draws.push(f.forward(x, ofF));
      const terms = loss.terms(draws, goal, ofLoss);
      kept = Object.fromEntries(Object.entries(terms).map(([name, value]) => [name, tf.keep(value.clone())]));
      return loss.total(terms);
    });
    return {
      reseed(phase) {
        const word = Live.random.seedWord(seed, phase);
        [ofF, ofLoss] = [new Live.random.Random(word), new Live.random.Random(word + 1)];
      },
      at(ws) {
        const { value, grad } = gradient(ws),
          terms = {};
        for (const [name, tensor] of Object.entries(kept)) {
          terms[name] = tensor.dataSync()[0];
          tensor.dispose();
        }
        return { value, grad, terms };
      },
      dispose() {
        // the first image and mask are the caller's
        tf.dispose([goal.images.slice(1), goal.masks ? goal.masks.slice(1) : [], goal.looks, goal.embedding || []]);
      },
    };
  }

  /**
   * One phase from `ws`, which is disposed of -> { ws, steps, reason }. `control.turn(info)` is awaited after each step
   * and says whether to go on.
   */
  async function phase(live, task, { space, lr, steps }, goal, ws, control) {
    const D = live.method.generator.w_dim,
      optimizer = OPTIMIZERS[task.preset.optimizer](lr * live.method.lr_scale, D);
    const stops = earlyStopping(task.preset.patience);
    let here = live.generator.widen(ws, space),
      state = tf.tidy(() => optimizer.start(here)),
      step = 0,
      reason = "steps";
    ws.dispose();
    while (step < steps && reason === "steps") {
      let found;
      const [total, next, ...newer] = tf.tidy(() => {
        found = goal.at(here);
        const [move, ...rest] = optimizer.move(found.grad, state, step);
        return [found.value, tf.sub(here, move), ...rest];
      });
      const loss = total.dataSync()[0],
        finite = tf.tidy(() => tf.all(tf.isFinite(next)).dataSync()[0]);
      total.dispose();
      if (!Number.isFinite(loss) || !finite) {
        // it stays at its last finite latent
        tf.dispose([next, newer]);
        reason = "diverged";
        break;
      }
      tf.dispose([here, state]);
      [here, state] = [next, newer];
      step += 1;
      if (stops(loss)) reason = "patience";
      const end = reason !== "steps" || step === steps;
      if (!(await control.turn({ space, step: step - 1, loss, terms: found.terms, ws: here, end })))
        reason = "stopped";
    }
    tf.dispose(state);
    return { ws: here, steps: step, reason };
  }

  /**
   * `live`: { generator, net, method }; `task`: { y [1, h, w, 3], f, preset, weights, seed }, whose tensors stay
   * the caller's -> { ws, phases: [{ space, steps, reason }] }.
   */
  async function run(live, task, control) {
    const goal = objective(live, task),
      done = [];
    let ws = live.generator.mean.clone();
    for (const [number, settings] of task.preset.phases.entries()) {
      goal.reseed(number);
      const result = await phase(live, task, settings, goal, ws, control);
      ws = result.ws;
      done.push({ space: settings.space, steps: result.steps, reason: result.reason });
      if (result.reason === "stopped" || result.reason === "diverged") break;
    }
    goal.dispose();
    if (!done[0].steps) {
      ws.dispose();
      throw new Error("the loss of the first step is no finite number: there is nothing to search from");
    }
    return { ws, phases: done };
  }

  return { run, shortened, objective };
})();
