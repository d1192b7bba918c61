function figure(view, card) {
  const blue = colour(card, "--wb-blue");
  const x = view.points.map((point) => point[0]);
  const y = view.points.map((point) => point[1]);
  const last = { x: x.slice(-1), y: y.slice(-1), mode: "markers", marker: { color: blue, size: 8 }, hoverinfo: "skip" };
  const line = { x, y, mode: "lines", line: { color: blue, width: 2 }, hovertemplate: "epoch %{x:.2f}<br>loss %{y:.4f}<extra></extra>" };
  // both axes hold from the first point on: the whole training, and a loss that seldom rises above its first values
  const xaxis = axis(card, "epoch", { range: [0, Math.max(view.epochs, ...x)] });
  const yaxis = axis(card, "training loss", { range: [0, 1.15 * Math.max(...y)] });
  return { data: [line, last], layout: { xaxis, yaxis, margin: { l: 52, r: 14, t: 12, b: 40 } } };
}

function render({ model, el }) {
  root(el, "training-plot");
  const parts = chartCard(el, "Training, live");
  const chart = drawing(model, parts, () => (model.get("view").points?.length ? figure(model.get("view"), parts.card) : null));
  follow(model, ["view"], () => {
    const { points = [], progress = "", technique = "" } = model.get("view");
    write(parts.note, progress);
    write(parts.empty, points.length ? "" : "The loss appears here while a step of the recipe trains.");
    parts.drawing.setAttribute("aria-label", points.length ? `Training loss of ${technique}: ${progress}` : "Training loss");
    const few = points.filter((_, i) => i % Math.ceil(points.length / 20) === 0 || i === points.length - 1);
    if (parts.details.open || !points.length) parts.twin.replaceChildren(table("Training loss", ["epoch", "loss"], few.map(([epoch, loss]) => [epoch.toFixed(2), loss.toFixed(4)])));
    chart.redraw();
  });
  parts.details.addEventListener("toggle", () => model.trigger?.("change:view"));
  return chart.cleanUp;
}

export default { render };
