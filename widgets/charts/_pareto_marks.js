// What the plot is made of, as Plotly takes it: points, the front, what is parked, error bars, the region accepted.

const SYMBOLS = /** @type {const} */ ({
  front: { symbol: "circle", size: 10, ink: "--wb-blue", width: 1 },
  beaten: { symbol: "square-open", size: 8, ink: "--wb-orange", width: 1.5 },
  apart: { symbol: "triangle-up-open", size: 7, ink: "--wb-dim", width: 1, opacity: 0.55 },
  baseline: { symbol: "diamond", size: 11, ink: "--wb-dim", width: 1 },
  current: { symbol: "star", size: 14, ink: "--wb-blue", width: 1 },
});
const ARROW_SIZE = 14;
const KINDS = /** @type {MarkKind[]} */ (["apart", "beaten", "front", "baseline", "current"]);

/** What is told of a point on hovering over it. @type {(mark: ParetoMark, scene: ParetoScene) => string} */
function hoverText({ point, kind, at }, { metric, batch }) {
  const { label, figure, told_ms = String(point.ms), told_ms_ends, told_quality_ends } = point;
  const other = kind === "apart" && point.batch !== batch ? ` · batch ${point.batch}` : "";
  const spread = (/** @type {string | undefined} */ ends) => (ends ? ` (95 %: ${ends})` : "");
  return [
    `${label}${other}`,
    ...(point.when ? [`measured ${point.when}`] : []),
    `${told_ms} ms${spread(told_ms_ends)}`,
    `${metric.before}${figure}${metric.after}${spread(told_quality_ends)}`,
    ...(at.angle === null ? [] : ["off the plot: an arrow at its edge"]),
  ].join("<br>");
}

/**
 * @param {ParetoMark[]} marks
 * @param {ParetoScene} scene
 * @param {object} more
 */
function trace(marks, scene, more) {
  const places = marks.map(({ at }) => figuresAt(at, scene.scale));
  return {
    x: places.map(({ ms }) => ms),
    y: places.map(({ quality }) => quality),
    ids: marks.map(({ point, kind }) => `${kind} ${point.id ?? ""}`), // a mark stays the same one, and slides
    customdata: marks.map((mark) => [mark.point.id ?? 0, hoverText(mark, scene)]),
    text: marks.map(({ point }) => point.label),
    mode: "markers",
    hovertemplate: "%{customdata[1]}<extra></extra>",
    cliponaxis: true,
    ...more,
  };
}

/**
 * Every trace, those behind first.
 * @param {ParetoScene} scene
 * @param {HTMLElement} card
 */
function traces(scene, card) {
  const { marks, chosen, pinned } = scene;
  const [ink, background] = [colour(card, "--wb-ink"), colour(card, "--wb-bg")];
  const drawn = KINDS.flatMap((kind) => {
    const { symbol, size, ink: name, width, ...more } = SYMBOLS[kind];
    const some = marks.filter((mark) => mark.kind === kind);
    const own = colour(card, name);
    const edge = { width, color: symbol.endsWith("-open") ? own : background };
    const within = some.filter(({ at }) => at.angle === null);
    const parked = some.filter(({ at }) => at.angle !== null);
    const arrow = { symbol: "arrow", size: ARROW_SIZE, color: own, angle: parked.map(({ at }) => at.angle), ...more };
    const line = { color: own, width: 1.5, dash: "dash", shape: "hv" };
    const look = kind === "front" ? { mode: "lines+markers", line } : {};
    return [
      ...(within.length
        ? [trace(within, scene, { marker: { symbol, size, color: own, line: edge, ...more }, ...look })]
        : []),
      ...(parked.length ? [trace(parked, scene, { marker: { ...arrow } })] : []),
    ];
  });
  const ring = { symbol: "circle-open", size: 18, color: ink, line: { width: 2 } };
  const frame = { symbol: "square-open", size: 19, color: ink, line: { width: 1.3 } };
  /** An arrow's tip is at its place, its middle before it. @param {ParetoMark} mark */
  const around = ({ at, ...mark }) => {
    const turn = ((at.angle ?? 0) * Math.PI) / 180;
    const back = at.angle === null ? 0 : ARROW_SIZE / 2 + 3;
    const { width, height } = scene.scale;
    return {
      ...mark,
      at: { ...at, x: at.x - (back * Math.sin(turn)) / width, y: at.y - (back * Math.cos(turn)) / height },
    };
  };
  const silent = { hoverinfo: "skip", hovertemplate: null };
  return [
    ...errorBars(scene, card),
    ...drawn,
    ...(pinned.length ? [trace(pinned.map(around), scene, { marker: frame, ...silent })] : []),
    ...(chosen ? [trace([around(chosen)], scene, { marker: ring, ...silent })] : []),
  ];
}

/** Whose error bars are drawn: of what matters now, not of all. @type {(scene: ParetoScene) => ParetoMark[]} */
function emphasised({ marks, chosen, pinned }) {
  const ends = ["baseline", "current"];
  return marks.filter((mark) => mark === chosen || pinned.includes(mark) || ends.includes(mark.kind));
}

/** The 95 % intervals. @type {(scene: ParetoScene, card: HTMLElement) => object[]} */
function errorBars(scene, card) {
  const some = emphasised(scene).filter(({ at }) => at.angle === null);
  /** @type {(ends: (point: ParetoPoint) => Ends | undefined, value: (point: ParetoPoint) => number) => object} */
  const bars = (ends, value) => ({
    type: "data",
    symmetric: false,
    array: some.map(({ point }) => (ends(point)?.[1] ?? value(point)) - value(point)),
    arrayminus: some.map(({ point }) => value(point) - (ends(point)?.[0] ?? value(point))),
    color: colour(card, "--wb-dim"),
    thickness: 1,
    width: 3,
  });
  if (!some.length) return [];
  const error_x = bars(
    ({ ms_ends }) => ms_ends,
    ({ ms }) => ms,
  );
  const error_y = bars(
    ({ quality_ends }) => quality_ends,
    ({ quality }) => quality,
  );
  const look = { marker: { opacity: 0 }, hoverinfo: "skip", hovertemplate: null };
  return [trace(some, scene, { ...look, error_x, error_y })];
}

/** The region accepted, from its bound to the better end of the axis. @type {(scene: ParetoScene, card: HTMLElement) => object[]} */
function acceptedShapes({ accepted: { bound }, scale }, card) {
  if (bound === undefined) return [];
  const from = share(bound, scale.y);
  if (from >= 1) return [];
  const below = { xref: "x domain", x0: 0, x1: 1, layer: "below" };
  const fill = { ...below, type: "rect", y0: from > 0 ? bound : scale.y[0], y1: scale.y[1], line: { width: 0 } };
  const line = { color: colour(card, "--wb-better", 0.45), width: 1, dash: "dot" };
  return [
    { ...fill, fillcolor: colour(card, "--wb-better", 0.07) },
    ...(from > 0 ? [{ ...below, type: "line", y0: bound, y1: bound, line }] : []),
  ];
}
