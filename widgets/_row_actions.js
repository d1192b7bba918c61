// What can be done with a row besides choosing it: pin it, take it out of the plot, delete it.

/** The row that is asked about before it is deleted; 0 for none. @type {{ asking: number }} */
const deleting = { asking: 0 };

/**
 * Buttons for a row; asked once, inline, before it is deleted.
 * @param {Model<RowsTraits>} model
 * @param {{ id: number, name: string }} row
 */
function rowActions(model, { id, name }) {
  const [pinned, hidden] = [model.get("pinned").includes(id), model.get("hidden").includes(id)];
  /** @type {(does: string, word: string, title: string, off?: boolean) => HTMLElement} */
  const button = (does, word, title, off = false) => {
    const look = { type: "button", class: "wb-act", "data-row": id, "data-does": does, "aria-disabled": off && "true" };
    return h("button", { ...look, title, "aria-label": `${word}: ${name}` }, word);
  };
  if (deleting.asking === id) {
    const gone = button("delete", "Delete", "There is no way back");
    return h(
      "span",
      { class: "wb-acts", role: "group" },
      "For good? ",
      gone,
      button("keep", "Keep", "Don't delete it"),
    );
  }
  const most = model.get("most_pinned");
  const full = !pinned && model.get("pinned").length >= most;
  const pin = full ? `${most} are pinned: unpin one first` : "Label it in the plot, with its 95 % intervals";
  return h(
    "span",
    { class: "wb-acts" },
    button("pin", pinned ? "Unpin" : "Pin", pinned ? "Take its label away" : pin, full),
    button("hide", hidden ? "Show" : "Hide", hidden ? "Back into the plot" : "Leave it out of the plot"),
    button("ask", "Delete", "Delete it from the history"),
  );
}

/** How their column is headed. */
const actionsHeading = () => h("span", { class: "wb-offscreen" }, "actions");

/**
 * Do what was clicked: choose a row, or one of its actions.
 * @param {Model<RowsTraits>} model
 * @param {Event} event
 * @param {() => void} redraw
 */
function actOnRow(model, event, redraw) {
  const button = targetOf(event).closest("button");
  const id = Number(button?.dataset.row ?? 0);
  if (!button || !id || button.getAttribute("aria-disabled") === "true") return;
  const does = button.dataset.does ?? "choose";
  const on = (/** @type {"pinned" | "hidden"} */ trait) => !model.get(trait).includes(id);
  if (does === "choose") chooseRow(model, id);
  if (does === "pin") model.send({ pin: id, on: on("pinned") });
  if (does === "hide") model.send({ hide: id, on: on("hidden") });
  if (does === "delete") model.send({ delete: id });
  if (does === "ask" || does === "keep" || does === "delete") {
    deleting.asking = does === "ask" ? id : 0;
    redraw();
  }
}
