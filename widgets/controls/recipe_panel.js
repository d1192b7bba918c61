const SLIDER_DELAY_MS = 80;
const MOST_CHARACTERS_SIDE_BY_SIDE = 56; // of all choices of an option: what two lines hold
const client = Math.random().toString(36).slice(2);

// -- controls: each is {el, set(value), refuse(reasons by value)}

/** Several names of which one is chosen: a radio group with arrow keys; refused ones stay reachable and say why. */
function segmented(label, choices, change) {
  const id = unique("group");
  const reason = h("span", { class: "wb-reason", role: "note", hidden: true });
  const buttons = choices.map(({ value, text }) => {
    const why = h("span", { class: "wb-offscreen", id: unique("why") });
    const button = h("button", { type: "button", role: "radio", "aria-checked": "false", tabindex: "-1", "data-value": value }, text);
    const tell = () => {
      write(reason, why.textContent);
      reason.hidden = !why.textContent;
    };
    const hush = () => (reason.hidden = true);
    for (const [event, listener] of [["focus", tell], ["mouseenter", tell], ["blur", hush], ["mouseleave", hush]]) button.addEventListener(event, listener);
    return { value, button, why };
  });
  const choose = (value) => {
    if (buttons.find((each) => each.value === value).button.getAttribute("aria-disabled")) return;
    if (buttons.find((each) => each.value === value).button.getAttribute("aria-checked") === "true") return;
    set(value);
    change(value);
  };
  const set = (value) => {
    const known = buttons.some((each) => each.value === value);
    buttons.forEach(({ value: own, button }, i) => {
      button.setAttribute("aria-checked", String(own === value));
      button.tabIndex = own === value || (!known && i === 0) ? 0 : -1;
    });
  };
  const group = h("div", { class: "wb-segmented", role: "radiogroup", "aria-labelledby": id }, buttons.map(({ button, why }) => [button, why]));
  group.addEventListener("click", (event) => event.target.dataset.value && choose(event.target.dataset.value));
  group.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const at = buttons.findIndex(({ button }) => button === document.activeElement);
    const next = buttons[(at + step + buttons.length) % buttons.length];
    next.button.focus();
    choose(next.value);
  });
  const refuse = (reasons) => {
    for (const { value, button, why } of buttons) {
      write(why, reasons[value] ?? "");
      for (const [name, content] of [["aria-disabled", "true"], ["aria-describedby", why.id]])
        reasons[value] ? button.setAttribute(name, content) : button.removeAttribute(name);
    }
  };
  return { el: row(h("span", { class: "wb-option-label", id }, label), h("div", { class: "wb-wide" }, group, reason)), set, refuse };
}

/** One of several in a list that opens; refused ones say why in the list itself. */
function choice(label, choices, change) {
  const id = unique("choice");
  const select = h("select", { id, class: "wb-field", onchange: () => change(select.value) }, choices.map(({ value, text }) => h("option", { value, "data-text": text }, text)));
  const set = (value) => (select.value = value);
  const refuse = (reasons) => {
    for (const option of select.options) {
      option.disabled = Boolean(reasons[option.value]);
      write(option, [option.dataset.text, reasons[option.value]].filter(Boolean).join(": "));
    }
  };
  return { el: row(h("label", { for: id, class: "wb-option-label" }, label), h("div", { class: "wb-wide" }, select)), set, refuse };
}

/** A slider over the numbers that `scale` maps its places to. */
function slider(label, scale, change, waits) {
  const id = unique("slider");
  const input = h("input", { type: "range", id, min: scale.first, max: scale.last, step: scale.step });
  const output = h("output", { for: id, class: "wb-value" });
  let timer = null;
  const show = (value) => {
    write(output, scale.text(value));
    input.setAttribute("aria-valuetext", scale.text(value));
    input.style.setProperty("--wb-filled", `${(100 * (input.value - scale.first)) / (scale.last - scale.first || 1)}%`);
  };
  const report = () => {
    clearTimeout(timer);
    timer = null;
    change(scale.value(Number(input.value)));
  };
  input.addEventListener("input", () => {
    show(scale.value(Number(input.value)));
    clearTimeout(timer);
    timer = waits() ? null : setTimeout(report, SLIDER_DELAY_MS);
  });
  input.addEventListener("change", report);
  const set = (value) => {
    if (timer !== null || value === undefined) return; // being dragged: the hand on it is newer
    input.value = scale.place(value);
    show(value);
  };
  const limit = (last) => (input.max = scale.last = last);
  return { el: row(h("label", { for: id, class: "wb-option-label" }, label), input, output), set, limit, refuse() {} };
}

function field(label, type, change, extra = {}) {
  const id = unique("field");
  const input = h("input", { type, id, class: "wb-field", ...extra });
  input.addEventListener("change", () => change(type === "number" ? Number(input.value) : input.value));
  const set = (value) => {
    if (document.activeElement !== input) input.value = value ?? "";
  };
  return { el: row(h("label", { for: id, class: "wb-option-label" }, label), h("div", { class: "wb-wide" }, input)), set, refuse() {} };
}

function flag(label, change) {
  const id = unique("flag");
  const input = h("input", { type: "checkbox", id, onchange: () => change(input.checked) });
  const set = (value) => (input.checked = Boolean(value));
  return { el: row(h("label", { for: id, class: "wb-option-label" }, label), h("div", { class: "wb-wide" }, input)), set, refuse() {} };
}

function row(...parts) {
  return h("div", { class: "wb-option" }, parts);
}

function linear(option) {
  const whole = option.type === "integer";
  const share = option.unit === "fraction";
  const span = option.maximum - option.minimum;
  const step = whole ? 1 : 10 ** Math.floor(Math.log10(span / 50));
  const first = Number((Math.ceil(option.minimum / step) * step).toPrecision(6)); // round places, whatever the minimum
  const units = { fraction: " %", epochs: " ep.", epoch: " ep." };
  const unit = units[option.unit] ?? (option.unit && option.unit.length < 4 ? ` ${option.unit}` : ""); // longer ones stand in the title
  const text = (value) => `${share ? Math.round(100 * value) : Number(Number(value).toPrecision(3))}${unit}`;
  return { first, last: option.maximum, step, value: (place) => Number(place.toPrecision(6)), place: (value) => value, text };
}

/** 1, 2, 4, … up to `last`. */
function doubling(last) {
  return { first: 0, last: Math.log2(last), step: 1, value: (place) => 2 ** place, place: (value) => Math.round(Math.log2(value)), text: String };
}

function control(option, change, waits) {
  if (option.choices.join().length > MOST_CHARACTERS_SIDE_BY_SIDE) return choice(option.title, option.choices.map((value) => ({ value, text: value })), change);
  if (option.type === "choice") return segmented(option.title, option.choices.map((value) => ({ value, text: value.replaceAll("-", " ") })), change);
  if (option.type === "flag") return flag(option.title, change);
  if (option.type === "text") return field(option.title, "text", change);
  if (option.minimum === null || option.maximum === null) return field(option.title, "number", change, { min: option.minimum, max: option.maximum, step: option.type === "integer" ? 1 : "any" });
  return slider(option.title, linear(option), change, waits);
}

// -- the recipe, as a document that is edited

const stepOf = (recipe, name) => recipe.steps.find((step) => step.do === name);
const valueOf = (step, option) => step?.[option.name] ?? option.default;
const optionOf = (technique, step, name) => {
  const declared = technique.options.find((each) => each.name === name);
  return declared ? valueOf(step, declared) : step?.[name];
};
const matters = (technique, step, option) => Object.entries(option.when).every(([other, values]) => values.includes(optionOf(technique, step, other)));
const maximum = (technique, step, option) => Object.entries(option.maximum_when).reduce((least, [other, maxima]) => maxima[optionOf(technique, step, other)] ?? least, option.maximum);
const trains = (technique, step) => technique.trains && technique.options.filter((option) => option.unit.startsWith("epoch")).every((option) => valueOf(step, option) > 0);

/** Put a new step where its technique belongs among the others. */
function insert(recipe, step, techniques) {
  const rank = (name) => techniques.find((technique) => technique.name === name)?.order ?? 0;
  const at = recipe.steps.findIndex((other) => rank(other.do) > rank(step.do));
  recipe.steps.splice(at < 0 ? recipe.steps.length : at, 0, step);
}

/** Choose a device. An engine that can't run there gives way to the best one that can. */
function moveTo(asked, device, schema) {
  const { recipe } = asked;
  const refuses = (name, precision) => schema.engines.find((engine) => engine.name === name)?.refuses[device]?.[precision];
  recipe.place.device = device;
  if (refuses(recipe.place.engine, precisionOf(recipe, schema))) recipe.place.engine = "auto";
  if (refuses(asked.baseline, "fp32")) asked.baseline = "auto";
}

function precisionOf(recipe, schema) {
  const refused = schema.engines.flatMap((engine) => Object.values(engine.refuses)).flatMap(Object.keys);
  const named = recipe.steps.flatMap((step) => Object.values(step)).filter((value) => refused.includes(value));
  return named.at(-1) ?? "fp32";
}

function techniqueCard(technique, panel) {
  const effect = h("span", { class: "wb-effect", id: unique("effect") });
  const toggle = h("button", { type: "button", role: "switch", class: "wb-switch", "aria-checked": "false", title: technique.help }, h("span", { class: "wb-track", "aria-hidden": "true" }), technique.title);
  const remembered = {};
  toggle.addEventListener("click", () => {
    if (toggle.getAttribute("aria-disabled")) return;
    panel.edit(({ recipe }) => {
      const step = stepOf(recipe, technique.name);
      if (step) {
        Object.assign(remembered, step);
        recipe.steps = recipe.steps.filter((other) => other.do !== technique.name);
        return;
      }
      const values = Object.fromEntries(technique.options.map((option) => [option.name, remembered[option.name] ?? panel.allowed(technique, option)]));
      insert(recipe, { ...remembered, do: technique.name, ...values }, panel.schema.techniques);
    }, technique.name);
  });
  const waits = () => trains(technique, stepOf(panel.recipe, technique.name));
  const options = technique.options.map((option) => ({
    option,
    ...control(option, (value) => panel.edit(({ recipe }) => {
      const step = stepOf(recipe, technique.name);
      if (!step) return;
      step[option.name] = value;
      for (const other of technique.options) if (step[other.name] > maximum(technique, step, other)) step[other.name] = maximum(technique, step, other);
    }, technique.name), waits),
  }));
  for (const { el, option } of options) el.title = option.help;
  const body = h("div", { class: "wb-options" }, options.map((each) => each.el));
  const why = h("p", { class: "wb-why", id: unique("why"), hidden: true });
  const against = h("p", { class: "wb-against", hidden: true });
  const card = h("section", { class: "wb-card wb-technique", "aria-label": technique.title }, h("div", { class: "wb-toggle" }, toggle, effect), against, why, body);
  const update = () => {
    const step = stepOf(panel.recipe, technique.name);
    const refusal = step ? "" : panel.refusal(technique);
    toggle.setAttribute("aria-checked", String(Boolean(step)));
    refusal ? toggle.setAttribute("aria-disabled", "true") : toggle.removeAttribute("aria-disabled");
    toggle.setAttribute("aria-describedby", refusal ? why.id : effect.id);
    write(why, refusal);
    why.hidden = !refusal;
    body.hidden = !step;
    for (const each of options) {
      each.el.hidden = !matters(technique, step, each.option);
      each.limit?.(maximum(technique, step, each.option));
      each.set(valueOf(step, each.option));
      if (each.option.type === "choice") each.refuse(panel.refusedChoices(technique, each.option));
    }
    panel.describe(effect, technique.name, Boolean(step));
    write(against, panel.against(technique.name, Boolean(step)) || "\u00a0"); // it keeps its place while a run measures
    against.hidden = !step;
  };
  return { card, update };
}

function placeCard(panel) {
  const { schema } = panel;
  const effect = h("span", { class: "wb-effect wb-quiet" });
  const id = unique("place");
  const place = (name) => (value) => panel.edit(({ recipe }) => (recipe.place[name] = value), "place");
  const never = () => false;
  const device = segmented("Device", schema.devices.map(({ name, title }) => ({ value: name, text: title })), (name) => panel.edit((asked) => moveTo(asked, name, schema), "place"));
  const engine = segmented("Engine", schema.engines.map(({ name }) => ({ value: name, text: name })), place("engine"));
  const batch = slider("Batch", doubling(1024), place("batch"), never);
  const whole = { type: "integer", minimum: 1, maximum: schema.threads, unit: "" };
  const threads = schema.threads > 1 ? slider("Threads", linear(whole), place("threads"), never) : null;
  const versus = choice("Compare with", [{ value: "auto", text: "auto: the strongest" }, ...schema.engines.map(({ name }) => ({ value: name, text: `${name} fp32` }))], (name) => panel.edit((asked) => (asked.baseline = name), "place"));
  versus.el.title = "what each figure is set against: the untouched model in fp32 on this engine; auto: the faster of eager and compiled";
  const single = row(h("span", { class: "wb-option-label" }, "Threads"), h("span", { class: "wb-wide wb-quiet" }, "1: this process has one core"));
  const body = h("div", { class: "wb-options" }, device.el, engine.el, batch.el, threads?.el ?? single, versus.el);
  const card = h("section", { class: "wb-card", "aria-labelledby": id }, h("div", { class: "wb-toggle" }, h("h2", { id }, "Place"), effect), body);
  const update = () => {
    const { recipe } = panel;
    const precision = precisionOf(recipe, schema);
    const chosen = panel.candidates().find((each) => !panel.refuses(each)[precision])?.name ?? recipe.place.engine;
    device.set(recipe.place.device);
    device.refuse(Object.fromEntries(schema.devices.map((each) => [each.name, each.unavailable])));
    engine.set(chosen);
    engine.refuse(Object.fromEntries(schema.engines.map((each) => [each.name, each.unavailable ?? panel.refuses(each)[precision]])));
    batch.set(recipe.place.batch);
    threads?.set(recipe.place.threads ?? schema.threads);
    versus.set(panel.baseline);
    versus.refuse(Object.fromEntries(schema.engines.map((each) => [each.name, each.unavailable ?? panel.refuses(each).fp32])));
    panel.describe(effect, "place", true, schema.engines.find((each) => each.name === chosen)?.title ?? chosen);
  };
  return { card, update };
}

function makePanel(model) {
  let sent = 0;
  const panel = {
    schema: model.get("_schema"),
    recipe: structuredClone(model.get("_shown").recipe),
    baseline: model.get("_shown").baseline,
    asking: null,
    update() {},
    edit(change, part) {
      const asked = structuredClone({ recipe: panel.recipe, baseline: panel.baseline });
      change(asked);
      Object.assign(panel, asked);
      panel.asking = part;
      sent += 1;
      send(model, "_wanted", { ...asked, client, number: sent });
      panel.update();
    },
    /** Take over what Python shows, unless a newer change of this browser is on its way. */
    adopt() {
      const shown = model.get("_shown");
      if (shown.client === client && shown.number < sent) return;
      panel.asking = null;
      panel.recipe = structuredClone(shown.recipe);
      panel.baseline = shown.baseline;
      panel.update();
    },
    /** The engines that may run the recipe, best first: the one chosen, or with "auto" several. */
    candidates() {
      const name = panel.recipe.place.engine;
      const names = name === "auto" ? panel.schema.preferred : [name];
      return names.map((own) => panel.schema.engines.find((each) => each.name === own)).filter(Boolean);
    },
    /** What an engine refuses on the chosen device, by precision. */
    refuses: (engine) => engine.refuses[panel.recipe.place.device] ?? {},
    /** The choices that could do nothing to this model, or that none of the engines can run, with the reason. */
    refusedChoices(technique, option) {
      const refusals = panel.candidates().map(panel.refuses);
      const refused = option.choices.filter((value) => refusals.length && refusals.every((reasons) => reasons[value]));
      const byEngines = Object.fromEntries(refused.map((value) => [value, refusals[0][value]]));
      return { ...byEngines, ...model.get("_blocked")[technique.name]?.choices[option.name] };
    },
    /** Why a technique could do nothing here: nothing to this model, or each choice of one option is refused. */
    refusal(technique) {
      const refused = technique.options.filter((option) => option.type === "choice").map((option) => [option, panel.refusedChoices(technique, option)]);
      const dead = refused.find(([option, reasons]) => option.choices.length && option.choices.every((value) => reasons[value]));
      return model.get("_blocked")[technique.name]?.reason || (dead ? Object.values(dead[1])[0] : "");
    },
    allowed(technique, option) {
      const refused = panel.refusedChoices(technique, option);
      return refused[option.default] ? option.choices.find((value) => !refused[value]) : option.default;
    },
    /** Whether figures are on their way that aren't known yet. */
    waits: (name) => panel.asking === name || (model.get("busy") && !model.get("effects")[name] && name !== "place"),
    /** What the effect shown is compared with. */
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

function render({ model, el }) {
  root(el, "recipe-panel");
  el.setAttribute("role", "region");
  el.setAttribute("aria-label", "Recipe");
  let panel = null;
  const error = h("p", { class: "wb-error", role: "alert", hidden: true });
  const showError = () => {
    const text = model.get("error");
    write(error, text);
    error.hidden = !text;
  };
  const build = () => {
    if (!model.get("_schema").techniques) {
      const bones = [118, 60, 60, 160].map((height) => h("div", { class: "wb-card wb-bone", style: `height: ${height}px` }));
      el.replaceChildren(error, h("p", { class: "wb-offscreen" }, "The toggles appear when the core has started."), ...bones);
      return;
    }
    panel = makePanel(model);
    const cards = [...panel.schema.techniques.map((technique) => techniqueCard(technique, panel)), placeCard(panel)];
    panel.update = () => cards.forEach((card) => card.update());
    el.replaceChildren(error, ...cards.map((card) => card.card));
    panel.update();
  };
  model.on("change:_schema", build);
  model.on("change:_shown", () => panel?.adopt());
  for (const part of ["effects", "_blocked"]) model.on(`change:${part}`, () => panel?.update());
  model.on("change:busy", () => panel?.update());
  model.on("change:error", showError);
  build();
  showError();
}

export default { render };
