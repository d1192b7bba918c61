// What follows from a recipe and from what Python says of its techniques: documents in, documents out, no elements.

const UNCHANGED = "fp32"; // the precision of a recipe that asks for none

/** @type {(recipe: Recipe, name: string) => Step | undefined} */
const stepOf = (recipe, name) => recipe.steps.find((step) => step.do === name);

/** @type {(step: Step | undefined, option: Option) => OptionValue} */
const valueIn = (step, option) => step?.[option.name] ?? option.default;

/**
 * The value of an option by its name, also of one that has no control.
 * @param {Technique} technique
 * @param {Step | undefined} step
 * @param {string} name
 */
function valueNamed(technique, step, name) {
  const declared = technique.options.find((option) => option.name === name);
  return declared ? valueIn(step, declared) : (step?.[name] ?? null);
}

/**
 * Whether an option makes a difference beside the others' values.
 * @param {Technique} technique
 * @param {Step | undefined} step
 * @param {Option} option
 */
function matters(technique, step, option) {
  return Object.entries(option.when).every(([other, values]) => values.includes(valueNamed(technique, step, other)));
}

/**
 * The largest value of an option beside the others' values; null where there is no limit.
 * @param {Technique} technique
 * @param {Step | undefined} step
 * @param {Option} option
 */
function maximum(technique, step, option) {
  let most = option.maximum;
  for (const [other, maxima] of Object.entries(option.maximum_when))
    most = maxima[String(valueNamed(technique, step, other))] ?? most;
  return most;
}

/**
 * Whether a step takes training.
 * @param {Technique} technique
 * @param {Step | undefined} step
 */
function trains(technique, step) {
  return technique.options.some((option) => option.trains && Number(valueIn(step, option)) > 0);
}

/**
 * What the recipe asks the layers to be computed in.
 * @param {Recipe} recipe
 * @param {Schema} schema
 */
function precisionOf(recipe, schema) {
  const asked = recipe.steps.flatMap((step) => {
    const options = schema.techniques.find((technique) => technique.name === step.do)?.options ?? [];
    return options.map((option) => option.choices.find(({ value }) => value === valueIn(step, option))?.precision);
  });
  return asked.filter(Boolean).at(-1) ?? UNCHANGED;
}

/**
 * All that layers are to be computed in: that, and what the recipe asks of single ones.
 * @param {Recipe} recipe
 * @param {Schema} schema
 */
function precisionsOf(recipe, schema) {
  const single = recipe.steps.flatMap((step) => {
    const mappings = schema.techniques.find((technique) => technique.name === step.do)?.mappings ?? [];
    return mappings.flatMap((name) => Object.values(/** @type {object} */ (step[name] ?? {})));
  });
  return [precisionOf(recipe, schema), ...single];
}

/**
 * Put a new step where Python says that its technique belongs among the others.
 * @param {Recipe} recipe
 * @param {Technique} technique
 * @param {Step} step
 */
function insert(recipe, technique, step) {
  const at = recipe.steps.findIndex((other) => technique.later.includes(other.do));
  recipe.steps.splice(at < 0 ? recipe.steps.length : at, 0, step);
}

/**
 * The default of an option beside the others' values.
 * @param {Technique} technique
 * @param {Step | undefined} step
 * @param {Option} option
 */
function defaultOf(technique, step, option) {
  for (const [other, defaults] of Object.entries(option.default_when)) {
    const asked = defaults[String(valueNamed(technique, step, other))];
    if (asked !== undefined) return asked;
  }
  return option.default;
}

/**
 * Set an option of a step; others whose limit or default depends on it stay within theirs and at theirs.
 * @param {Recipe} recipe
 * @param {Technique} technique
 * @param {Option} option
 * @param {OptionValue} value
 */
function setOption(recipe, technique, option, value) {
  const step = stepOf(recipe, technique.name);
  if (!step) return;
  const untouched = technique.options.filter((other) => step[other.name] === defaultOf(technique, step, other));
  step[option.name] = value;
  if (option.choices.some(({ precision }) => precision)) applyToAll(step, technique);
  for (const other of untouched) if (other !== option) step[other.name] = defaultOf(technique, step, other);
  for (const other of technique.options) {
    const most = maximum(technique, step, other);
    if (most !== null && Number(step[other.name]) > most) step[other.name] = most;
    const optional = other.trains || other.default === null; // to be refused where it makes no difference
    if (optional && !matters(technique, step, other)) step[other.name] = other.default;
  }
}

/**
 * Have budgets begin with the loss that is accepted.
 * @param {Schema} schema
 * @param {number} share
 */
function beginWithAccepted(schema, share) {
  const budgets = schema.techniques.flatMap(({ options }) => options.filter(({ control }) => control === "stepper"));
  for (const { default_when } of budgets)
    for (const defaults of Object.values(default_when))
      for (const choice of Object.keys(defaults)) defaults[choice] = share;
}

/**
 * Take back that all layers but some stay as they are: what is asked now is asked of all.
 * @param {Step} step
 * @param {Technique} technique
 */
function applyToAll(step, technique) {
  for (const name of technique.mappings) {
    const { "*": _, ...others } = /** @type {Record<string, string>} */ (/** @type {unknown} */ (step[name] ?? {}));
    step[name] = /** @type {any} */ (others);
  }
}

/**
 * What an engine refuses on the device of a place, by precision.
 * @param {Engine} engine
 * @param {Place} place
 * @returns {Record<string, string | undefined>}
 */
function refusals(engine, place) {
  return engine.refuses[place.device] ?? {};
}

/**
 * Why an engine can't run all of some precisions on the device of a place.
 * @param {Engine} engine
 * @param {Place} place
 * @param {string[]} precisions
 */
function refusalOf(engine, place, precisions) {
  return precisions.map((each) => refusals(engine, place)[each]).find(Boolean);
}

/**
 * Choose a device. An engine that can't run there gives way to the best one that can.
 * @param {Asked} asked
 * @param {string} device
 * @param {Schema} schema
 */
function chooseDevice(asked, device, schema) {
  const { place } = asked.recipe;
  place.device = device;
  /** @type {(name: string, precisions: string[]) => boolean} */
  const refuses = (name, precisions) =>
    schema.engines.some((engine) => engine.name === name && refusalOf(engine, place, precisions));
  if (refuses(place.engine, precisionsOf(asked.recipe, schema))) place.engine = "auto";
  if (refuses(asked.baseline, [UNCHANGED])) asked.baseline = "auto";
}

/**
 * The engines that may run a recipe, best first: the one chosen, or with "auto" several.
 * @param {Recipe} recipe
 * @param {Schema} schema
 */
function candidates(recipe, schema) {
  const { engine } = recipe.place;
  const names = engine === "auto" ? schema.preferred : [engine];
  return names.flatMap((name) => schema.engines.filter((each) => each.name === name));
}

/**
 * Why not, by name.
 * @template {{ name: string }} Named
 * @param {Named[]} all
 * @param {(one: Named) => string | null | undefined} why
 * @returns {Reasons}
 */
function reasonsBy(all, why) {
  return Object.fromEntries(all.map((one) => [one.name, why(one)]));
}

/**
 * The choices of an option that could do nothing to this model, or that none of the engines can run, with the reason.
 * @param {Option} option
 * @param {Recipe} recipe
 * @param {Schema} schema
 * @param {Blocked | undefined} blocked
 * @returns {Reasons}
 */
function refusedChoices(option, recipe, schema, blocked) {
  const byEngine = candidates(recipe, schema).map((engine) => refusals(engine, recipe.place));
  const reasons = option.choices.flatMap(({ value, precision }) => {
    const refused = precision && byEngine.length && byEngine.every((reason) => reason[precision]);
    return refused ? [[value, byEngine[0][precision]]] : [];
  });
  return { ...Object.fromEntries(reasons), ...blocked?.choices[option.name] };
}

/**
 * Why a technique could do nothing here: nothing to this model, or each choice of one option is refused.
 * @param {Technique} technique
 * @param {Recipe} recipe
 * @param {Schema} schema
 * @param {Blocked | undefined} blocked
 */
function refusal(technique, recipe, schema, blocked) {
  if (blocked?.reason) return blocked.reason;
  for (const option of technique.options) {
    const reasons = refusedChoices(option, recipe, schema, blocked);
    const dead = option.choices.length && option.choices.every(({ value }) => reasons[value]);
    if (dead) return Object.values(reasons)[0] ?? "";
  }
  return "";
}

/**
 * An option's value in a new step: its default, or the first choice that isn't refused.
 * @param {Option} option
 * @param {OptionValue} preferred
 * @param {Reasons} refused
 */
function initialValue(option, preferred, refused) {
  if (!refused[String(preferred)]) return preferred;
  return option.choices.find(({ value }) => !refused[value])?.value ?? preferred;
}
