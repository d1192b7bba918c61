// The numbers of a layer's weights: a histogram for each side, with its grid, its zeros and a table of its bars.

/** A tick for each level, or for every so many where these would run together. */
const TICKED = 32;

/**
 * Bars as high as the highest of what isn't zero; the bar of the zeros ends there too, and what it comes to is said.
 * @param {NumbersSide} side
 */
function bars({ counts, grid, zero }) {
  const others = grid ? counts.filter((_, i) => i !== zero.at) : counts;
  const highest = Math.max(...others, 1);
  const look = { viewBox: `0 0 ${counts.length} 100`, preserveAspectRatio: "none", "aria-hidden": "true" };
  const picture = svg("svg", look);
  /** @type {(x: number, count: number, look: string) => void} */
  const bar = (x, count, look) => {
    const height = Math.min(100, (100 * count) / highest);
    picture.append(svg("rect", { x: x + 0.1, width: 0.8, y: 100 - height, height, class: look }));
  };
  counts.forEach((count, i) => {
    if (count) bar(i, count, grid && i === zero.at ? "wb-zeros" : "wb-count");
  });
  if (!grid && zero.count && zero.at !== null) bar(zero.at * counts.length - 0.5, zero.count, "wb-zeros");
  return { picture, beyond: zero.count > highest && zero.at !== null };
}

/** What a bar is of: a level, or an interval. @param {NumbersSide} side @param {number} i */
function bin({ low, width, grid }, i) {
  /** @param {number} value */
  const short = (value) => String(Number(value.toPrecision(3))).replace("-", "−");
  return grid ? short(low + i) : `${short(low + i * width)} to ${short(low + (i + 1) * width)}`;
}

/** The bars as a table, those that aren't empty. @param {NumbersSide} side */
function binsTable(side) {
  const rows = side.counts.flatMap((count, i) =>
    count
      ? [
          h(
            "tr",
            {},
            h("th", { scope: "row" }, bin(side, i)),
            h("td", { class: "wb-number" }, count.toLocaleString("en")),
          ),
        ]
      : [],
  );
  if (!side.grid && side.zero.count)
    rows.unshift(
      h(
        "tr",
        {},
        h("th", { scope: "row" }, "0"),
        h("td", { class: "wb-number" }, side.zero.count.toLocaleString("en")),
      ),
    );
  const head = h(
    "tr",
    {},
    h("th", { scope: "col" }, side.grid ? "level" : "value"),
    h("th", { scope: "col", class: "wb-number" }, "weights"),
  );
  return h(
    "table",
    { class: "wb-table" },
    h("caption", { class: "wb-offscreen" }, side.title),
    h("thead", {}, head),
    h("tbody", {}, rows),
  );
}

/** @param {NumbersSide} side */
function histogramOf(side) {
  const { picture, beyond } = bars(side);
  const look = { class: "wb-bins", role: "img", "aria-label": `${side.title}: ${side.facts.join(", ")}` };
  const drawing = h("div", look, picture);
  const every = side.counts.length > TICKED ? side.counts.length / TICKED : 1;
  if (side.grid) drawing.append(h("div", { class: "wb-grid", style: `--ticks: ${side.counts.length / every}` }));
  const high = beyond ? ", higher than drawn" : "";
  const zero = side.zero.count ? h("span", { class: "wb-zero" }, `▮ ${side.zero.text}${high}`) : null;
  const ends = h("div", { class: "wb-ends" }, h("span", {}, side.ends[0]), zero, h("span", {}, side.ends[1]));
  const rows = { class: "wb-bins-rows", tabindex: "0", role: "region", "aria-label": `${side.title}, as a table` };
  const table = h("details", { class: "wb-bins-table" }, h("summary", {}, "Table"), h("div", rows, binsTable(side)));
  const facts = h("p", { class: "wb-note" }, side.facts.join(" · "));
  return h("section", { "aria-label": `Weights ${side.title}` }, h("h3", {}, side.title), drawing, ends, facts, table);
}

/** What is known of a layer's weights, drawn. @param {LayerTableTraits["detail"]} detail @param {string} layer */
function numbersOf(detail, layer) {
  if (detail.layer !== layer) return [];
  if (detail.note) return [h("p", { class: "wb-note" }, detail.note)];
  return (detail.sides ?? []).map(histogramOf);
}
