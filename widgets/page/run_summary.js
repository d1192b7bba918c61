const NOTHING =
  "What came of it, in words, once a recipe has been measured: the gain, what each step did, what is real.";
/** @type {Record<string, string>} */
const ARROWS = { better: "▲ ", worse: "▼ " };

/** @param {SummaryStep} step */
function stepOf({ title, what, text, tone, against }) {
  const named = h("dt", {}, h("b", {}, title), what ? ` ${what}` : null);
  const did = h("span", { class: "wb-did", "data-tone": tone }, `${ARROWS[tone] ?? ""}${text}`);
  return h("div", {}, named, h("dd", {}, did, against ? h("span", { class: "wb-note" }, ` ${against}`) : null));
}

/** @param {SummaryReality} told */
function realityOf({ reality, text, why }) {
  return h("li", {}, realityTag(reality), ` ${text}`, why ? h("span", { class: "wb-because" }, `: ${why}`) : null);
}

/** @param {string} title @param {HTMLElement} content */
function part(title, content) {
  return { el: h("div", { class: "wb-part" }, h("h3", {}, title), content), content };
}

/** @param {Rendered<RunSummaryTraits>} rendered */
function render({ model, el }) {
  root(el, "run-summary");
  const heading = h("h3", { class: "wb-run" });
  const clauses = h("p", { class: "wb-summed" });
  const [sentence, recalled] = [h("p", {}), h("p", { class: "wb-note" })];
  const [steps, real] = [part("What each step did", h("dl", {})), part("What is real", h("ul", {}))];
  const [notices, facts] = [part("To be known", h("ul", {})), part("Measured on", h("dl", { class: "wb-machine" }))];
  const empty = h("p", { class: "wb-empty" }, NOTHING);
  const [told, did] = [h("div", {}, heading, clauses, sentence, recalled), h("div", {}, steps.el, real.el)];
  const whole = h("div", { class: "wb-outcome" }, told, did, h("div", {}, notices.el, facts.el));
  el.append(h("div", { class: "wb-scroll", tabindex: "0", role: "region", "aria-label": "Summary" }, empty, whole));
  follow(model, ["view", "mark"], () => {
    const view = model.get("view");
    el.dataset.mark = model.get("mark");
    whole.hidden = !view.clauses.length;
    empty.hidden = view.clauses.length > 0;
    write(heading, view.heading);
    const said = view.clauses.flatMap(({ text, tone }, i) => [
      i ? " · " : null,
      h("span", { class: "wb-did", "data-tone": tone }, text),
    ]);
    const sure = view.sure.level
      ? h("span", { class: "wb-note", title: view.sure.title }, ` (${view.sure.text})`)
      : null;
    clauses.replaceChildren(h("span", {}, said, sure));
    write(sentence, view.sentence);
    write(recalled, view.recalled);
    steps.content.replaceChildren(...view.steps.map(stepOf));
    real.content.replaceChildren(...view.realities.map(realityOf));
    notices.content.replaceChildren(...view.notices.map((notice) => h("li", {}, notice)));
    const named = view.facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)));
    facts.content.replaceChildren(...named);
    for (const { el: section, content } of [steps, real, notices, facts]) section.hidden = !content.children.length;
  });
}

export default { render };
