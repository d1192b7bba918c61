/**
 * @typedef {[bin: number, count: number][]} Counted
 * @typedef {{ width: number, height: number }} Size
 */

const ABOUT = "The curves show all calls; medians leave out those in moments when other programs disturbed them";
const BINS_PER_DECADE = 256;
const MARGIN = { l: 14, r: 14, t: 6, b: 40 };
const TOP = 1.32; // of the axis; the highest peak is at 1
// pixels: a label's distance from its peak, its height with some space, the width of one of its characters
const [ABOVE, LINE, CHARACTER] = [14, 18, 7];

/**
 * Pairs of (bin, count) from the flat list.
 * @param {number[]} bins
 * @returns {Counted}
 */
function pairs(bins) {
  return Array.from({ length: bins.length / 2 }, (_, i) => [bins[2 * i], bins[2 * i + 1]]);
}

/**
 * The bin below which a share of the counts lies.
 * @param {Counted} counted not empty
 * @param {number} share
 */
function quantile(counted, share) {
  const total = counted.reduce((sum, [, count]) => sum + count, 0);
  let seen = 0;
  for (const [bin, count] of counted) {
    seen += count;
    if (seen >= share * total) return bin;
  }
  return counted[counted.length - 1][0];
}

/**
 * A smooth density over the grid (in bins), of area one.
 * @param {Counted} counted
 * @param {number[]} grid
 * @param {number} bandwidth
 */
function density(counted, grid, bandwidth) {
  const total = counted.reduce((sum, [, count]) => sum + count, 0);
  return grid.map((x) => {
    let sum = 0;
    for (const [bin, count] of counted) {
      const distance = (x - bin - 0.5) / bandwidth;
      if (Math.abs(distance) < 4) sum += count * Math.exp(-0.5 * distance * distance);
    }
    return sum / (total * bandwidth);
  });
}

/** The logarithms between which the axis goes. @param {LatencySide[]} sides */
function range(sides) {
  const logs = sides.flatMap((side) => {
    const counted = pairs(side.bins);
    const middle = [Math.log10(side.p50), Math.log10(side.p95)];
    const ends = counted.length ? [quantile(counted, 0.005), quantile(counted, 0.975)] : [];
    return [...middle, ...ends.map((bin) => bin / BINS_PER_DECADE)];
  });
  const [low, high] = [Math.min(...logs), Math.max(...logs)];
  const margin = Math.max(0.06, 0.14 * (high - low));
  return [low - margin, high + margin];
}

/**
 * Both curves with their medians.
 * @param {LatencySide[]} sides
 * @param {HTMLElement} card
 * @param {Size} size of the drawing, in pixels
 * @returns {Figure}
 */
function figure(sides, card, size) {
  const [low, high] = range(sides);
  const grid = Array.from({ length: 361 }, (_, i) => (low + ((high - low) * i) / 360) * BINS_PER_DECADE);
  const bandwidth = Math.max(1.2, ((high - low) * BINS_PER_DECADE) / 90);
  const curves = sides.map((side) => (side.bins.length ? density(pairs(side.bins), grid, bandwidth) : null));
  const top = Math.max(...curves.flatMap((curve) => curve ?? [0])) || 1;
  const x = grid.map((bin) => 10 ** (bin / BINS_PER_DECADE));
  const looks = [
    { ink: colour(card, "--wb-dim"), fill: colour(card, "--wb-dim", 0.22), dash: "dot" },
    { ink: colour(card, "--wb-blue"), fill: colour(card, "--wb-blue", 0.3), dash: "solid" },
  ];
  const data = sides.flatMap((side, i) => {
    const y = curves[i]?.map((value) => value / top);
    if (!y) return [];
    const line = { color: looks[i].ink, width: 2, dash: looks[i].dash };
    const hover = `${side.name} (${side.engine})<br>%{x:.4~g} ms<extra></extra>`;
    return [{ x, y, mode: "lines", line, fill: "tozeroy", fillcolor: looks[i].fill, hovertemplate: hover }];
  });
  const peaks = curves.map((curve) => (curve ? Math.max(...curve) / top : 0.55));
  const places = sides.map((side) => (Math.log10(side.p50) - low) / (high - low));
  const shifts = apart(sides, places, peaks, size);
  const annotations = sides.map((side, i) => ({
    x: Math.log10(side.p50),
    y: peaks[i],
    text: `${side.name} <b>${side.label}</b>`,
    showarrow: false,
    yshift: shifts[i],
    xanchor: anchor(places[i]),
    font: { size: 12, color: looks[i].ink },
    bgcolor: colour(card, "--wb-bg", 0.75),
  }));
  const shapes = sides.map((side, i) => ({
    type: "line",
    x0: side.p50,
    x1: side.p50,
    y0: 0,
    y1: peaks[i],
    line: { color: looks[i].ink, width: 1, dash: "dot" },
  }));
  const xaxis = axis(card, "milliseconds per call, logarithmic", {
    type: "log",
    range: [low, high],
    ...logTicks(low, high),
  });
  return {
    data,
    layout: {
      xaxis,
      yaxis: { visible: false, range: [0, TOP], fixedrange: true },
      annotations,
      shapes,
      margin: MARGIN,
    },
  };
}

/**
 * How far above its peak each label stands, in pixels: two that are beside each other get a line of their own each.
 * @param {LatencySide[]} sides
 * @param {number[]} places from 0, left, to 1
 * @param {number[]} peaks
 * @param {Size} size
 */
function apart(sides, places, peaks, size) {
  const [width, height] = [size.width - MARGIN.l - MARGIN.r, size.height - MARGIN.t - MARGIN.b];
  const boxes = sides.map((side, i) => {
    const length = CHARACTER * `${side.name} ${side.label}`.length;
    const left = width * places[i] - { left: 0, center: length / 2, right: length }[anchor(places[i])];
    return { left, right: left + length, y: (height * peaks[i]) / TOP };
  });
  const [upper, lower] = boxes[0].y >= boxes[1].y ? [0, 1] : [1, 0];
  const missing = LINE - (boxes[upper].y - boxes[lower].y);
  const shifts = [ABOVE, ABOVE];
  if (missing > 0 && boxes[0].left < boxes[1].right && boxes[1].left < boxes[0].right) {
    const room = Math.max(0, height - boxes[upper].y - ABOVE - LINE / 2);
    shifts[upper] += Math.min(missing, room);
    shifts[lower] -= Math.max(0, missing - room);
  }
  return shifts;
}

/** @param {number} place */
function anchor(place) {
  return place < 0.2 ? "left" : place > 0.8 ? "right" : "center";
}

/** @param {Rendered<LatencyPlotTraits>} rendered */
function render({ model, el }) {
  root(el, "latency-plot");
  const parts = chartCard(el, "Latency, live");
  const chart = drawing(model, parts, () => {
    const { sides = [] } = model.get("view");
    return sides.length ? figure(sides, parts.card, parts.drawing.getBoundingClientRect()) : null;
  });
  let drawn = "";
  follow(model, ["view", "mark", "live"], () => {
    const { sides = [], steady = true, empty = "" } = model.get("view");
    const [mark, live] = [model.get("mark"), model.get("live")];
    parts.card.dataset.mark = mark;
    write(parts.empty, empty);
    const medians = sides.map((side) => `${side.name} on ${side.engine}: median ${side.label}`);
    parts.drawing.setAttribute("aria-label", ["Latency", ...medians].join("; "));
    const dotted = sides.length && "dotted: undisturbed median";
    const unsteady = !steady && (live ? "not steady yet" : "never steady");
    write(parts.note, [mark === "recalled" ? "earlier figures" : unsteady, dotted].filter(Boolean).join(" · "));
    parts.note.title = sides.length ? ABOUT : "";
    const cells = sides.map((side) => [`${side.name} (${side.engine})`, ...side.cells]);
    parts.twin.replaceChildren(
      table("Time of one call in milliseconds", ["ms", "p50", "p90", "p95", "p99", "calls"], cells),
    );
    const now = JSON.stringify([sides, live]);
    if (drawn !== now) chart.redraw(!live);
    drawn = now;
  });
  return chart.cleanUp;
}

export default { render };
