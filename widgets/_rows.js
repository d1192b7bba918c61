// Rows that grow: appended once for the model, however many views show them.

/** @param {{ model: Model<RowsTraits> }} initialized */
function initializeRows({ model }) {
  model.on("msg:custom", (message) => {
    if (message.append) {
      const others = model.get("rows").filter((row) => row.id !== message.instead_of);
      model.set("rows", [...others, message.append]);
    }
  });
}

/** What takes the place of a button that is gone once it was pressed. @type {Record<string, string>} */
const FOLLOWING = { ask: "keep", keep: "ask" };

/**
 * Draw rows anew; who was at one of them still is or, where it is gone, at the one in its place.
 * @param {HTMLElement} body
 * @param {() => void} draw
 */
function keepingFocus(body, draw) {
  const focused = /** @type {HTMLElement | null} */ (document.activeElement);
  const { row, does = "" } = (body.contains(focused) && focused?.dataset) || {};
  const places = () => [...body.querySelectorAll("[data-row]:not([data-does])")];
  const place = places().findIndex((each) => /** @type {HTMLElement} */ (each).dataset.row === row);
  draw();
  if (!row) return;
  const same = [does, FOLLOWING[does]].map((name) => name && `[data-row="${row}"][data-does="${name}"]`);
  const wanted = [...same, `[data-row="${row}"]:not([data-does])`].filter(Boolean);
  const found = wanted.map((selector) => body.querySelector(selector)).find(Boolean);
  const next = found ?? places()[Math.min(place, places().length - 1)] ?? body.closest("[tabindex]");
  /** @type {HTMLElement | null} */ (next)?.focus();
}

/**
 * Ask for a row. A message, since saving the model would send every appended row back with the click.
 * @param {Model<RowsTraits>} model
 * @param {number} id
 */
function chooseRow(model, id) {
  if (id && id !== model.get("selected")) model.send({ choose: id });
}
