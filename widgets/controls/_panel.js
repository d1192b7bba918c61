// What the person asks for, sent to Python and shown at once; the cards look at it.

const client = Math.random().toString(36).slice(2);

/**
 * What all cards look at and change.
 * @param {Model<RecipePanelTraits>} model
 * @param {Schema} schema
 * @returns {Panel}
 */
function makePanel(model, schema) {
  let sent = 0;
  /** @param {Technique} technique */
  const blocked = (technique) => model.get("_blocked")[technique.name];
  /** @type {Panel} */
  const panel = {
    schema,
    recipe: structuredClone(model.get("_shown").recipe),
    baseline: model.get("_shown").baseline,
    asking: null,
    update() {},
    unit: () => model.get("accepted").unit,
    edit(change, card) {
      const asked = structuredClone({ recipe: panel.recipe, baseline: panel.baseline });
      change(asked);
      Object.assign(panel, asked);
      panel.asking = card;
      sent += 1;
      send(model, "_wanted", { ...asked, client, number: sent });
      panel.update();
    },
    adopt() {
      const shown = model.get("_shown");
      if (shown.client === client && Number(shown.number) < sent) return;
      panel.asking = null;
      panel.recipe = structuredClone(shown.recipe);
      panel.baseline = shown.baseline;
      panel.update();
    },
    refusedChoices: (technique, option) => refusedChoices(option, panel.recipe, schema, blocked(technique)),
    refusal: (technique) => refusal(technique, panel.recipe, schema, blocked(technique)),
    initialValue: (technique, step, option) => {
      const refused = refusedChoices(option, panel.recipe, schema, blocked(technique));
      return initialValue(option, defaultOf(technique, step, option), refused);
    },
    waits: (name) => panel.asking === name || (model.get("busy") && !model.get("effects")[name] && name !== "place"),
    against: (name, on) => (on && !panel.waits(name) && model.get("effects")[name]?.against) || "",
    off: (name) => ["off", model.get("costs")[name]].filter(Boolean).join(", "),
    said: (name) => model.get("_said")[name] ?? "",
    describe(element, name, on) {
      const effect = on ? model.get("effects")[name] : null;
      const waiting = on && panel.waits(name);
      write(element, waiting ? "measuring …" : (effect?.text ?? ""));
      element.dataset.tone = waiting ? "" : (effect?.tone ?? "");
    },
  };
  return panel;
}
