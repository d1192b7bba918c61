const SIDES = { only: "one layer alone in the scheme", all_but: "all layers but one" };
const FIGURES = { loss: "loss of quality", error: "error of the outputs" };

/** A set of radio buttons in one line. @type {(legend: string, among: Record<string, string>, at: string, choose: (name: string) => void) => HTMLElement} */
function choiceOf(legend, among, at, choose) {
  const name = unique("sensitivity");
  const labels = Object.entries(among).map(([value, text]) => {
    const radio = h("input", { type: "radio", name, value, checked: value === at, onchange: () => choose(value) });
    return h("label", {}, radio, text);
  });
  return h("fieldset", {}, h("legend", { class: "wb-offscreen" }, legend), labels);
}

/** @type {(cell: SensitivityCell, layer: string, chosen: string, shown: SensitivityShown) => HTMLElement} */
function cellOf(cell, layer, chosen, { side, figure }) {
  if (cell.reason)
    return h("td", { title: cell.reason }, h("span", { class: "wb-none", "aria-label": cell.reason }, "·"));
  const effect = cell[side];
  const { text, tone, share } = effect[figure];
  const own = cell.scheme === chosen;
  const title = [`${layer} in ${cell.scheme}`, effect.told, cell.own].filter(Boolean).join("; ");
  const look = { type: "button", class: "wb-cell", "data-layer": layer, "data-scheme": cell.scheme };
  const told = {
    "data-tone": tone,
    style: `--share: ${share}`,
    title,
    "aria-label": title,
    "aria-pressed": String(own),
  };
  return h("td", {}, h("button", { ...look, ...told }, text || "…"));
}

/** @type {(found: SensitivityFound, chosen: Record<string, string>, shown: SensitivityShown) => HTMLElement} */
function tableOf(found, chosen, shown) {
  const columns = found.schemes.map((scheme) => h("th", { scope: "col" }, scheme));
  const time = found.timed ? h("th", { scope: "col", class: "wb-number" }, "time now") : null;
  const rows = found.rows.map((row) => {
    const cells = row.cells.map((cell) => cellOf(cell, row.layer, chosen[row.layer] ?? "", shown));
    const spent = found.timed ? h("td", { class: "wb-number" }, row.time) : null;
    return h("tr", {}, h("th", { scope: "row" }, row.layer), spent, cells);
  });
  const caption = h("caption", { class: "wb-offscreen" }, `${found.loss}: ${SIDES[shown.side]}`);
  const head = h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "layer"), time, columns));
  return h("table", { class: "wb-table wb-sensitivity" }, caption, head, h("tbody", {}, rows));
}

/** @param {Rendered<SensitivityMapTraits>} rendered */
function render({ model, el }) {
  root(el, "sensitivity-map");
  /** @type {SensitivityShown} */
  const shown = { side: "only", figure: "loss" };
  const empty = h("p", { class: "wb-empty" });
  const summary = h("p", { class: "wb-note", role: "status" });
  const map = h("div", {});
  /** Whether a cell is being pressed: one that is replaced meanwhile gets no click. */
  let held = false;
  const draw = () => {
    if (held) return;
    const view = model.get("view");
    const found = "rows" in view ? view : null;
    write(empty, "empty" in view ? view.empty : "");
    tools.hidden = !found;
    if (!found) return map.replaceChildren();
    const what = shown.figure === "loss" ? found.loss : "‖outputs − exact‖ / ‖exact‖";
    const done = found.progress ? ` · ${found.progress}` : "";
    write(summary, `${what} · ${found.examples}${done} · click a cell to ask for its scheme`);
    const focused = /** @type {HTMLElement | null} */ (document.activeElement);
    const { layer, scheme } = (map.contains(focused) && focused?.dataset) || {};
    map.replaceChildren(tableOf(found, model.get("chosen"), shown));
    const cells = [.../** @type {NodeListOf<HTMLElement>} */ (map.querySelectorAll(".wb-cell"))];
    if (layer)
      cells.find(({ dataset }) => dataset.layer === layer && dataset.scheme === scheme)?.focus({ preventScroll: true });
  };
  const sides = choiceOf("What is in the scheme", SIDES, shown.side, (side) => {
    shown.side = /** @type {SensitivityShown["side"]} */ (side);
    draw();
  });
  const figures = choiceOf("What is shown", FIGURES, shown.figure, (figure) => {
    shown.figure = /** @type {SensitivityShown["figure"]} */ (figure);
    draw();
  });
  const tools = h("div", { class: "wb-sensitivity-tools" }, sides, figures, summary);
  const region = { tabindex: "0", role: "region", "aria-label": "Sensitivity" };
  el.append(h("div", { class: "wb-scroll", ...region }, empty, tools, map));
  map.addEventListener("pointerdown", () => {
    held = true;
    const released = () => {
      held = false;
      setTimeout(draw); // after the click
    };
    for (const end of ["pointerup", "pointercancel"]) addEventListener(end, released, { once: true });
  });
  map.addEventListener("click", (event) => {
    const cell = targetOf(event).closest(".wb-cell");
    if (!(cell instanceof HTMLElement)) return;
    const { layer = "", scheme = "" } = cell.dataset;
    send(model, "pressed", { layer, scheme, at: Date.now() });
  });
  follow(model, ["mark"], () => {
    el.dataset.mark = model.get("mark");
  });
  follow(model, ["view", "chosen"], draw);
}

export default { render };
