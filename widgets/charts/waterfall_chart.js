/** @param {string} title @param {WaterfallBar} bar @param {{ name: string, key: string }} column */
function column(title, bar, { name, key }) {
  const style = `bottom: ${100 * bar.low}%; height: max(${100 * (bar.high - bar.low)}%, 2px)`;
  const look = { "data-tone": bar.tone, "data-pending": bar.pending };
  const because = bar.reason ? h("span", { class: "wb-offscreen" }, `: ${bar.reason}`) : null;
  const block = h("i", { class: "wb-fall-bar", "data-of": `${title}: ${key || name}`, ...look, style });
  return h(
    "li",
    { "data-step": key || null, title: `${name}: ${bar.reason || bar.text}` },
    h("span", { class: "wb-fall-area", "aria-hidden": "true" }, block),
    h("span", { class: "wb-fall-name" }, name),
    h("span", { class: "wb-fall-text", "data-tone": bar.tone }, bar.text, because),
  );
}

/** Where each bar stands, by what it is of. @param {HTMLElement} el @returns {[string, HTMLElement, Keyframe][]} */
function places(el) {
  const bars = /** @type {HTMLElement[]} */ ([...el.querySelectorAll(".wb-fall-bar")]);
  return bars.map((bar) => [bar.dataset.of ?? "", bar, { bottom: bar.style.bottom, height: bar.style.height }]);
}

/** Bars slide from where they stood. @param {HTMLElement} el @param {[string, HTMLElement, Keyframe][]} before */
function slide(el, before) {
  const stood = new Map(before.map(([of, , place]) => [of, place]));
  for (const [of, bar, place] of places(el)) {
    const from = stood.get(of);
    const moves = from && (from.bottom !== place.bottom || from.height !== place.height);
    if (moves) bar.animate([from, place], { duration: motionMs(), easing: "ease-out" });
  }
}

/** @param {Rendered<WaterfallChartTraits>} rendered */
function render({ model, el }) {
  root(el, "waterfall-chart");
  follow(model, ["view"], () => {
    const { columns, panels, stale } = model.get("view");
    el.dataset.mark = stale ? "stale" : "";
    const drawn = panels?.map(({ title, bars }) =>
      h("section", { "aria-label": `${title}, step by step` }, [
        h("p", { class: "wb-fall-title", "aria-hidden": "true" }, stale ? `${title}, of the run before` : title),
        h(
          "ol",
          {},
          bars.map((bar, i) => column(title, bar, columns[i])),
        ),
      ]),
    );
    const before = places(el);
    el.replaceChildren(...(drawn ?? Array.from({ length: 3 }, () => h("section", {}))));
    slide(el, before);
  });
}

export default { render };
