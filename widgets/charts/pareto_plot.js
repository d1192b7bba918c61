const CHARACTER = 6; // pixels of a label, on average
const MARGIN = { l: 54, r: 14, t: 10, b: 40 };
const LEAST_SHARE = 0.004; // of the largest figure, what is shown above and below the outermost points at least

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

/** Until it is known what tells quality. @type {PlottedMetric} */
const UNKNOWN = {
  heading: "Quality",
  axis: "quality",
  direction: "",
  axis_direction: "",
  better: "higher",
  before: "",
  after: "",
  least_margin: 0,
};

/** @param {Model<ParetoPlotTraits>} model */
const metricOf = (model) => ({ ...UNKNOWN, ...model.get("metric") });

/** @type {(values: number[], margin: number) => [low: number, high: number]} */
function bounds(values, margin) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const space = Math.max(margin, 0.14 * (high - low));
  return [low - space, high + space];
}

/** In lines of so many characters at most, broken between words. @type {(text: string, most: number) => string[]} */
function wrapped(text, most) {
  /** @type {string[]} */
  const lines = [];
  for (const word of text.split(" ")) {
    const longer = `${lines.at(-1) ?? ""} ${word}`.trim();
    if (lines.length && longer.length <= most) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

/** @type {(point: Partial<ParetoPoint> | undefined) => ParetoPoint | null} */
const known = (point) => (point?.ms ? /** @type {ParetoPoint} */ (point) : null);

/**
 * All points, and labels at those that matter now.
 * @param {Model<ParetoPlotTraits>} model
 * @param {HTMLElement} card
 * @param {number} tall what the drawing is, in pixels
 * @returns {Figure | null}
 */
function figure(model, card, tall) {
  const { onFront, beaten, apart } = split(model);
  const rows = model.get("rows");
  const metric = metricOf(model);
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
    y: some.map((row) => row.quality),
    customdata: some.map((row) => [row.id ?? 0, row.figure]),
    text: some.map((row) => (row.batch === 1 && model.get("batch") > 1 ? `${row.label} · batch 1` : row.label)),
    mode: "markers",
    marker,
    hovertemplate: `%{text}<br>%{x:.3~g} ms, ${metric.before}%{customdata[1]}${metric.after}<extra></extra>`,
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
  const values = all.map((point) => point.quality);
  const least = Math.max(metric.least_margin, LEAST_SHARE * Math.max(...values.map(Math.abs))) || 1;
  const heights = bounds(values, least);
  const up = metric.better === "higher" ? 1 : -1;
  if (up < 0) heights.reverse();
  const chosen = current ?? shown;
  // two labels never meet: they stand outwards of points that are near each other, inwards, where there is room, of others
  /** @param {ParetoPoint} point */
  const isHigh = (point) => up * (2 * point.quality - heights[0] - heights[1]) > 0;
  const near = !chosen || !baseline || isHigh(chosen) === isHigh(baseline);
  const upwards = near === (!chosen || !baseline || up * (chosen.quality - baseline.quality) >= 0) ? 1 : -1;
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
    return { x: Math.log10(point.ms), y: point.quality, text, xanchor, yshift, ...look };
  });
  const line = Math.floor((tall - MARGIN.b) / CHARACTER);
  const height = [metric.axis, metric.axis_direction].flatMap((text) => (text ? wrapped(text, line) : [])).join("<br>");
  const latency = `latency of a call at batch ${model.get("batch")}, ms, logarithmic`;
  const layout = {
    annotations,
    xaxis: axis(card, latency, { type: "log", range: [low, high], ...logTicks(low, high) }),
    yaxis: axis(card, height, { range: heights, nticks: 6, automargin: true, exponentformat: "power", minexponent: 5 }),
    margin: MARGIN,
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
    return [button, row.batch, row.ms.toPrecision(3), row.figure, place];
  });
  const { axis, direction } = metricOf(model);
  const head = ["recipe", "batch", "ms per call", [axis, direction].filter(Boolean).join(", "), "on the front"];
  keepingFocus(parts.twin, () =>
    parts.twin.replaceChildren(table("The latest run of each recipe: choose one to bring it back", head, rows)),
  );
}

/** @param {Rendered<ParetoPlotTraits>} rendered */
function render({ model, el }) {
  root(el, "pareto-plot");
  const parts = chartCard(el, "Quality against latency");
  const chart = drawing(model, parts, () => figure(model, parts.card, parts.drawing.clientHeight));
  /** @param {number} id */
  const choose = (id) => chooseRow(model, id);
  let wired = false;
  const wire = () => {
    if (wired || !parts.drawing.on) return;
    wired = true;
    parts.drawing.on("plotly_click", (event) => choose(event.points[0].customdata[0]));
  };
  new MutationObserver(wire).observe(parts.drawing, { childList: true });
  parts.twin.addEventListener("click", (event) => choose(rowAt(event)));
  parts.details.addEventListener("toggle", () => twin(model, parts));
  follow(model, ["rows", "batch", "metric", "front", "selected", "current", "baseline"], () => {
    const { heading, direction } = metricOf(model);
    const title = `${heading} against latency`;
    write(parts.heading, title);
    parts.twin.setAttribute("aria-label", `${title}, as a table`);
    const count = model.get("rows").length;
    const { onFront, beaten, apart } = split(model);
    const told = [`${onFront.length + beaten.length} recipes`, `${onFront.length} on the Pareto front`, direction];
    const about = told.filter(Boolean).join(", ");
    parts.drawing.setAttribute("aria-label", `${title} at batch ${model.get("batch")}: ${about}`);
    write(parts.note, [count && "● front · □ beaten", apart.length && "△ other batch"].filter(Boolean).join(" · "));
    const empty = !count && !known(model.get("baseline")) && !known(model.get("current"));
    write(parts.empty, empty ? "Every recipe that was measured becomes a point here." : "");
    if (parts.details.open) twin(model, parts);
    chart.redraw();
  });
  return chart.cleanUp;
}

export default { initialize: initializeRows, render };
