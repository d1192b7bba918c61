const SIGNS = { better: "▲", worse: "▼", waiting: "…", failed: "✕" };

function card() {
  const parts = { label: h("h2", {}), value: h("p", { class: "wb-big" }), lines: [h("p", {}), h("p", {})] };
  parts.el = h("section", { class: "wb-card wb-figure" }, parts.label, parts.value, parts.lines);
  return parts;
}

function render({ model, el }) {
  root(el, "figures");
  const cards = Array.from({ length: 4 }, card);
  const sign = h("span", { class: "wb-sign", "aria-hidden": "true" });
  const words = h("span", {});
  const verdict = h("p", { class: "wb-verdict" }, sign, words);
  el.append(h("div", { class: "wb-cards" }, cards.map((each) => each.el)), verdict);
  follow(model, ["view"], () => {
    const { cards: shown = [], verdict: said = {}, recalled = "" } = model.get("view");
    shown.forEach((figure, i) => {
      const { el: box, label, value, lines } = cards[i];
      write(label, figure.label);
      write(value, figure.value);
      value.toggleAttribute("data-absent", figure.value === "—");
      value.dataset.tone = figure.tone;
      figure.arrow ? (value.dataset.arrow = figure.arrow) : delete value.dataset.arrow;
      value.classList.toggle("wb-words", /[a-z]{3}/.test(figure.value));
      lines.forEach((line, n) => write(line, figure.lines[n] ?? ""));
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
