// The last step: where the result runs, and what its figures are set against.

/**
 * Where the result runs, and what its figures are set against.
 * @param {Panel} panel
 * @returns {Card}
 */
function placeCard(panel) {
  const { schema } = panel;
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
  const heading = h("h2", {}, "Run on");
  const card = stepCard({ name: "place", title: "Run on", heading, about: [], body });
  const update = () => {
    const { recipe } = panel;
    const { place } = recipe;
    const asked = precisionsOf(recipe, schema);
    /** @param {string[]} precisions */
    const engineRefusals = (precisions) =>
      reasonsBy(schema.engines, (each) => each.unavailable ?? refusalOf(each, place, precisions));
    const chosen = candidates(recipe, schema).find((each) => !refusalOf(each, place, asked))?.name ?? place.engine;
    device.set(place.device);
    device.refuse(reasonsBy(schema.devices, (each) => each.unavailable));
    engine.set(place.engine);
    const [best] = candidates(recipe, schema);
    const refused = place.engine === "auto" && best?.name !== chosen && refusalOf(best, place, asked);
    write(instead, refused ? `${refused}; auto runs it on ${chosen}` : "");
    instead.hidden = !refused;
    engine.refuse(engineRefusals(asked));
    batch.set(place.batch);
    threads?.set(place.threads ?? schema.threads);
    versus.set(panel.baseline);
    versus.refuse(engineRefusals([UNCHANGED]));
    card.show({ on: true, opens: true, said: schema.engines.find((each) => each.name === chosen)?.title ?? chosen });
    card.tell(panel, "place", true);
  };
  return { el: card.el, update };
}
