// Room for many techniques: those of a family fold, and where there are many, a search finds one.

const FEW = 6; // so many stand open without a search

/**
 * The cards of all techniques, by family.
 * @param {Schema} schema
 * @param {Panel} panel
 * @returns {{ els: HTMLElement[], update(): void }}
 */
function families(schema, panel) {
  const cards = new Map(schema.techniques.map((technique) => [technique.name, techniqueCard(technique, panel)]));
  const many = cards.size > FEW;
  const groups = schema.families.map(({ title, techniques }) => {
    const own = techniques.flatMap((name) => cards.get(name) ?? []);
    return familyGroup(title, own, !many);
  });
  const field = h("input", { type: "search", class: "wb-field", placeholder: "Find a technique" });
  field.setAttribute("aria-label", "Find a technique");
  const none = h("p", { class: "wb-note", role: "status" });
  const search = h("div", { class: "wb-search" }, field, none);
  const arrange = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = groups.map((group) => group.arrange(words));
    write(none, found.some(Boolean) ? "" : `No technique has “${field.value.trim()}” in its name or its help.`);
  };
  field.addEventListener("input", arrange);
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !field.value) return;
    event.preventDefault(); // it clears the search and closes nothing around it
    field.value = "";
    arrange();
  });
  const update = () => {
    for (const card of cards.values()) card.update();
    arrange();
  };
  return { els: [...(many ? [search] : []), ...groups.map((group) => group.el)], update };
}

/**
 * Techniques of one family under a heading that folds; one alone needs no heading. What is on is never folded away.
 * @param {string} title
 * @param {TechniqueCard[]} cards
 * @param {boolean} opens
 * @returns {{ el: HTMLElement, arrange(words: string[]): boolean }}
 */
function familyGroup(title, cards, opens) {
  let open = opens;
  const id = unique("family");
  const count = h("span", { class: "wb-said" });
  const name = h("span", { id }, title);
  const chevron = h("span", { class: "wb-icon", "data-icon": "unfold", "aria-hidden": "true" });
  const head = h("button", { type: "button", class: "wb-family-head", "aria-expanded": "true" }, name, count, chevron);
  head.hidden = cards.length < 2;
  const named = head.hidden ? {} : { role: "group", "aria-labelledby": id };
  const el = h("div", { class: "wb-family", ...named }, head, ...cards.map((card) => card.el));
  /** @type {string[]} */
  let searched = [];
  /** @param {string[]} words */
  const arrange = (words) => {
    searched = words;
    const unfolded = open || head.hidden || words.length > 0;
    head.setAttribute("aria-expanded", String(unfolded));
    const on = cards.filter((card) => card.isOn()).length;
    write(count, on ? `${on} of ${cards.length} on` : `${cards.length}`);
    const shown = cards.filter((card) => (words.length ? card.isFound(words) : unfolded || card.isOn()));
    for (const card of cards) card.el.hidden = !shown.includes(card);
    el.hidden = words.length > 0 && !shown.length;
    return !el.hidden;
  };
  head.addEventListener("click", () => {
    open = !open;
    arrange(searched);
  });
  return { el, arrange };
}
