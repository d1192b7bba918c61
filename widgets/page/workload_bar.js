const NOT_FOR_TEXT = ["range", "checkbox", "radio", "button"];

/** Whether Ctrl+Z belongs to the element itself. @param {HTMLElement} element */
function holdsText(element) {
  if (element instanceof HTMLInputElement) return !NOT_FOR_TEXT.includes(element.type);
  return element instanceof HTMLTextAreaElement || element.isContentEditable;
}

/**
 * Undo and redo: two buttons, and their keys wherever the focus is on this page but in a text field.
 * @param {Model<WorkloadBarTraits>} model
 * @param {HTMLElement} el
 */
function undoButtons(model, el) {
  /** @type {(trait: "undos" | "redos", possible: "can_undo" | "can_redo") => void} */
  const ask = (trait, possible) => {
    if (model.get(possible)) send(model, trait, model.get(trait) + 1);
  };
  const undo = iconButton("undo", "Undo", () => ask("undos", "can_undo"));
  const redo = iconButton("redo", "Redo", () => ask("redos", "can_redo"));
  undo.title = "Undo (Ctrl+Z)";
  redo.title = "Redo (Ctrl+Shift+Z)";
  // not disabled: who has just pressed it for the last time keeps the focus
  follow(model, ["can_undo", "can_redo"], () => {
    undo.setAttribute("aria-disabled", String(!model.get("can_undo")));
    redo.setAttribute("aria-disabled", String(!model.get("can_redo")));
  });
  /** @param {KeyboardEvent} event */
  const onKey = (event) => {
    if (event.key.toLowerCase() !== "z" || !(event.ctrlKey || event.metaKey) || event.altKey) return;
    const [target, page] = [targetOf(event), el.closest(".wb-page") ?? el];
    const within = page.contains(target) || (isWholePage() && target === document.body);
    if (!within || holdsText(target)) return;
    event.preventDefault();
    event.stopPropagation(); // JupyterLab would undo a change of its cells
    if (event.shiftKey) ask("redos", "can_redo");
    else ask("undos", "can_undo");
  };
  addEventListener("keydown", onKey, true);
  return { els: [undo, redo], end: () => removeEventListener("keydown", onKey, true) };
}

/** A button that copies the link to what is shown, and says so. */
function linkButton() {
  const said = h("span", { class: "wb-offscreen", role: "status" });
  const bubble = h("span", { class: "wb-bubble", "aria-hidden": "true", hidden: true });
  const button = iconButton("link", "Copy link", async () => {
    try {
      await copyText(linkToThis());
      tell("Link copied");
    } catch (error) {
      tell(/** @type {Error} */ (error).message);
    }
  });
  /** @param {string} text */
  const tell = (text) => {
    write(said, text);
    write(bubble, text);
    bubble.hidden = false;
    setTimeout(() => {
      bubble.hidden = true;
      write(said, "");
    }, 2500);
  };
  return h("span", { class: "wb-copies" }, button, bubble, said);
}

/** @param {Rendered<WorkloadBarTraits>} rendered */
function render({ model, el }) {
  root(el, "workload-bar");
  const id = unique("workload");
  const select = h("select", { id, class: "wb-select", onchange: () => send(model, "workload", select.value) });
  const description = h("span", { class: "wb-description" });
  const summary = h("span", { class: "wb-summary" });
  const startOver = () => send(model, "resets", model.get("resets") + 1);
  const words = h("span", {}, "Start over");
  const look = { type: "button", class: "wb-button wb-icon wb-start-over", "data-icon": "reset", onclick: startOver };
  const reset = h("button", look, words);
  const undoing = undoButtons(model, el);
  const theme = isWholePage() ? themeSwitch() : null;
  const name = h(
    "h1",
    {},
    h("span", { class: "wb-glyph", "aria-hidden": "true" }),
    h("span", { class: "wb-title" }, "Workbench"),
  );
  const label = h("label", { class: "wb-offscreen", for: id }, "Workload");
  const space = h("span", { class: "wb-space" });
  const own = theme ? [linkButton(), theme.el] : []; // a notebook has no address to hand on, and Lab's theme
  el.append(name, label, select, description, space, summary, ...undoing.els, ...own, reset);
  follow(model, ["workloads", "workload", "summary", "changed"], () => {
    const known = model.get("workloads");
    const names = known.length ? known.map((each) => each.name) : [model.get("workload")];
    const offered = [...select.options].map((option) => option.value);
    if (names.join() !== offered.join())
      select.replaceChildren(...names.map((each) => h("option", { value: each }, each || "…")));
    select.value = model.get("workload");
    const text = known.find((each) => each.name === model.get("workload"))?.description ?? "";
    write(description, text);
    description.title = text;
    write(summary, model.get("summary"));
    summary.title = model.get("summary");
    reset.disabled = !model.get("changed");
  });
  return () => {
    undoing.end();
    theme?.end();
  };
}

export default { render };
