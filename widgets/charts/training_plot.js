/**
 * The loss curve with its last point.
 * @param {TrainingView} view
 * @param {HTMLElement} card
 * @returns {Figure | null}
 */
function figure({ points = [], epochs = 0 }, card) {
  if (!points.length) return null;
  const blue = colour(card, "--wb-blue");
  const x = points.map((point) => point[0]);
  const y = points.map((point) => point[1]);
  const last = { x: x.slice(-1), y: y.slice(-1), mode: "markers", marker: { color: blue, size: 8 }, hoverinfo: "skip" };
  const hovertemplate = "epoch %{x:.2f}<br>loss %{y:.4f}<extra></extra>";
  const line = { x, y, mode: "lines", line: { color: blue, width: 2 }, hovertemplate };
  // both axes hold from the first point on: the whole training, and a loss that seldom rises above its first values
  const xaxis = axis(card, "epoch", { range: [0, Math.max(epochs, ...x)] });
  const yaxis = axis(card, "training loss", { range: [0, 1.15 * Math.max(...y)] });
  return { data: [line, last], layout: { xaxis, yaxis, margin: { l: 52, r: 14, t: 12, b: 40 } } };
}

/** @param {Rendered<TrainingPlotTraits>} rendered */
function render({ model, el }) {
  root(el, "training-plot");
  const parts = chartCard(el, "Training, live");
  const chart = drawing(model, parts, () => figure(model.get("view"), parts.card));
  follow(model, ["view"], () => {
    const { points = [], progress = "", technique = "" } = model.get("view");
    write(parts.note, progress);
    write(parts.empty, points.length ? "" : "The loss appears here while a step of the recipe trains.");
    parts.drawing.setAttribute(
      "aria-label",
      points.length ? `Training loss of ${technique}: ${progress}` : "Training loss",
    );
    const few = points.filter((_, i) => i % Math.ceil(points.length / 20) === 0 || i === points.length - 1);
    const rows = few.map(([epoch, loss]) => [epoch.toFixed(2), loss.toFixed(4)]);
    if (parts.details.open || !rows.length) parts.twin.replaceChildren(table("Training loss", ["epoch", "loss"], rows));
    chart.redraw();
  });
  parts.details.addEventListener("toggle", () => model.trigger?.("change:view"));
  return chart.cleanUp;
}

export default { render };
