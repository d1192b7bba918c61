const CHARACTER = 6; // pixels of a label, on average

/** What stands where: on the front, beaten, or out of the competition since its calls are of another batch size. */
function split(model) {
  const front = new Set(model.get("front"));
  const rows = model.get("rows");
  const competes = (row) => row.batch === model.get("batch");
  return {
    onFront: model.get("front").map((id) => rows.find((row) => row.id === id)).filter(Boolean),
    beaten: rows.filter((row) => competes(row) && !front.has(row.id)),
    apart: rows.filter((row) => !competes(row)),
  };
}

function bounds(values, margin) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const space = Math.max(margin, 0.14 * (high - low));
  return [low - space, high + space];
}

function figure(model, card) {
  const { onFront, beaten, apart } = split(model);
  const [current, baseline, selected] = [model.get("current"), model.get("baseline"), model.get("selected")];
  const all = [...model.get("rows"), ...[current, baseline].filter((point) => point.ms)];
  if (!all.length) return null;
  const [blue, orange, ink, dim, bg] = ["--wb-blue", "--wb-orange", "--wb-ink", "--wb-dim", "--wb-bg"].map((name) => colour(card, name));
  const [low, high] = bounds(all.map((point) => Math.log10(point.ms)), 0.08);
  const points = (rows, marker, more = {}) => ({
    x: rows.map((row) => row.ms),
    y: rows.map((row) => row.accuracy),
    customdata: rows.map((row) => row.id ?? 0),
    text: rows.map((row) => (row.batch === 1 && model.get("batch") > 1 ? `${row.label} · batch 1` : row.label)),
    mode: "markers",
    marker,
    hovertemplate: "%{text}<br>%{x:.3~g} ms, %{y:.2f} %<extra></extra>",
    ...more,
  });
  const shown = model.get("rows").find((row) => row.id === selected);
  const data = [
    points(apart, { symbol: "triangle-up-open", size: 7, color: dim, opacity: 0.55, line: { width: 1 } }),
    points(beaten, { symbol: "square-open", size: 8, color: orange, line: { width: 1.5 } }),
    points(onFront, { symbol: "circle", size: 10, color: blue, line: { width: 1, color: bg } }, {
      mode: "lines+markers", line: { color: blue, width: 1.5, dash: "dash", shape: "hv" },
    }),
  ];
  if (baseline.ms) data.push(points([baseline], { symbol: "diamond", size: 11, color: dim, line: { width: 1, color: bg } }));
  if (shown) data.push(points([shown], { symbol: "circle-open", size: 18, color: ink, line: { width: 2 } }, { hoverinfo: "skip", hovertemplate: null }));
  if (current.ms) data.push(points([current], { symbol: "star", size: 14, color: blue, line: { width: 1, color: bg } }));
  const heights = bounds(all.map((point) => point.accuracy), 0.4);
  const chosen = current.ms ? current : shown;
  // two labels never meet: they stand outwards of points that are near each other, inwards, where there is room, of others
  const [both, isHigh] = [chosen?.ms && baseline.ms, (point) => 2 * point.accuracy > heights[0] + heights[1]];
  const near = !both || isHigh(chosen) === isHigh(baseline);
  const upwards = near === (!both || chosen.accuracy >= baseline.accuracy) ? 1 : -1;
  const labelled = [[baseline, -16 * upwards, dim], [chosen, 18 * upwards, ink]].filter(([point]) => point?.ms);
  const most = Math.floor((card.clientWidth - 100) / CHARACTER);
  const annotations = labelled.map(([point, yshift, ink]) => {
    const place = (Math.log10(point.ms) - low) / (high - low);
    const xanchor = place < 0.25 ? "left" : place > 0.75 ? "right" : "center";
    return { x: Math.log10(point.ms), y: point.accuracy, text: point.label.length > most ? `${point.label.slice(0, most - 1)}…` : point.label, showarrow: false, xanchor, yshift, font: { size: 11.5, color: ink }, bgcolor: colour(card, "--wb-bg", 0.7) };
  });
  const layout = {
    annotations,
    xaxis: axis(card, `latency of a call at batch ${model.get("batch")}, ms, logarithmic`, { type: "log", range: [low, high], ...logTicks(low, high) }),
    yaxis: axis(card, "accuracy, %", { range: heights, nticks: 6 }),
    margin: { l: 54, r: 14, t: 10, b: 40 },
  };
  return { data, layout };
}

function twin(model, parts) {
  const { onFront, apart } = split(model);
  const rows = [...model.get("rows")].reverse().map((row) => [
    h("button", { class: "wb-link", "data-row": row.id, "aria-current": row.id === model.get("selected") ? "true" : null }, row.label),
    row.batch, row.ms.toPrecision(3), row.accuracy.toFixed(2), onFront.includes(row) ? "yes" : apart.includes(row) ? "other batch" : "no",
  ]);
  const focused = parts.twin.contains(document.activeElement) ? document.activeElement.dataset.row : null;
  parts.twin.replaceChildren(table("The latest run of each recipe: choose one to bring it back", ["recipe", "batch", "ms per call", "accuracy, %", "on the front"], rows));
  if (focused) parts.twin.querySelector(`[data-row="${focused}"]`)?.focus();
}

function render({ model, el }) {
  root(el, "pareto-plot");
  const parts = chartCard(el, "Accuracy against latency");
  const chart = drawing(model, parts, () => figure(model, parts.card));
  const choose = (id) => chooseRow(model, id);
  let wired = false;
  const wire = () => {
    if (wired || !parts.drawing.on) return;
    wired = true;
    parts.drawing.on("plotly_click", (event) => choose(event.points[0].customdata));
  };
  new MutationObserver(wire).observe(parts.drawing, { childList: true });
  parts.twin.addEventListener("click", (event) => choose(Number(event.target.dataset.row ?? 0)));
  parts.details.addEventListener("toggle", () => twin(model, parts));
  follow(model, ["rows", "batch", "front", "selected", "current", "baseline"], () => {
    const count = model.get("rows").length;
    const { onFront, beaten, apart } = split(model);
    parts.drawing.setAttribute("aria-label", `Accuracy against latency at batch ${model.get("batch")}: ${onFront.length + beaten.length} recipes, ${onFront.length} on the Pareto front`);
    write(parts.note, [count && "● front · □ beaten", apart.length && "△ other batch"].filter(Boolean).join(" · "));
    write(parts.empty, count || model.get("baseline").ms || model.get("current").ms ? "" : "Every recipe that was measured becomes a point here.");
    if (parts.details.open) twin(model, parts);
    chart.redraw();
  });
  return chart.cleanUp;
}

export default { initialize: initializeRows, render };
