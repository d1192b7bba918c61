const CHARACTER = 6; // pixels of a label, on average

/**
 * What stands where: on the front, beaten, or out of the competition since its calls are of another batch size.
 * @param {Model<ParetoPlotTraits>} model
 */
function split(model) {
  const front = new Set(model.get("front"));
  const rows = model.get("rows");
  /** @param {ParetoRow} row */
  const competes = (row) => row.batch === model.get("batch");
  return {
    onFront: model.get("front").flatMap((id) => rows.find((row) => row.id === id) ?? []),
    beaten: rows.filter((row) => competes(row) && !front.has(row.id)),
    apart: rows.filter((row) => !competes(row)),
  };
}

/** @type {(values: number[], margin: number) => [low: number, high: number]} */
function bounds(values, margin) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const space = Math.max(margin, 0.14 * (high - low));
  return [low - space, high + space];
}

/** @type {(point: Partial<ParetoPoint> | undefined) => ParetoPoint | null} */
const known = (point) => (point?.ms ? /** @type {ParetoPoint} */ (point) : null);

/**
 * All points, and labels at those that matter now.
 * @param {Model<ParetoPlotTraits>} model
 * @param {HTMLElement} card
 * @returns {Figure | null}
 */
function figure(model, card) {
  const { onFront, beaten, apart } = split(model);
  const rows = model.get("rows");
  const [current, baseline] = [known(model.get("current")), known(model.get("baseline"))];
  const all = [...rows, ...[current, baseline].flatMap((point) => point ?? [])];
  if (!all.length) return null;
  const names = ["--wb-blue", "--wb-orange", "--wb-ink", "--wb-dim", "--wb-bg"];
  const [blue, orange, ink, dim, bg] = names.map((name) => colour(card, name));
  const [low, high] = bounds(
    all.map((point) => Math.log10(point.ms)),
    0.08,
  );
  /** @type {(some: (ParetoPoint & Partial<ParetoRow>)[], marker: object, more?: object) => object} */
  const points = (some, marker, more = {}) => ({
    x: some.map((row) => row.ms),
    y: some.map((row) => row.accuracy),
    customdata: some.map((row) => row.id ?? 0),
    text: some.map((row) => (row.batch === 1 && model.get("batch") > 1 ? `${row.label} · batch 1` : row.label)),
    mode: "markers",
    marker,
    hovertemplate: "%{text}<br>%{x:.3~g} ms, %{y:.2f} %<extra></extra>",
    ...more,
  });
  const shown = known(rows.find((row) => row.id === model.get("selected")));
  const data = [
    points(apart, { symbol: "triangle-up-open", size: 7, color: dim, opacity: 0.55, line: { width: 1 } }),
    points(beaten, { symbol: "square-open", size: 8, color: orange, line: { width: 1.5 } }),
    points(
      onFront,
      { symbol: "circle", size: 10, color: blue, line: { width: 1, color: bg } },
      { mode: "lines+markers", line: { color: blue, width: 1.5, dash: "dash", shape: "hv" } },
    ),
  ];
  const edge = { width: 1, color: bg };
  const ring = { symbol: "circle-open", size: 18, color: ink, line: { width: 2 } };
  if (baseline) data.push(points([baseline], { symbol: "diamond", size: 11, color: dim, line: edge }));
  if (shown) data.push(points([shown], ring, { hoverinfo: "skip", hovertemplate: null }));
  if (current) data.push(points([current], { symbol: "star", size: 14, color: blue, line: edge }));
  const heights = bounds(
    all.map((point) => point.accuracy),
    0.4,
  );
  const chosen = current ?? shown;
  // two labels never meet: they stand outwards of points that are near each other, inwards, where there is room, of others
  /** @param {ParetoPoint} point */
  const isHigh = (point) => 2 * point.accuracy > heights[0] + heights[1];
  const near = !chosen || !baseline || isHigh(chosen) === isHigh(baseline);
  const upwards = near === (!chosen || !baseline || chosen.accuracy >= baseline.accuracy) ? 1 : -1;
  const labelled = [
    ...(baseline ? [{ point: baseline, yshift: -16 * upwards, ink: dim }] : []),
    ...(chosen ? [{ point: chosen, yshift: 18 * upwards, ink }] : []),
  ];
  const most = Math.floor((card.clientWidth - 100) / CHARACTER);
  const annotations = labelled.map(({ point, yshift, ink }) => {
    const place = (Math.log10(point.ms) - low) / (high - low);
    const xanchor = place < 0.25 ? "left" : place > 0.75 ? "right" : "center";
    const text = point.label.length > most ? `${point.label.slice(0, most - 1)}…` : point.label;
    const look = { showarrow: false, font: { size: 11.5, color: ink }, bgcolor: colour(card, "--wb-bg", 0.7) };
    return { x: Math.log10(point.ms), y: point.accuracy, text, xanchor, yshift, ...look };
  });
  const latency = `latency of a call at batch ${model.get("batch")}, ms, logarithmic`;
  const layout = {
    annotations,
    xaxis: axis(card, latency, { type: "log", range: [low, high], ...logTicks(low, high) }),
    yaxis: axis(card, "accuracy, %", { range: heights, nticks: 6 }),
    margin: { l: 54, r: 14, t: 10, b: 40 },
  };
  return { data, layout };
}

/**
 * The rows as a table, newest first.
 * @param {Model<ParetoPlotTraits>} model
 * @param {ChartParts} parts
 */
function twin(model, parts) {
  const { onFront, apart } = split(model);
  const rows = [...model.get("rows")].reverse().map((row) => {
    const here = row.id === model.get("selected") ? "true" : null;
    const button = h("button", { class: "wb-link", "data-row": row.id, "aria-current": here }, row.label);
    const place = onFront.includes(row) ? "yes" : apart.includes(row) ? "other batch" : "no";
    return [button, row.batch, row.ms.toPrecision(3), row.accuracy.toFixed(2), place];
  });
  const head = ["recipe", "batch", "ms per call", "accuracy, %", "on the front"];
  keepingFocus(parts.twin, () =>
    parts.twin.replaceChildren(table("The latest run of each recipe: choose one to bring it back", head, rows)),
  );
}

/** @param {Rendered<ParetoPlotTraits>} rendered */
function render({ model, el }) {
  root(el, "pareto-plot");
  const parts = chartCard(el, "Accuracy against latency");
  const chart = drawing(model, parts, () => figure(model, parts.card));
  /** @param {number} id */
  const choose = (id) => chooseRow(model, id);
  let wired = false;
  const wire = () => {
    if (wired || !parts.drawing.on) return;
    wired = true;
    parts.drawing.on("plotly_click", (event) => choose(event.points[0].customdata));
  };
  new MutationObserver(wire).observe(parts.drawing, { childList: true });
  parts.twin.addEventListener("click", (event) => choose(rowAt(event)));
  parts.details.addEventListener("toggle", () => twin(model, parts));
  follow(model, ["rows", "batch", "front", "selected", "current", "baseline"], () => {
    const count = model.get("rows").length;
    const { onFront, beaten, apart } = split(model);
    const told = `${onFront.length + beaten.length} recipes, ${onFront.length} on the Pareto front`;
    parts.drawing.setAttribute("aria-label", `Accuracy against latency at batch ${model.get("batch")}: ${told}`);
    write(parts.note, [count && "● front · □ beaten", apart.length && "△ other batch"].filter(Boolean).join(" · "));
    const empty = !count && !known(model.get("baseline")) && !known(model.get("current"));
    write(parts.empty, empty ? "Every recipe that was measured becomes a point here." : "");
    if (parts.details.open) twin(model, parts);
    chart.redraw();
  });
  return chart.cleanUp;
}

export default { initialize: initializeRows, render };
