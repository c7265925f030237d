/** The engine in its worker, loaded when it is first asked for, one for all live figures of a page. */
Page.client = (() => {
  const READY = "rusr-engine";
  const FILES = ["weights.js", "wasm.js", "engine.js"];
  let worker = null,
    starting = null,
    ready = false,
    last = 0;
  const waiting = new Map();
  const STOPPED = "the engine has stopped",
    AGAIN = "press Start once more; fewer phases need less memory";
  const ADVICE = { "file:": 'build the book with "make book"', else: "look at the connection, then press once more" };

  /** A classic script: the one thing that a page opened from a file may load. */
  const script = (name) =>
    new Promise((done, fail) => {
      const element = document.createElement("script");
      element.src = RUSR_LIVE.base + name;
      element.onload = done;
      element.onerror = () => fail(new Error(`${name} cannot be loaded: ${ADVICE[location.protocol] || ADVICE.else}`));
      document.head.append(element);
    });

  function receive({ data }) {
    const { id, type } = data,
      entry = waiting.get(id);
    if (!entry) return;
    if (type === "answer" || type === "error") waiting.delete(id);
    if (type === "answer") entry.done(data);
    else if (type !== "error") entry.report(data);
    else {
      const message = data.fatal ? `${STOPPED} (${data.message}): ${AGAIN}` : data.message;
      entry.fail(new Error(message));
      if (data.fatal) fail(message);
    }
  }

  function fail(message) {
    for (const entry of waiting.values()) entry.fail(new Error(message));
    waiting.clear();
    if (worker) worker.terminate();
    worker = starting = null;
    ready = false;
  }

  /** Send a message; the answer, or an Error. `report` gets what comes before it. */
  function post(type, message = {}, report = () => {}) {
    const id = ++last;
    return new Promise((done, failed) => {
      if (!worker) throw new Error(`${STOPPED}: press Start once more`);
      waiting.set(id, { done, fail: failed, report });
      worker.postMessage({ id, type, ...message });
    });
  }

  async function boot(say) {
    for (const [k, name] of FILES.entries()) {
      say(`Loading the networks, part ${k + 1} of ${FILES.length} …`);
      if (!globalThis[{ "weights.js": "RUSR_WEIGHTS", "wasm.js": "RUSR_WASM", "engine.js": "RUSR_ENGINE" }[name]])
        await script(name);
    }
    say("Starting the engine …");
    const source = new Blob([`(${RUSR_ENGINE}).call(self)`], { type: "text/javascript" }),
      url = URL.createObjectURL(source);
    worker = new Worker(url);
    worker.onmessage = receive;
    worker.onerror = ({ message }) => fail(`${STOPPED} (${message || "the browser does not say why"}): ${AGAIN}`);
    const answer = post("start", { wasm: RUSR_WASM, packed: RUSR_WEIGHTS }),
      first = await answer.finally(() => URL.revokeObjectURL(url));
    globalThis.RUSR_WASM = globalThis.RUSR_WEIGHTS = undefined; // the worker has its own
    ready = true;
    document.dispatchEvent(new Event(READY)); // figures say that nothing is loaded yet
    return first;
  }

  /** The first picture, the mean face, once the engine runs. */
  function start(say) {
    starting ||= boot(say).catch((error) => {
      fail(error.message);
      throw error;
    });
    return starting;
  }

  /** `heard` is called each time the engine has been loaded. */
  const loaded = (heard) => document.addEventListener(READY, heard);

  return { start, post, loaded, running: () => ready };
})();
