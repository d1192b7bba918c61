/** @type {Record<string, string>} */
const SIGNS = { better: "▲", worse: "▼", waiting: "…", failed: "✕" };

/** @type {Verdict} */
const NO_VERDICT = { tone: "", text: "" };

function card() {
  const [label, value, lines] = [h("h2", {}), h("p", { class: "wb-big" }), [h("p", {}), h("p", {})]];
  const el = h("section", { class: "wb-card wb-figure" }, label, value, lines);
  return { el, label, value, lines };
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
      const { el: box, label, value, lines } = cards[i];
      write(label, figure.label);
      write(value, figure.value);
      value.toggleAttribute("data-absent", figure.form === "absent");
      value.dataset.tone = figure.tone;
      if (figure.arrow) value.dataset.arrow = figure.arrow;
      else delete value.dataset.arrow;
      value.classList.toggle("wb-words", figure.form === "words");
      for (const [n, line] of lines.entries()) write(line, figure.lines[n] ?? "");
      box.dataset.mark = figure.mark;
    });
    write(words, recalled || said.text || "");
    write(sign, recalled ? "↺" : (SIGNS[said.tone] ?? (said.text ? "=" : "")));
    verdict.dataset.tone = recalled ? "recalled" : (said.tone ?? "");
    verdict.dataset.mark = recalled ? "" : (said.mark ?? "");
    verdict.title = words.textContent;
  });
}

export default { render };
