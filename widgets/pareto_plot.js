function split(model) {
  const front = new Set(model.get("front"));
  const rows = model.get("rows");
  const onFront = model.get("front").map((id) => rows.find((row) => row.id === id)).filter(Boolean);
  return { onFront, others: rows.filter((row) => !front.has(row.id)) };
}

function bounds(values, margin) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const space = Math.max(margin, 0.14 * (high - low));
  return [low - space, high + space];
}

function figure(model, card) {
  const { onFront, others } = split(model);
  const [current, baseline, selected] = [model.get("current"), model.get("baseline"), model.get("selected")];
  const all = [...model.get("rows"), ...[current, baseline].filter((point) => point.ms)];
  if (!all.length) return null;
  const [blue, orange, ink, dim, bg] = ["--wb-blue", "--wb-orange", "--wb-ink", "--wb-dim", "--wb-bg"].map((name) => colour(card, name));
  const [low, high] = bounds(all.map((point) => Math.log10(point.ms)), 0.08);
  const points = (rows, marker, more = {}) => ({
    x: rows.map((row) => row.ms),
    y: rows.map((row) => row.accuracy),
    customdata: rows.map((row) => row.id ?? 0),
    text: rows.map((row) => row.label),
    mode: "markers",
    marker,
    hovertemplate: "%{text}<br>%{x:.3~g} ms, %{y:.2f} %<extra></extra>",
    ...more,
  });
  const shown = model.get("rows").find((row) => row.id === selected);
  const data = [
    points(others, { symbol: "square-open", size: 8, color: orange, line: { width: 1.5 } }),
    points(onFront, { symbol: "circle", size: 10, color: blue, line: { width: 1, color: bg } }, {
      mode: "lines+markers", line: { color: blue, width: 1.5, dash: "dash", shape: "hv" },
    }),
  ];
  if (baseline.ms) data.push(points([baseline], { symbol: "diamond", size: 11, color: dim, line: { width: 1, color: bg } }));
  if (shown) data.push(points([shown], { symbol: "circle-open", size: 18, color: ink, line: { width: 2 } }, { hoverinfo: "skip", hovertemplate: null }));
  if (current.ms) data.push(points([current], { symbol: "star", size: 14, color: blue, line: { width: 1, color: bg } }));
  // the label of the upper point above it, that of the lower one below: they never meet
  const chosen = current.ms ? current : shown;
  const upwards = chosen?.ms && baseline.ms && baseline.accuracy > chosen.accuracy ? -1 : 1;
  const labelled = [[baseline, -16 * upwards, dim], [chosen, 18 * upwards, ink]].filter(([point]) => point?.ms);
  const annotations = labelled.map(([point, yshift, ink]) => {
    const place = (Math.log10(point.ms) - low) / (high - low);
    const xanchor = place < 0.25 ? "left" : place > 0.75 ? "right" : "center";
    return { x: Math.log10(point.ms), y: point.accuracy, text: point.label, showarrow: false, xanchor, yshift, font: { size: 11.5, color: ink }, bgcolor: colour(card, "--wb-bg", 0.7) };
  });
  const layout = {
    annotations,
    xaxis: axis(card, "latency, ms, logarithmic", { type: "log", range: [low, high], ...logTicks(low, high) }),
    yaxis: axis(card, "accuracy, %", { range: bounds(all.map((point) => point.accuracy), 0.4), nticks: 6 }),
    margin: { l: 54, r: 14, t: 10, b: 40 },
  };
  return { data, layout };
}

function twin(model, parts) {
  const front = new Set(model.get("front"));
  const rows = [...model.get("rows")].reverse().map((row) => [
    h("button", { class: "wb-link", "data-row": row.id, "aria-current": row.id === model.get("selected") ? "true" : null }, row.label),
    row.ms.toPrecision(3), row.accuracy.toFixed(2), front.has(row.id) ? "yes" : "no",
  ]);
  const focused = parts.twin.contains(document.activeElement) ? document.activeElement.dataset.row : null;
  parts.twin.replaceChildren(table("The latest run of each recipe: choose one to bring it back", ["recipe", "ms", "accuracy, %", "on the front"], rows));
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
  follow(model, ["rows", "front", "selected", "current", "baseline"], () => {
    const count = model.get("rows").length;
    parts.drawing.setAttribute("aria-label", `Accuracy against latency: ${count} recipes, ${model.get("front").length} on the Pareto front`);
    write(parts.note, count ? "● on the front · □ beaten" : "");
    write(parts.empty, count || model.get("baseline").ms || model.get("current").ms ? "" : "Every recipe that was measured becomes a point here.");
    if (parts.details.open) twin(model, parts);
    chart.redraw();
  });
  return chart.cleanUp;
}

export default { initialize: initializeRows, render };
