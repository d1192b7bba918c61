const TIMED = "Timed layer by layer, in calls of their own: together they may take longer than the median call.";
const CEILING =
  "of the fastest this machine was measured to multiply, or to read memory where that is what takes longest";
const NOTHING =
  "Layer by layer: what changed, how long it takes, how far its output is off. It comes with the first figures of a run.";

const HEAD = ["layer", "before → after", "weights", "time, µs", "share of ceiling", "output error", "real or not"];
const NUMBERS = new Set(["weights", "share of ceiling", "output error"]);

/** A button at the beginning of a row that unfolds what belongs to it. @type {(name: string, open: boolean, data: Record<string, string>) => HTMLElement} */
function unfolding(name, open, data) {
  return h("button", { type: "button", class: "wb-unfold", "aria-expanded": String(open), ...data }, name);
}

/** @type {(share: number, look: string) => HTMLElement} */
function bar(share, look) {
  return h("i", { class: look, style: `width: ${Math.round(100 * share)}%` });
}

/** @param {LayerRow} layer */
function timeOf(layer) {
  const bars = [layer.was ? bar(layer.was_share, "wb-was") : null, bar(layer.share, "wb-now")];
  const drawn = h("span", { class: "wb-bar", "aria-hidden": "true" }, bars);
  const was = layer.was ? h("span", { class: "wb-before" }, `was ${layer.was}`) : null;
  const spent = h("span", { class: "wb-number" }, layer.time);
  return h("td", { class: "wb-time", title: layer.time_reason || null }, spent, drawn, was);
}

/** @param {LayerRow} layer @param {boolean} open */
function rowOf(layer, open) {
  const row = h(
    "tr",
    { class: open ? "wb-open" : null },
    h(
      "th",
      { scope: "row" },
      unfolding(layer.layer, open, { "data-layer": layer.layer }),
      h("span", { class: "wb-op" }, layer.op),
    ),
    h("td", {}, layer.change),
    h("td", { class: "wb-number" }, layer.weights),
    timeOf(layer),
    h("td", { class: "wb-number", title: layer.bounded ? CEILING : null }, layer.ceiling),
    h("td", { class: "wb-number" }, layer.error),
    h("td", {}, realityTag(layer.reality)),
  );
  return nameCells(row, HEAD);
}

/** The list in which a layer is given a scheme of its own. @param {LayerSchemes} schemes */
function schemeOf({ layer, choices, own, general, refused }) {
  const among = [["", `as the others: ${general}`], ...choices.map((choice) => [choice, choice])];
  const options = among.map(([value, text]) => {
    const why = refused[value];
    return h("option", { value, selected: value === own, disabled: Boolean(why) }, why ? `${text}: ${why}` : text);
  });
  return h("select", { class: "wb-field", "data-scheme-of": layer, "aria-label": `Scheme of ${layer}` }, options);
}

/** What a row unfolds to: the layer's scheme, its receipt and its weights. @param {LayerRow} layer @param {LayerTableTraits["detail"]} detail @param {LayerTableTraits["schemes"]} schemes */
function receiptOf(layer, detail, schemes) {
  const choosable = layer.weighs && schemes.layer === layer.layer;
  /** @type {[string, Child][]} */
  const facts = [
    ["scheme", choosable ? schemeOf(/** @type {LayerSchemes} */ (schemes)) : ""],
    ["weights before", layer.before],
    ["weights after", layer.after],
    ["computed in", layer.compute],
    ["kernel", h("code", {}, layer.kernel)],
    ["why", layer.reason],
    ["no time", layer.timed ? "" : layer.time_reason],
  ];
  const told = facts
    .filter(([, value]) => value)
    .map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)));
  const drawn = h("div", { class: "wb-numbers" }, numbersOf(detail, layer.layer));
  const look = { class: "wb-unfolded", role: "group", "aria-label": `Receipt of ${layer.layer}` };
  return h(
    "tr",
    { class: "wb-under" },
    h("td", { colspan: HEAD.length }, h("div", look, h("dl", { class: "wb-receipt" }, told), drawn)),
  );
}

/** What stands for several small layers of one fate. @param {string} group @param {boolean} open */
function groupRow(group, open) {
  return h(
    "tr",
    { class: "wb-group" },
    h("th", { scope: "row", colspan: HEAD.length }, unfolding(group, open, { "data-group": group })),
  );
}

/** Draw anew; who was at a button that unfolds or at a list still is. @param {HTMLElement} body @param {() => void} draw */
function keepingFocus(body, draw) {
  const focused = /** @type {HTMLElement | null} */ (document.activeElement);
  const { layer, group, schemeOf } = (body.contains(focused) && focused?.dataset) || {};
  draw();
  if (!layer && !group && !schemeOf) return;
  const controls = [.../** @type {NodeListOf<HTMLElement>} */ (body.querySelectorAll(".wb-unfold, [data-scheme-of]"))];
  const same = controls.find(
    ({ dataset }) => dataset.layer === layer && dataset.group === group && dataset.schemeOf === schemeOf,
  );
  same?.focus();
}

/** @param {Rendered<LayerTableTraits>} rendered */
function render({ model, el }) {
  root(el, "layer-table");
  const columns = HEAD.map((title) => h("th", { scope: "col", class: NUMBERS.has(title) ? "wb-number" : null }, title));
  const body = h("tbody", {});
  const caption = h("caption", { class: "wb-offscreen" }, "What became of each layer");
  const head = h("thead", {}, h("tr", {}, columns));
  const whole = h("table", { class: "wb-table wb-stacks wb-layers" }, caption, head, body);
  const empty = h("p", { class: "wb-empty" }, NOTHING);
  const note = h("p", { class: "wb-note" });
  el.append(
    h("div", { class: "wb-scroll", tabindex: "0", role: "region", "aria-label": "Layers" }, empty, whole, note),
  );
  /** The groups that are unfolded in this view. @type {Set<string>} */
  const opened = new Set();
  const listed = () => {
    const [rows, selected] = [model.get("rows"), model.get("selected")];
    const holding = rows.find((layer) => layer.layer === selected)?.group;
    const begun = new Set();
    return rows.flatMap((layer) => {
      const open = layer.layer === selected;
      const own = open
        ? [rowOf(layer, true), receiptOf(layer, model.get("detail"), model.get("schemes"))]
        : [rowOf(layer, false)];
      if (!layer.group) return own;
      const unfolded = opened.has(layer.group) || layer.group === holding;
      const first = begun.has(layer.group) ? [] : [groupRow(layer.group, unfolded)];
      begun.add(layer.group);
      return unfolded ? [...first, ...own] : first;
    });
  };
  const draw = () => {
    const rows = model.get("rows");
    el.dataset.mark = model.get("mark");
    whole.hidden = !rows.length;
    empty.hidden = rows.length > 0;
    const untimed = rows.length && !rows.some((layer) => layer.timed) ? rows[0].time_reason : "";
    write(note, untimed ? `No time for single layers: ${untimed}.` : rows.length ? TIMED : "");
    keepingFocus(body, () => body.replaceChildren(...listed()));
  };
  body.addEventListener("change", (event) => {
    const list = /** @type {HTMLSelectElement} */ (event.target);
    const { schemeOf: layer } = list.dataset;
    if (layer) send(model, "asked", { layer, choice: list.value, at: Date.now() });
  });
  body.addEventListener("click", (event) => {
    const { layer, group } = targetOf(event).dataset;
    if (layer) send(model, "selected", layer === model.get("selected") ? "" : layer);
    if (!group) return;
    const holds = model.get("rows").some((each) => each.group === group && each.layer === model.get("selected"));
    if (holds || opened.has(group)) opened.delete(group);
    else opened.add(group);
    if (holds) send(model, "selected", "");
    draw();
  });
  /** Bring the unfolded row into sight: what it unfolds to, and in any case itself. */
  const bring = () => {
    for (const shown of [".wb-under", ".wb-open"]) body.querySelector(shown)?.scrollIntoView({ block: "nearest" });
  };
  model.on("change:detail", () => {
    const numbers = numbersOf(model.get("detail"), model.get("selected"));
    body.querySelector(".wb-numbers")?.replaceChildren(...numbers);
    if (numbers.length && model.get("detail").sides) bring();
  });
  follow(model, ["rows", "mark", "schemes"], draw);
  follow(model, ["selected"], () => {
    draw();
    bring();
  });
}

export default { render };
