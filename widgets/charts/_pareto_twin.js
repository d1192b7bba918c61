// The plot as a table: all its figures, and by keyboard everything that the mouse does.

/** @type {Record<MarkKind, string>} */
const STANDINGS = { front: "on the front", beaten: "beaten", apart: "other batch", baseline: "", current: "" };

/** A figure with its 95 % interval under it. @type {(figure: string, ends: string | undefined) => Child} */
const withEnds = (figure, ends) => [figure, ends ? h("span", { class: "wb-ends" }, ends) : null];

/**
 * The newest runs first, what is hidden last.
 * @param {Model<ParetoPlotTraits>} model
 * @param {ChartParts} parts
 * @param {ParetoScene | null} scene of the whole plot
 */
function twin(model, parts, scene) {
  const shown = [...(scene?.marks ?? [])].map(({ point, kind, at }) => ({
    point,
    standing: [STANDINGS[kind], at.angle !== null && "off the plot"].filter(Boolean).join(", "),
  }));
  const hidden = model.get("rows").filter((row) => model.get("hidden").includes(row.id));
  const rows = [...shown, ...hidden.map((point) => ({ point, standing: "hidden" }))];
  // what has no id is the run under way and the baseline: they stand first
  /** @param {{ point: ParetoMark["point"] }} row */
  const place = ({ point }) => (point.id ? -point.id : Number.NEGATIVE_INFINITY);
  const cells = rows
    .sort((one, other) => place(one) - place(other))
    .map(({ point, standing }) => rowCells(model, point, standing));
  const { axis, direction } = metricOf(model);
  const head = [
    "recipe",
    "batch",
    "ms per call",
    [axis, direction].filter(Boolean).join(", "),
    "place",
    actionsHeading(),
  ];
  const caption = "The latest run of each recipe, with 95 % intervals: choose one to see it again";
  keepingFocus(parts.twin, () => parts.twin.replaceChildren(table(caption, head, cells)));
}

/** @type {(model: Model<ParetoPlotTraits>, point: ParetoMark["point"], standing: string) => Child[]} */
function rowCells(model, point, standing) {
  const { id, label } = point;
  const here = id === model.get("selected") ? "true" : null;
  const look = { type: "button", class: "wb-link", "data-row": id, "aria-current": here };
  return [
    id ? h("button", look, label) : label,
    point.batch ?? model.get("batch"),
    withEnds(point.told_ms ?? point.ms.toPrecision(3), point.told_ms_ends),
    withEnds(point.figure, point.told_quality_ends),
    standing,
    id ? rowActions(model, { id, name: label }) : null,
  ];
}
