const RIGHT = { overlaying: "y", side: "right", tickmode: "auto", nticks: 5, showgrid: false };

/** @param {[epoch: number, quality: number, low: number, high: number][]} estimates */
function reach(estimates) {
  const low = Math.min(...estimates.map((each) => each[2]));
  const high = Math.max(...estimates.map((each) => each[3]));
  const room = 0.08 * (high - low) || Math.abs(high) / 100;
  return [low - room, high + room];
}

/**
 * The loss curve with its last point, and what the quality is estimated at on the way.
 * @param {TrainingView} view
 * @param {HTMLElement} card
 * @returns {Figure | null}
 */
function figure({ points = [], estimates = [], metric = "", epochs = 0 }, card) {
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
  const margin = { l: 52, r: estimates.length ? 58 : 14, t: 12, b: 40 };
  const layout = { xaxis, yaxis, margin };
  if (!estimates.length) return { data: [line, last], layout };
  const beside = axis(card, metric, { ...RIGHT, range: reach(estimates) });
  return { data: [line, last, estimated(estimates, card)], layout: { ...layout, yaxis2: beside } };
}

/**
 * @param {[epoch: number, quality: number, low: number, high: number][]} estimates
 * @param {HTMLElement} card
 */
function estimated(estimates, card) {
  const orange = colour(card, "--wb-orange");
  return {
    x: estimates.map(([epoch]) => epoch),
    y: estimates.map(([, quality]) => quality),
    error_y: {
      array: estimates.map(([, quality, , high]) => high - quality),
      arrayminus: estimates.map(([, quality, low]) => quality - low),
      color: orange,
      thickness: 1,
      width: 2,
    },
    yaxis: "y2",
    mode: "lines+markers",
    line: { color: orange, width: 1, dash: "dot" },
    marker: { color: orange, size: 6, symbol: "diamond" },
    hovertemplate: "epoch %{x:.2f}<br>about %{y:.4g}<extra></extra>",
  };
}

/** @param {Rendered<TrainingPlotTraits>} rendered */
function render({ model, el }) {
  root(el, "training-plot");
  const parts = chartCard(el, "Training, live");
  const chart = drawing(model, parts, () => figure(model.get("view"), parts.card));
  follow(model, ["view"], () => {
    const { points = [], estimates = [], metric = "", progress = "", technique = "" } = model.get("view");
    write(parts.note, progress);
    write(parts.empty, points.length ? "" : "The loss appears here while a step of the recipe trains.");
    parts.drawing.setAttribute(
      "aria-label",
      points.length ? `Training loss of ${technique}: ${progress}` : "Training loss",
    );
    const few = points.filter((_, i) => i % Math.ceil(points.length / 20) === 0 || i === points.length - 1);
    const rows = few.map(([epoch, loss]) => [epoch.toFixed(2), loss.toFixed(4)]);
    const judged = estimates.map((numbers) => numbers.map((number) => `${Number(number.toPrecision(4))}`));
    if (parts.details.open || !rows.length) {
      const told = judged.length ? [table(metric, ["epoch", `${metric}, about`, "from", "to"], judged)] : [];
      parts.twin.replaceChildren(table("Training loss", ["epoch", "loss"], rows), ...told);
    }
    chart.redraw();
  });
  parts.details.addEventListener("toggle", () => model.trigger?.("change:view"));
  return chart.cleanUp;
}

export default { render };
