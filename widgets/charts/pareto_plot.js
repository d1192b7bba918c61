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

/**
 * All points, and labels at those that matter now.
 * @param {ParetoScene} scene
 * @param {HTMLElement} card
 * @returns {Figure}
 */
function figure(scene, card) {
  const { scale, metric, batch } = scene;
  const line = Math.floor(scale.height / 6); // characters, of six pixels on average
  const [named, directed] = [metric.axis, metric.axis_direction].map((text) => (text ? wrapped(text, line) : []));
  // a low plot has no room for all of it; the card says the direction too
  const height = (named.length + directed.length > 3 ? named : [...named, ...directed]).join("<br>");
  const latency = `latency of a call at batch ${batch}, ms, logarithmic`;
  // copies, since Plotly writes into them
  const y = {
    range: [...scale.y],
    nticks: Math.max(2, Math.floor(scale.height / 24)),
    automargin: true,
    fixedrange: false,
    exponentformat: "power",
    minexponent: 5,
  };
  const layout = {
    annotations: labels(scene, card),
    shapes: acceptedShapes(scene, card),
    xaxis: axis(card, latency, { type: "log", range: [...scale.x], ...logTicks(...scale.x), fixedrange: false }),
    yaxis: axis(card, height, y),
    margin: PARETO_MARGIN,
    dragmode: "zoom",
  };
  return { data: traces(scene, card), layout };
}

/** @param {Rendered<ParetoPlotTraits>} rendered */
function render({ model, el }) {
  root(el, "pareto-plot");
  const parts = chartCard(el, "Quality against latency");
  const legend = h("ul", { class: "wb-legend", "aria-label": "Marks" });
  parts.note.remove();
  const reset = h("button", { type: "button", class: "wb-act", hidden: true }, "Reset zoom");
  parts.heading.before(parts.details); // it floats: behind a long heading it would stand a line lower, below its own table
  parts.heading.after(reset, legend);
  const chart = drawing(model, parts, () => {
    const now = scene();
    return now && figure(now, parts.card);
  });
  const zooming = zoomOf(parts.drawing, () => drawAll(true));
  const atPoint = pointActions(model, parts);
  /** @param {Zoom | null} part */
  const scene = (part = zooming.part()) => {
    const scale = scaleOf(model, part, parts.drawing);
    return scale && sceneOf(model, scale);
  };
  const writeTwin = () => twin(model, parts, scene(null));
  /** @param {boolean} [last] */
  const drawAll = (last) => {
    const { heading, direction } = metricOf(model);
    const title = `${heading} against latency`;
    write(parts.heading, title);
    parts.twin.setAttribute("aria-label", `${title}, as a table`);
    const now = scene();
    const [count, batch] = [now?.marks.filter(({ kind }) => kind === "front" || kind === "beaten"), model.get("batch")];
    const told = [`${count?.length ?? 0} recipes`, `${model.get("front").length} on the Pareto front`, direction];
    parts.drawing.setAttribute("aria-label", `${title} at batch ${batch}: ${told.filter(Boolean).join(", ")}`);
    legend.replaceChildren(...legendEntries(now));
    reset.hidden = !zooming.part();
    write(parts.empty, now ? "" : "Every recipe that was measured becomes a point here.");
    if (parts.details.open) writeTwin();
    atPoint.draw(now);
    if (!zooming.dragging()) chart.redraw(last || !now);
  };
  let wired = false;
  const wire = () => {
    if (wired || !parts.drawing.on) return;
    wired = true;
    parts.drawing.on("plotly_relayout", zooming.take);
    parts.drawing.on("plotly_doubleclick", zooming.reset);
    parts.drawing.on("plotly_click", (event) => {
      const id = event.points[0].customdata[0];
      if (!id) return;
      chooseRow(model, id);
      atPoint.open(id, scene());
    });
  };
  new MutationObserver(wire).observe(parts.drawing, { childList: true });
  reset.addEventListener("click", zooming.reset);
  parts.twin.addEventListener("click", (event) => actOnRow(model, event, writeTwin));
  parts.details.addEventListener("toggle", writeTwin);
  const points = /** @type {const} */ ([
    "rows",
    "batch",
    "metric",
    "front",
    "frame",
    "current",
    "baseline",
    "accepted",
  ]);
  follow(model, [...points], () => drawAll());
  for (const trait of ["selected", "pinned", "hidden"]) model.on(`change:${trait}`, () => drawAll(true));
  return () => {
    zooming.cleanUp();
    atPoint.cleanUp();
    chart.cleanUp();
  };
}

export default { initialize: initializeRows, render };
