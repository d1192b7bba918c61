// What the marks mean: an entry for each that is to be seen.

/** Within 14 by 14, in the mark's own colour. @type {Record<string, [path: string, colour: string, filled: boolean]>} */
const GLYPHS = {
  front: ["M7 2.5a4.5 4.5 0 1 1 0 9a4.5 4.5 0 1 1 0-9z", "--wb-blue", true],
  beaten: ["M3.5 3.5h7v7h-7z", "--wb-orange", false],
  apart: ["M7 3l4 7.5h-8z", "--wb-dim", false],
  baseline: ["M7 1.5l5 5.5l-5 5.5l-5-5.5z", "--wb-dim", true],
  current: ["M7 1l1.7 4.1l4.4.4l-3.3 2.9l1 4.4l-3.8-2.4l-3.8 2.4l1-4.4l-3.3-2.9l4.4-.4z", "--wb-blue", true],
  chosen: ["M7 1.5a5.5 5.5 0 1 1 0 11a5.5 5.5 0 1 1 0-11z", "--wb-ink", false],
  pinned: ["M1.5 1.5h11v11h-11z", "--wb-ink", false],
  parked: ["M12.5 7l-10 4.5l2.5-4.5l-2.5-4.5z", "--wb-dim", true],
};

/** @param {string} name */
function glyph(name) {
  const [path, ink, filled] = GLYPHS[name];
  const style = `stroke: var(${ink}); stroke-width: 1.3; fill: ${filled ? `var(${ink})` : "none"}`;
  const frame = { width: "14", height: "14", viewBox: "0 0 14 14", "aria-hidden": "true" };
  return svg("svg", frame, svg("path", { d: path, style }));
}

/** @type {Record<string, string>} */
const MEANINGS = {
  front: "front",
  beaten: "beaten",
  apart: "other batch",
  baseline: "baseline",
  current: "now",
  chosen: "shown",
  pinned: "pinned",
  parked: "off the plot",
};

/** @param {ParetoScene | null} scene */
function legendEntries(scene) {
  if (!scene) return [];
  const { marks, chosen, pinned, accepted, scale } = scene;
  const present = new Set([...marks.map(({ kind }) => kind), ...(chosen ? ["chosen"] : [])]);
  if (pinned.length) present.add("pinned");
  if (marks.some(({ at }) => at.angle !== null)) present.add("parked");
  const entries = Object.keys(MEANINGS).filter((name) => present.has(name));
  const region = accepted.bound !== undefined && share(accepted.bound, scale.y) < 1;
  return [
    ...entries.map((name) => h("li", {}, glyph(name), MEANINGS[name])),
    ...(region ? [regionEntry(accepted.loss)] : []),
  ];
}

/** The amount is left out where there is little room: it stands at the top of the page. @param {string | undefined} loss */
function regionEntry(loss) {
  const sample = h("i", { class: "wb-region", "aria-hidden": "true" });
  return h("li", { title: loss }, sample, h("span", {}, "accepted", h("span", { class: "wb-amount" }, `: ${loss}`)));
}
