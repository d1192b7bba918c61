/** @param {Rendered<RecipePanelTraits>} rendered */
function render({ model, el }) {
  root(el, "recipe-panel");
  el.setAttribute("role", "region");
  el.setAttribute("aria-label", "Recipe");
  /** @type {Panel | null} */
  let panel = null;
  const error = h("p", { class: "wb-error", role: "alert", hidden: true });
  const showError = () => {
    const text = model.get("error");
    write(error, text);
    error.hidden = !text;
  };
  const build = () => {
    const schema = model.get("_schema");
    if (!("techniques" in schema)) {
      const bones = [118, 60, 60, 160].map((px) => h("div", { class: "wb-card wb-bone", style: `height: ${px}px` }));
      const waiting = h("p", { class: "wb-offscreen" }, "The toggles appear when the core has started.");
      el.replaceChildren(error, waiting, ...bones);
      return;
    }
    beginWithAccepted(schema, model.get("accepted").share);
    const made = makePanel(model, schema);
    const [first, steps, last] = [modelCard(model), families(schema, made), placeCard(made)];
    made.update = () => {
      for (const part of [first, steps, last]) part.update();
    };
    panel = made;
    el.replaceChildren(error, h("div", { class: "wb-pipeline" }, first.el, ...steps.els, last.el));
    made.update();
  };
  model.on("change:_schema", build);
  model.on("change:accepted", () => {
    if (panel) beginWithAccepted(panel.schema, model.get("accepted").share);
    panel?.update();
  });
  model.on("change:_shown", () => panel?.adopt());
  for (const part of ["effects", "costs", "_blocked", "_said", "model", "busy"])
    model.on(`change:${part}`, () => panel?.update());
  model.on("change:error", showError);
  build();
  showError();
}

export default { render };
