/** @type {Record<string, string>} */
const SIGNS = { better: "▲", worse: "▼", waiting: "…", failed: "✕" };

/** @type {Verdict} */
const NO_VERDICT = { tone: "", text: "" };

function card() {
  const [label, number, unit] = [h("h2", {}), h("span", {}), h("span", { class: "wb-unit" })];
  const [value, lines] = [h("p", { class: "wb-big" }, number, unit), [h("p", {}), h("p", {})]];
  const [said, short] = [h("span", { class: "wb-said" }), h("span", { class: "wb-short", "aria-hidden": "true" })];
  const direction = h("span", { class: "wb-direction" }, said, short);
  const head = h("div", { class: "wb-figure-head" }, label, direction);
  const [interval, one] = [h("i", {}), h("b", {})];
  const range = h("span", { class: "wb-range", "aria-hidden": "true", hidden: true }, interval, one);
  const el = h("section", { class: "wb-card wb-figure" }, head, value, lines, range);
  return { el, range, interval, one, label, number, unit, value, direction, said, short, lines };
}

/** @param {Rendered<FiguresTraits>} rendered */
function render({ model, el }) {
  root(el, "figures");
  const cards = Array.from({ length: 4 }, card);
  const sign = h("span", { class: "wb-sign", "aria-hidden": "true" });
  const words = h("span", {});
  const verdict = h("p", { class: "wb-verdict" }, sign, words);
  const boxes = cards.map((each) => each.el);
  el.append(h("div", { class: "wb-cards" }, boxes), verdict);
  follow(model, ["view"], () => {
    const { cards: shown = [], verdict: said = NO_VERDICT, recalled = "" } = model.get("view");
    shown.forEach((figure, i) => {
      const { el: box, range, interval, one, label, number, unit, value, direction, said, short, lines } = cards[i];
      write(label, figure.label);
      label.title = figure.label;
      const isNews = box.dataset.mark !== figure.mark; // not while calls are timed: it would take their time
      (isNews ? count : write)(number, figure.value);
      write(unit, figure.unit && ` ${figure.unit}`);
      write(said, figure.direction?.text ?? "");
      write(short, figure.direction?.short ?? "");
      direction.classList.toggle("wb-offscreen", Boolean(figure.direction?.obvious));
      value.toggleAttribute("data-absent", figure.form === "absent");
      value.dataset.tone = figure.tone;
      if (figure.arrow) value.dataset.arrow = figure.arrow;
      else delete value.dataset.arrow;
      value.classList.toggle("wb-words", figure.form === "words");
      for (const [n, line] of lines.entries()) write(line, figure.lines[n] ?? "");
      box.dataset.mark = figure.mark;
      range.hidden = !figure.range;
      if (!figure.range) return;
      interval.style.left = `${100 * figure.range.low}%`;
      interval.style.right = `${100 - 100 * figure.range.high}%`;
      one.style.left = `${100 * figure.range.one}%`;
    });
    write(words, recalled || said.text || "");
    write(sign, recalled ? "↺" : (SIGNS[said.tone] ?? (said.text ? "=" : "")));
    verdict.dataset.tone = recalled ? "recalled" : (said.tone ?? "");
    verdict.dataset.mark = recalled ? "" : (said.mark ?? "");
    verdict.title = words.textContent;
  });
}

export default { render };
