// A step of the pipeline: one line that says what it does, its share of what was reached, and what unfolds below.

/**
 * @param {{ name: string, title: string, heading: HTMLElement, about: Child[], body: HTMLElement | null }} parts
 * @returns {StepCard}
 */
function stepCard({ name, title, heading, about, body }) {
  const said = h("span", { class: "wb-said" });
  const effect = h("span", { class: "wb-effect", id: unique("effect") });
  const against = h("span", { class: "wb-against" });
  const share = h("p", { class: "wb-share" }, effect, against);
  const help = h("div", { class: "wb-about", id: unique("about"), hidden: true }, about);
  const ask = disclosure(`What ${title} does`, help, "?");
  ask.hidden = !about.length;
  /** @type {boolean | null} */
  let byHand = null; // as the person has left it; null: as its toggle has it
  let opens = false;
  const unfold = h("button", { type: "button", class: "wb-plain wb-icon", "data-icon": "unfold", title: "Options" });
  unfold.setAttribute("aria-label", `Options of ${title}`);
  unfold.hidden = !body;
  if (body) body.id ||= unique("options");
  setOrRemove(unfold, "aria-controls", body?.id);
  const head = h("div", { class: "wb-toggle" }, heading, said, ask, unfold);
  const look = { class: "wb-card wb-stage", "aria-label": title, "data-step": name };
  const el = h("section", look, head, share, help, body);
  const fold = () => {
    const open = byHand ?? opens;
    if (body) body.hidden = !open;
    unfold.setAttribute("aria-expanded", String(open));
    against.hidden = !open;
    el.toggleAttribute("data-open", open && Boolean(body));
  };
  unfold.addEventListener("click", () => {
    byHand = !(byHand ?? opens);
    fold();
  });
  return {
    el,
    effect,
    show(shown) {
      if (shown.opens !== opens) byHand = null;
      opens = shown.opens;
      el.toggleAttribute("data-on", shown.on);
      write(said, shown.said);
      fold();
    },
    tell(panel, of, on) {
      panel.describe(effect, of, on);
      write(against, panel.against(of, on));
      share.hidden = !effect.textContent;
    },
  };
}

/** What an option does; "kind: what it is; …" as a line for each kind. @type {(title: string, help: string) => HTMLElement[]} */
function explanation(title, help) {
  const kinds = help.split("; ").map((line) => line.split(": "));
  if (kinds.length === 1 || kinds.some((parts) => parts.length !== 2))
    return [h("p", {}, h("b", {}, title), `: ${help}`)];
  const lines = kinds.map(([kind, said]) => h("li", {}, h("b", {}, kind), `: ${said}`));
  return [h("p", {}, h("b", {}, title)), h("ul", {}, lines)];
}

/**
 * A small button that shows and hides a part below it.
 * @param {string} label
 * @param {HTMLElement} part
 * @param {string} sign
 */
function disclosure(label, part, sign) {
  const look = { type: "button", class: "wb-plain", "aria-label": label, title: label, "aria-controls": part.id };
  const button = h("button", { ...look, "aria-expanded": "false" }, sign);
  button.addEventListener("click", () => {
    part.hidden = !part.hidden;
    button.setAttribute("aria-expanded", String(!part.hidden));
  });
  return button;
}

/** Where a pipeline begins. @param {Model<RecipePanelTraits>} model @returns {Card} */
function modelCard(model) {
  const about = h("p", {});
  const card = stepCard({ name: "", title: "Model", heading: h("h2", {}, "Model"), about: [about], body: null });
  card.el.removeAttribute("data-step");
  const update = () => {
    const { name = "", description = "" } = model.get("model");
    write(about, description || "Its description appears when the core has started.");
    card.show({ on: true, opens: false, said: name });
    card.el.querySelector(".wb-share")?.toggleAttribute("hidden", true);
  };
  return { el: card.el, update };
}

/**
 * A technique: its toggle, what it does and has done, its options and its help.
 * @param {Technique} technique
 * @param {Panel} panel
 * @returns {TechniqueCard}
 */
function techniqueCard(technique, panel) {
  const { name, title, options: declared } = technique;
  const look = { type: "button", role: "switch", class: "wb-switch", "aria-checked": "false", title: technique.help };
  const toggle = h("button", look, h("span", { class: "wb-track", "aria-hidden": "true" }), title);
  /** What a person set it to, as long as it is off; defaults may be others by then. @type {Record<string, OptionValue>} */
  const remembered = {};
  /** @param {Recipe} recipe */
  const putIn = (recipe) => {
    /** @type {Step} */
    const step = { do: name };
    for (const option of declared) {
      const before = remembered[option.name]; // what was chosen for another model may be refused for this one
      const refused = before === undefined || panel.refusedChoices(technique, option)[String(before)];
      step[option.name] = refused ? panel.initialValue(technique, step, option) : before;
    }
    insert(recipe, technique, step);
  };
  toggle.addEventListener("click", () => {
    if (toggle.getAttribute("aria-disabled")) return;
    panel.edit(({ recipe }) => {
      const step = stepOf(recipe, name);
      if (step) {
        for (const option of declared) {
          if (step[option.name] === defaultOf(technique, step, option)) delete remembered[option.name];
          else remembered[option.name] = step[option.name];
        }
        recipe.steps = recipe.steps.filter((other) => other !== step);
      } else putIn(recipe);
    }, name);
  });
  const waits = () => trains(technique, stepOf(panel.recipe, name));
  const options = declared.map((option) => {
    /** @param {OptionValue} value */
    const change = (value) => {
      const on = stepOf(panel.recipe, name);
      if (!on && panel.refusal(technique)) return panel.update();
      panel.edit(({ recipe }) => {
        if (!on) putIn(recipe); // who chooses how it is done has it done
        setOption(recipe, technique, option, value);
      }, name);
    };
    const own = control(option, change, waits, panel.unit);
    own.el.title = option.help;
    return { option, control: own };
  });
  const why = h("p", { class: "wb-why", id: unique("why"), hidden: true });
  const body = h("div", { class: "wb-options" }, ...options.map((each) => each.control.el));
  const explained = declared.flatMap(({ title, help }) => explanation(title, help));
  const about = [...technique.about.map((paragraph) => h("p", {}, paragraph)), ...explained];
  const card = stepCard({ name, title, heading: toggle, about, body });
  body.before(why);
  const update = () => {
    const step = stepOf(panel.recipe, name);
    const refused = step ? "" : panel.refusal(technique);
    toggle.setAttribute("aria-checked", String(Boolean(step)));
    setOrRemove(toggle, "aria-disabled", refused && "true");
    toggle.setAttribute("aria-describedby", refused ? why.id : card.effect.id);
    write(why, refused);
    why.hidden = !refused;
    for (const { option, control } of options) {
      control.el.hidden = !matters(technique, step, option);
      const most = maximum(technique, step, option);
      if (most !== null) control.limit?.(most);
      control.set(valueIn(step, option));
      if (option.choices.length) control.refuse(panel.refusedChoices(technique, option));
    }
    card.show({ on: Boolean(step), opens: Boolean(step), said: step ? panel.said(name) : panel.off(name) });
    card.tell(panel, name, Boolean(step));
  };
  const text = [title, technique.family, ...technique.about].join(" ").toLowerCase();
  return {
    el: card.el,
    update,
    isOn: () => Boolean(stepOf(panel.recipe, name)),
    isFound: (words) => words.every((word) => text.includes(word)),
  };
}
