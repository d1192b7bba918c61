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

/** The id of the row that a click is on; 0 for none. @param {Event} click */
function rowAt(click) {
  return Number(targetOf(click).dataset.row ?? 0);
}

/**
 * Draw rows anew; who was at one of them still is.
 * @param {HTMLElement} body
 * @param {() => void} draw
 */
function keepingFocus(body, draw) {
  const focused = /** @type {HTMLElement | null} */ (document.activeElement);
  const row = body.contains(focused) && focused?.dataset.row;
  draw();
  if (row) /** @type {HTMLElement | null} */ (body.querySelector(`[data-row="${row}"]`))?.focus();
}

/**
 * Ask for a row. A message, since saving the model would send every appended row back with the click.
 * @param {Model<RowsTraits>} model
 * @param {number} id
 */
function chooseRow(model, id) {
  if (id && id !== model.get("selected")) model.send({ choose: id });
}
