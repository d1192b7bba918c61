// Shared by the charts: Plotly, colours of the theme, a card with a table twin.

/**
 * Plotly, once the library widget has loaded it.
 * @param {Model<ChartTraits>} model
 * @returns {Promise<Plotly>}
 */
function plotly(model) {
  const key = Symbol.for("workbench.plotly");
  shared[key] ??= deferred();
  model.widget_manager.get_model(model.get("library"));
  return shared[key].promise;
}

/**
 * What a custom property of the theme comes to, as rgba() that Plotly reads.
 * @param {HTMLElement} el
 * @param {string} name
 */
function colour(el, name, alpha = 1) {
  const probe = h("span", { style: `color: var(${name}); display: none` });
  el.append(probe);
  const context = new OffscreenCanvas(1, 1).getContext("2d");
  if (!context) return "transparent";
  context.fillStyle = getComputedStyle(probe).color;
  context.fillRect(0, 0, 1, 1);
  probe.remove();
  const [red, green, blue] = context.getImageData(0, 0, 1, 1).data;
  return `rgba(${red}, ${green}, ${blue}, ${alpha})`;
}

/**
 * A card: title, drawing area, a line for when there is nothing to draw, and the table twin.
 * @param {HTMLElement} el
 * @param {string} title
 * @returns {ChartParts}
 */
function chartCard(el, title) {
  const id = unique("chart");
  const note = h("span", { class: "wb-note" });
  const area = h("div", { class: "wb-drawing", role: "img", "aria-label": title });
  const empty = h("p", { class: "wb-empty" });
  const look = { class: "wb-twin-body", tabindex: "0", role: "region", "aria-label": `${title}, as a table` };
  const twin = h("div", look);
  const details = h("details", { class: "wb-twin" }, h("summary", {}, "Table"), twin);
  const heading = h("h2", { id }, title);
  const card = h(
    "section",
    { class: "wb-card wb-chart", "aria-labelledby": id },
    h("div", { class: "wb-chart-head" }, heading, note, details),
    h("div", { class: "wb-chart-body" }, area, empty),
  );
  el.append(card);
  return { heading, note, drawing: area, empty, twin, details, card };
}

// Drawing takes the processor away from the very calls that are being timed. So new figures wait a moment, in which
// the first of a run can be measured, and until a chart has rested this many times as long as its last drawing took.
const CALM_MS = 150;
const REST = 40;
const LONGEST_REST_MS = 1000;

/**
 * Draw with Plotly, again when size or theme change; `figure()` gives {data, layout} or null for nothing.
 * `redraw(last)`: figures that others will follow may wait, the last ones are drawn at once.
 * @param {Model<ChartTraits>} model
 * @param {ChartParts} parts
 * @param {() => Figure | null} figure
 */
function drawing(model, parts, figure) {
  /** @type {Plotly | null} */
  let library = null;
  let timer = 0;
  let rested = 0;
  const draw = () => {
    timer = 0;
    const { width, height } = parts.drawing.getBoundingClientRect();
    if (!library || width < 40 || height < 40) return;
    const started = performance.now();
    const { data, layout } = figure() ?? { data: [], layout: { xaxis: { visible: false }, yaxis: { visible: false } } };
    const all = { ...baseLayout(parts.card), ...layout, width: Math.floor(width), height: Math.floor(height) };
    const calm = { displayModeBar: false, responsive: false, doubleClick: false, showTips: false };
    library.react(parts.drawing, data, all, calm);
    const now = performance.now();
    rested = now + Math.min(REST * (now - started), LONGEST_REST_MS);
  };
  /** @param {number} milliseconds */
  const drawIn = (milliseconds) => {
    clearTimeout(timer);
    timer = setTimeout(() => requestAnimationFrame(draw), milliseconds);
  };
  const redrawAtOnce = () => drawIn(0);
  /** @param {boolean} [last] */
  const redraw = (last) => {
    if (last) redrawAtOnce();
    else if (!timer) drawIn(Math.max(CALM_MS, rested - performance.now()));
  };
  plotly(model).then((loaded) => {
    library = loaded;
    redrawAtOnce();
  });
  const size = new ResizeObserver(redrawAtOnce);
  size.observe(parts.drawing);
  const theme = new MutationObserver(redrawAtOnce);
  theme.observe(document.body, {
    attributes: true,
    attributeFilter: ["data-jp-theme-light", "data-jp-theme-name", "class"],
  });
  theme.observe(document.documentElement, { attributes: true, attributeFilter: ["data-wb-theme"] });
  const cleanUp = () => {
    clearTimeout(timer);
    size.disconnect();
    theme.disconnect();
    library?.purge(parts.drawing);
  };
  return { redraw, cleanUp };
}

/** @param {HTMLElement} card */
function baseLayout(card) {
  const family = getComputedStyle(card).fontFamily;
  return {
    margin: { l: 46, r: 14, t: 12, b: 38 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family, size: 12, color: colour(card, "--wb-dim") },
    hoverlabel: {
      font: { family, size: 12, color: colour(card, "--wb-ink") },
      bgcolor: colour(card, "--wb-bg"),
      bordercolor: colour(card, "--wb-line-strong"),
    },
    showlegend: false,
    dragmode: false,
    hovermode: "closest",
  };
}

/**
 * An axis in the theme's colours.
 * @param {HTMLElement} card
 * @param {string} title
 * @param {object} extra
 */
function axis(card, title, extra = {}) {
  return {
    title: { text: title, standoff: 6, font: { size: 12 } },
    gridcolor: colour(card, "--wb-line", 0.7),
    linecolor: colour(card, "--wb-line-strong"),
    tickcolor: colour(card, "--wb-line-strong"),
    showline: true,
    zeroline: false,
    ticks: "outside",
    ticklen: 4,
    fixedrange: true,
    ...extra,
  };
}

/**
 * Ticks at 1, 2 and 5 times powers of ten within a range given as logarithms, as plain numbers.
 * @param {number} low
 * @param {number} high
 */
function logTicks(low, high) {
  const values = [];
  const steps =
    high - low > 2.2 ? [1] : high - low > 0.9 ? [1, 2, 5] : high - low > 0.35 ? [1, 1.5, 2, 3, 4, 5, 7] : null;
  if (steps) {
    for (let power = Math.floor(low); power <= Math.ceil(high); power += 1)
      for (const step of steps) values.push(step * 10 ** power);
  } else {
    const [from, to] = [10 ** low, 10 ** high];
    const rough = (to - from) / 5;
    const unit = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((factor) => factor * unit).find((size) => size >= rough) ?? rough;
    for (let value = Math.ceil(from / step) * step; value <= to; value += step) values.push(value);
  }
  const inside = values.filter((value) => Math.log10(value) >= low && Math.log10(value) <= high);
  return { tickmode: "array", tickvals: inside, ticktext: inside.map((value) => String(Number(value.toPrecision(3)))) };
}

/**
 * A table whose rows begin with their name.
 * @param {string} caption
 * @param {Child[]} head
 * @param {Child[][]} rows
 */
function table(caption, head, rows) {
  return h(
    "table",
    { class: "wb-table" },
    h("caption", { class: "wb-offscreen" }, caption),
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        head.map((title) => h("th", { scope: "col" }, title)),
      ),
    ),
    h(
      "tbody",
      {},
      rows.map(([first, ...others]) =>
        h(
          "tr",
          {},
          h("th", { scope: "row" }, first),
          others.map((cell) => h("td", {}, cell)),
        ),
      ),
    ),
  );
}
