const TIMED = "Timed layer by layer, in calls of their own: together they may take longer than the median call.";
const CEILING =
  "of the fastest this machine was measured to multiply, or to read memory where that is what takes longest";

const NUMBERS = new Set(["weights", "share of ceiling", "output error"]);

/** @param {LayerRow} layer */
function rowOf(layer) {
  const filled = h("i", { style: `width: ${Math.round(100 * layer.share)}%` });
  const bar = h("span", { class: "wb-bar", "aria-hidden": "true" }, filled);
  const spent = h("span", { class: "wb-number" }, layer.time);
  const time = h("td", { class: "wb-time", title: layer.time_reason || null }, spent, bar);
  const words = layer.kernel.split(/(?<=_)/).map((part) => [part, h("wbr")]);
  const because = layer.reason ? h("span", { class: "wb-because", title: layer.reason }, layer.reason) : null;
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, layer.layer, h("span", { class: "wb-op" }, layer.op)),
    h("td", {}, layer.change),
    h("td", { class: "wb-number" }, layer.weights),
    time,
    h("td", { class: "wb-number", title: layer.bounded ? CEILING : null }, layer.ceiling),
    h("td", { class: "wb-number" }, layer.error),
    h("td", { class: "wb-kernel" }, h("code", { title: layer.kernel }, words)),
    h("td", {}, realityTag(layer.reality), because),
  );
}

/** @param {Rendered<LayerTableTraits>} rendered */
function render({ model, el }) {
  root(el, "layer-table");
  const measured = ["weights", "time, µs", "share of ceiling", "output error"];
  const head = ["layer", "before → after", ...measured, "kernel", "real or not, and why"];
  const columns = head.map((title) => h("th", { scope: "col", class: NUMBERS.has(title) ? "wb-number" : null }, title));
  const body = h("tbody", {});
  const caption = h("caption", { class: "wb-offscreen" }, "What became of each layer");
  const whole = h("table", { class: "wb-table wb-layers" }, caption, h("thead", {}, h("tr", {}, columns)), body);
  const empty = h(
    "p",
    { class: "wb-empty" },
    "Layer by layer: what changed, how long it takes, how far its output is off. It comes with the first figures of a run.",
  );
  const note = h("p", { class: "wb-note" });
  el.append(
    h("div", { class: "wb-scroll", tabindex: "0", role: "region", "aria-label": "Layers" }, empty, whole, note),
  );
  follow(model, ["rows", "mark"], () => {
    const rows = model.get("rows");
    el.dataset.mark = model.get("mark");
    whole.hidden = !rows.length;
    empty.hidden = rows.length > 0;
    const untimed = rows.length && !rows.some((layer) => layer.timed) ? rows[0].time_reason : "";
    write(note, untimed ? `No time for single layers: ${untimed}.` : rows.length ? TIMED : "");
    body.replaceChildren(...rows.map(rowOf));
  });
}

export default { render };
