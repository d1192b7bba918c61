/** @param {WaterfallBar} bar @param {{ name: string, key: string }} column */
function column(bar, { name, key }) {
  const style = `bottom: ${100 * bar.low}%; height: max(${100 * (bar.high - bar.low)}%, 2px)`;
  const because = bar.reason ? h("span", { class: "wb-offscreen" }, `: ${bar.reason}`) : null;
  const block = h("i", { class: "wb-fall-bar", "data-tone": bar.tone, "data-pending": bar.pending, style });
  return h(
    "li",
    { "data-step": key || null, title: `${name}: ${bar.reason || bar.text}` },
    h("span", { class: "wb-fall-area", "aria-hidden": "true" }, block),
    h("span", { class: "wb-fall-name" }, name),
    h("span", { class: "wb-fall-text", "data-tone": bar.tone }, bar.text, because),
  );
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
          bars.map((bar, i) => column(bar, columns[i])),
        ),
      ]),
    );
    el.replaceChildren(...(drawn ?? Array.from({ length: 3 }, () => h("section", {}))));
  });
}

export default { render };
