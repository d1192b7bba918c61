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

/**
 * Plotly from its compressed code.
 * @param {BufferSource} bytes
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
    quiet()
      .then(() => load(model.get("code")))
      .then(library.resolve, library.reject);
  },
};
