// From figures to places: what the axes span, and where a point stands that lies beyond them.

const PARETO_MARGIN = { l: 54, r: 14, t: 8, b: 38 };
const INSET = 3; // pixels between the edge and what is parked there

/** Until it is known what tells quality. @type {PlottedMetric} */
const UNKNOWN_METRIC = {
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
const metricOf = (model) => ({ ...UNKNOWN_METRIC, ...model.get("metric") });

/** @type {(point: Partial<ParetoPoint> | undefined) => ParetoPoint | null} */
const known = (point) => (point?.ms ? /** @type {ParetoPoint} */ (point) : null);

/**
 * What the axes span: the zoomed part, else the frame that Python sent.
 * @param {Model<ParetoPlotTraits>} model
 * @param {Zoom | null} zoom
 * @param {HTMLElement} drawing
 * @returns {ParetoScale | null}
 */
function scaleOf(model, zoom, drawing) {
  const { ms, quality } = model.get("frame");
  if (!ms || !quality) return null;
  const y = /** @type {Ends} */ (metricOf(model).better === "higher" ? quality : [...quality].reverse());
  const whole = { x: /** @type {Ends} */ (ms.map(Math.log10)), y };
  // the last drawing, which may have been of another size, tells how wide the axis' own figures are
  const [drawn, area] = [".main-svg", ".nsewdrag"].map((part) => drawing.querySelector(part)?.getBoundingClientRect());
  const beside = drawn && area?.width ? drawn.width - area.width : PARETO_MARGIN.l + PARETO_MARGIN.r;
  const width = drawing.clientWidth - beside;
  const height = drawing.clientHeight - PARETO_MARGIN.t - PARETO_MARGIN.b;
  return { ...(zoom ?? whole), width, height, zoomed: Boolean(zoom) };
}

/** @type {(value: number, ends: Ends) => number} */
const share = (value, [from, to]) => (value - from) / (to - from);

/**
 * Where a point stands: at its place or, beyond the axes' ends, at the edge before it.
 * @param {{ ms: number, quality: number }} point
 * @param {ParetoScale} scale
 * @returns {ParetoPlace}
 */
function placeOf(point, scale) {
  const [x, y] = [share(Math.log10(point.ms), scale.x), share(point.quality, scale.y)];
  const [right, up] = [Math.sign(x - clamped(x, 0)), Math.sign(y - clamped(y, 0))];
  if (!right && !up) return { x, y, angle: null };
  const angle = (Math.atan2(right, up) * 180) / Math.PI;
  return { x: clamped(x, INSET / scale.width), y: clamped(y, INSET / scale.height), angle };
}

/** @type {(value: number, inset: number) => number} */
const clamped = (value, inset) => Math.min(1 - inset, Math.max(inset, value));

/** A place as Plotly's figures. @type {(place: ParetoPlace, scale: ParetoScale) => { log: number, ms: number, quality: number }} */
function figuresAt(place, { x, y }) {
  const log = x[0] + place.x * (x[1] - x[0]);
  return { log, ms: 10 ** log, quality: y[0] + place.y * (y[1] - y[0]) };
}

/**
 * Everything that is drawn. Where one has zoomed in, what lies outside is left out; else it is parked.
 * @param {Model<ParetoPlotTraits>} model
 * @param {ParetoScale} scale
 * @returns {ParetoScene}
 */
function sceneOf(model, scale) {
  const front = model.get("front");
  const batch = model.get("batch");
  /** @type {(row: ParetoRow) => MarkKind} */
  const kindOf = (row) => (row.batch !== batch ? "apart" : front.includes(row.id) ? "front" : "beaten");
  /** @type {(point: ParetoPoint, kind: MarkKind) => ParetoMark} */
  const mark = (point, kind) => ({ point, kind, at: placeOf(point, scale) });
  // those on the front in its order, as the line goes through them
  const visible = model.get("rows").filter((row) => !model.get("hidden").includes(row.id));
  const rows = visible.sort((one, other) => front.indexOf(one.id) - front.indexOf(other.id));
  const [baseline, current] = [known(model.get("baseline")), known(model.get("current"))];
  const all = [
    ...rows.map((row) => mark(row, kindOf(row))),
    ...(baseline ? [mark(baseline, "baseline")] : []),
    ...(current ? [mark(current, "current")] : []),
  ];
  const marks = all.filter(({ at }) => at.angle === null || !scale.zoomed);
  const chosen = marks.find(({ point }) => point.id && point.id === model.get("selected")) ?? null;
  const pinned = model.get("pinned").flatMap((id) => marks.find(({ point }) => point.id === id) ?? []);
  return { scale, marks, chosen, pinned, metric: metricOf(model), batch, accepted: model.get("accepted") };
}
