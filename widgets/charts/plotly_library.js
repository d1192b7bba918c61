const QUIET_MS = 1000;
const PATIENCE_MS = 5000;
const TOUCHES = ["pointerdown", "keydown", "wheel"];

/**
 * Once nobody has touched the page for a while: evaluating the library keeps it from answering for a second or two.
 * @returns {Promise<void>}
 */
function quiet() {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      clearTimeout(limit);
      for (const name of TOUCHES) removeEventListener(name, again, true);
      if ("requestIdleCallback" in globalThis) requestIdleCallback(() => resolve(), { timeout: QUIET_MS });
      else resolve(); // Safari
    };
    const again = () => {
      clearTimeout(timer);
      timer = setTimeout(done, QUIET_MS);
    };
    const limit = setTimeout(done, PATIENCE_MS);
    let timer = setTimeout(done, QUIET_MS);
    for (const name of TOUCHES) addEventListener(name, again, { capture: true, passive: true });
  });
}

/** What this browser keeps for later visits; nothing where it may not: on other machines it needs https. */
async function kept() {
  try {
    return await caches.open("workbench.plotly");
  } catch {
    return null;
  }
}

/** What the kernel sends of Plotly. @param {Model<PlotlyLibraryTraits>} model @returns {Promise<ArrayBuffer>} */
function sent(model) {
  return new Promise((resolve) => {
    model.on("msg:custom", (_, [code]) =>
      resolve(code.buffer.slice(code.byteOffset, code.byteOffset + code.byteLength)),
    );
    model.send({ send: "code" });
  });
}

/** Plotly, compressed: kept from an earlier visit, or sent now and kept. @param {Model<PlotlyLibraryTraits>} model */
async function compressed(model) {
  const [store, name] = [await kept(), `/${model.get("digest")}`];
  const found = await store?.match(name);
  if (found) return found.arrayBuffer();
  const code = await sent(model);
  for (const old of (await store?.keys()) ?? []) await store?.delete(old);
  await store?.put(name, new Response(code)).catch(() => {}); // there may be no room
  return code;
}

/**
 * Plotly from its compressed code.
 * @param {ArrayBuffer} bytes
 * @returns {Promise<Plotly>}
 */
async function load(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const code = await new Response(stream).text();
  // as a module of its own: the page's require.js must not take it for one of its own
  const wrapped = ["const module = { exports: {} };\n", code, "\nexport default module.exports;"];
  const url = URL.createObjectURL(new Blob(wrapped, { type: "text/javascript" }));
  /** @type {any} */
  const page = globalThis;
  const before = page.Plotly;
  try {
    return (await import(url)).default;
  } finally {
    URL.revokeObjectURL(url);
    page.Plotly = before;
  }
}

export default {
  /** @param {{ model: Model<PlotlyLibraryTraits> }} initialized */
  initialize({ model }) {
    const key = Symbol.for("workbench.plotly");
    shared[key] ??= deferred();
    /** @type {Deferred} */
    const library = shared[key];
    if (library.loading) return;
    library.loading = true;
    // toggles and figures come first, and the first click is answered at once
    Promise.all([compressed(model), quiet()])
      .then(([code]) => load(code))
      .then(library.resolve, library.reject);
  },
};
