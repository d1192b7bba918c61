const client = Math.random().toString(36).slice(2);

/**
 * A technique: its toggle, what it has done so far, and its options.
 * @param {Technique} technique
 * @param {Panel} panel
 * @returns {Card}
 */
function techniqueCard(technique, panel) {
  const effect = h("span", { class: "wb-effect", id: unique("effect") });
  const look = { type: "button", role: "switch", class: "wb-switch", "aria-checked": "false", title: technique.help };
  const toggle = h("button", look, h("span", { class: "wb-track", "aria-hidden": "true" }), technique.title);
  /** @type {Record<string, OptionValue>} */
  const remembered = {};
  toggle.addEventListener("click", () => {
    if (toggle.getAttribute("aria-disabled")) return;
    panel.edit(({ recipe }) => {
      const step = stepOf(recipe, technique.name);
      if (step) {
        Object.assign(remembered, step);
        recipe.steps = recipe.steps.filter((other) => other !== step);
      } else {
        const values = technique.options.map((option) => {
          const before = remembered[option.name]; // what was chosen for another model may be refused for this one
          const refused = before === undefined || panel.refusedChoices(technique, option)[String(before)];
          return [option.name, refused ? panel.initialValue(technique, option) : before];
        });
        insert(recipe, technique, { ...Object.fromEntries(values), do: technique.name });
      }
    }, technique.name);
  });
  const waits = () => trains(technique, stepOf(panel.recipe, technique.name));
  const options = technique.options.map((option) => {
    /** @param {OptionValue} value */
    const change = (value) => panel.edit(({ recipe }) => setOption(recipe, technique, option, value), technique.name);
    const own = control(option, change, waits);
    own.el.title = option.help;
    return { option, control: own };
  });
  const rows = options.map((each) => each.control.el);
  const body = h("div", { class: "wb-options" }, rows);
  const why = h("p", { class: "wb-why", id: unique("why"), hidden: true });
  const against = h("p", { class: "wb-against", hidden: true });
  const head = h("div", { class: "wb-toggle" }, toggle, effect);
  const el = h(
    "section",
    { class: "wb-card wb-technique", "aria-label": technique.title, "data-step": technique.name },
    head,
    against,
    why,
    body,
  );
  const update = () => {
    const step = stepOf(panel.recipe, technique.name);
    const refused = step ? "" : panel.refusal(technique);
    toggle.setAttribute("aria-checked", String(Boolean(step)));
    setOrRemove(toggle, "aria-disabled", refused && "true");
    toggle.setAttribute("aria-describedby", refused ? why.id : effect.id);
    write(why, refused);
    why.hidden = !refused;
    body.hidden = !step;
    for (const { option, control } of options) {
      control.el.hidden = !matters(technique, step, option);
      const most = maximum(technique, step, option);
      if (most !== null) control.limit?.(most);
      control.set(valueIn(step, option));
      if (option.choices.length) control.refuse(panel.refusedChoices(technique, option));
    }
    panel.describe(effect, technique.name, Boolean(step));
    write(against, panel.against(technique.name, Boolean(step)) || "\u00a0"); // it keeps its place while a run measures
    against.hidden = !step;
  };
  return { el, update };
}

/**
 * Where the result runs, and what its figures are set against.
 * @param {Panel} panel
 * @returns {Card}
 */
function placeCard(panel) {
  const { schema } = panel;
  const effect = h("span", { class: "wb-effect wb-quiet" });
  const id = unique("place");
  /** @type {<Name extends keyof Place>(name: Name) => (value: Place[Name]) => void} */
  const set = (name) => (value) =>
    panel.edit(({ recipe }) => {
      recipe.place[name] = value;
    }, "place");
  const never = () => false;
  const devices = schema.devices.map(({ name, title }) => ({ value: name, text: title }));
  const engines = schema.engines.map(({ name }) => ({ value: name, text: name }));
  const engineChoices = [{ value: "auto", text: "auto" }, ...engines];
  const baselines = engines.map(({ value }) => ({ value, text: `${value} ${UNCHANGED}` }));
  const numbers = { whole: true, minimum: 1, maximum: schema.threads, written: { percent: false, suffix: "" } };
  const device = segmented("Device", devices, (name) =>
    panel.edit((asked) => chooseDevice(asked, name, schema), "place"),
  );
  const engine = segmented("Engine", engineChoices, set("engine"));
  const batch = slider("Batch", doubling(1024), set("batch"), never);
  const threads = schema.threads > 1 ? slider("Threads", linear(numbers), set("threads"), never) : null;
  const versus = choice("Compare with", [{ value: "auto", text: "auto: the strongest" }, ...baselines], (name) =>
    panel.edit((asked) => {
      asked.baseline = name;
    }, "place"),
  );
  versus.el.title = `what each figure is set against: the untouched model in ${UNCHANGED} on this engine; auto: the faster of eager and compiled`;
  const one = h("span", { class: "wb-wide wb-quiet" }, "1: this process has one core");
  const single = row(h("span", { class: "wb-option-label" }, "Threads"), one);
  const instead = h("p", { class: "wb-why", hidden: true });
  const controls = [device.el, engine.el, instead, batch.el, threads?.el ?? single, versus.el];
  const body = h("div", { class: "wb-options" }, controls);
  const head = h("div", { class: "wb-toggle" }, h("h2", { id }, "Place"), effect);
  const el = h("section", { class: "wb-card", "aria-labelledby": id, "data-step": "place" }, head, body);
  const update = () => {
    const { recipe } = panel;
    const { place } = recipe;
    const precision = precisionOf(recipe, schema);
    /** @param {string} asked */
    const engineRefusals = (asked) =>
      reasonsBy(schema.engines, (each) => each.unavailable ?? refusals(each, place)[asked]);
    const chosen = candidates(recipe, schema).find((each) => !refusals(each, place)[precision])?.name ?? place.engine;
    device.set(place.device);
    device.refuse(reasonsBy(schema.devices, (each) => each.unavailable));
    engine.set(place.engine);
    const [best] = candidates(recipe, schema);
    const refused = place.engine === "auto" && best?.name !== chosen && refusals(best, place)[precision];
    write(instead, refused ? `${refused}; auto runs it on ${chosen}` : "");
    instead.hidden = !refused;
    engine.refuse(engineRefusals(precision));
    batch.set(place.batch);
    threads?.set(place.threads ?? schema.threads);
    versus.set(panel.baseline);
    versus.refuse(engineRefusals(UNCHANGED));
    panel.describe(effect, "place", true, schema.engines.find((each) => each.name === chosen)?.title ?? chosen);
  };
  return { el, update };
}

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
    initialValue: (technique, option) => initialValue(option, panel.recipe, schema, blocked(technique)),
    waits: (name) => panel.asking === name || (model.get("busy") && !model.get("effects")[name] && name !== "place"),
    against: (name, on) => (on && !panel.waits(name) && model.get("effects")[name]?.against) || "",
    describe(element, name, on, otherwise = "on") {
      const effect = on ? model.get("effects")[name] : null;
      const waiting = on && panel.waits(name);
      write(element, !on ? "off" : waiting ? "measuring …" : (effect?.text ?? otherwise));
      element.dataset.tone = on && !waiting ? (effect?.tone ?? "") : "";
    },
  };
  return panel;
}

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
    const made = makePanel(model, schema);
    const cards = [...schema.techniques.map((technique) => techniqueCard(technique, made)), placeCard(made)];
    made.update = () => {
      for (const card of cards) card.update();
    };
    panel = made;
    el.replaceChildren(error, ...cards.map((card) => card.el));
    made.update();
  };
  model.on("change:_schema", build);
  model.on("change:_shown", () => panel?.adopt());
  for (const part of ["effects", "_blocked", "busy"]) model.on(`change:${part}`, () => panel?.update());
  model.on("change:error", showError);
  build();
  showError();
}

export default { render };
