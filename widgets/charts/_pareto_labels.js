// Labels that never meet: each takes the first place beside its mark where nothing is yet, or is left out.

const LABEL_SIZE = 12;
const LABEL_HEIGHT = 16;
const LONGEST_OF_FRONT = 24; // characters

/** @type {CanvasRenderingContext2D | null} */
let ruler = null;

/** In pixels. @param {string} text @param {string} family */
function textWidth(text, family) {
  ruler ??= document.createElement("canvas").getContext("2d");
  if (!ruler) return 7 * text.length;
  ruler.font = `${LABEL_SIZE}px ${family}`;
  return ruler.measureText(text).width;
}

/** @param {string} text @param {number} most characters */
const shortened = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

/** Which marks are labelled, those that matter most first. @type {(scene: ParetoScene, card: HTMLElement) => Label[]} */
function wanted({ marks, chosen, pinned, scale }, card) {
  const most = Math.max(8, Math.floor(scale.width / 8));
  const [ink, dim] = [colour(card, "--wb-ink"), colour(card, "--wb-dim")];
  const parked = (/** @type {ParetoMark} */ mark) => (mark.at.angle === null ? "" : ", off the plot");
  /** @type {(some: ParetoMark[], ink: string, needed: Label["needed"], most: number) => Label[]} */
  const labels = (some, ink, needed, most) =>
    some.map((mark) => ({ mark, text: shortened(mark.point.label, most) + parked(mark), ink, needed }));
  const [current, baseline, front] = ["current", "baseline", "front"].map((kind) =>
    marks.filter((mark) => mark.kind === kind && mark !== chosen && !pinned.includes(mark)),
  );
  return [
    ...labels(current, ink, "always", most),
    ...(current.length || !chosen ? [] : labels([chosen], ink, "always", most)),
    ...labels(
      pinned.filter((mark) => mark !== chosen),
      ink,
      "if free",
      LONGEST_OF_FRONT,
    ),
    ...labels(baseline, dim, "if free", most),
    ...labels(
      front.filter(({ at }) => at.angle === null),
      dim,
      "",
      LONGEST_OF_FRONT,
    ),
  ];
}

/** @typedef {{ box: Box, look: object }} LabelPlace */

/**
 * Around a mark, in pixels from the top left: where its text may stand, so far away, the nearest first.
 * @type {(x: number, y: number, width: number, gaps: number[]) => LabelPlace[]}
 */
function candidates(x, y, width, gaps) {
  /** @typedef {[xanchor: "left" | "center" | "right", yanchor: "top" | "middle" | "bottom"]} Anchor */
  const sides = /** @type {Anchor[]} */ ([
    ["center", "bottom"],
    ["center", "top"],
    ["left", "middle"],
    ["right", "middle"],
    ["left", "bottom"],
    ["right", "bottom"],
    ["left", "top"],
    ["right", "top"],
  ]);
  return gaps.flatMap((gap) =>
    sides.map(([xanchor, yanchor]) => {
      const beside = yanchor === "middle" ? gap + 2 : 0;
      const xshift = { left: beside, center: 0, right: -beside }[xanchor];
      const yshift = { top: -gap, middle: 0, bottom: gap }[yanchor];
      const left = x + xshift - { left: 0, center: width / 2, right: width }[xanchor];
      const top = y - yshift - { top: 0, middle: LABEL_HEIGHT / 2, bottom: LABEL_HEIGHT }[yanchor];
      const box = { left, right: left + width, top, bottom: top + LABEL_HEIGHT };
      return { box, look: { xanchor, yanchor, xshift, yshift } };
    }),
  );
}

/** @type {(one: Box, other: Box) => boolean} */
const meet = (one, other) =>
  one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;

/** @type {(one: { x: number, y: number }, other: { x: number, y: number }, around: number) => Box} */
const boxOf = (one, other, around) => ({
  left: Math.min(one.x, other.x) - around,
  right: Math.max(one.x, other.x) + around,
  top: Math.min(one.y, other.y) - around,
  bottom: Math.max(one.y, other.y) + around,
});

/**
 * Plotly's annotations.
 * @param {ParetoScene} scene
 * @param {HTMLElement} card
 */
function labels(scene, card) {
  const { width, height } = scene.scale;
  const family = getComputedStyle(card).fontFamily;
  const points = scene.marks.map(({ at }) => ({ x: at.x * width, y: (1 - at.y) * height }));
  const around = points.map(({ x, y }, i) => {
    const { angle } = scene.marks[i].at;
    if (angle === null) return boxOf({ x, y }, { x, y }, 8);
    const turn = (angle * Math.PI) / 180; // an arrow stands with its tip at its place
    return boxOf({ x, y }, { x: x - ARROW_SIZE * Math.sin(turn), y: y + ARROW_SIZE * Math.cos(turn) }, 6);
  });
  const front = points.filter((_, i) => scene.marks[i].kind === "front" && scene.marks[i].at.angle === null);
  const line = front.slice(1).flatMap((to, i) => {
    const corner = { x: to.x, y: front[i].y };
    return [boxOf(front[i], corner, 1), boxOf(corner, to, 1)];
  });
  const { x: across, y: up } = scene.scale;
  const bars = emphasised(scene).flatMap(({ point, at }) => {
    if (at.angle !== null) return [];
    const [x, y] = [at.x * width, (1 - at.y) * height];
    const high = (point.quality_ends ?? [point.quality]).map((end) => ({ x, y: (1 - share(end, up)) * height }));
    const wide = (point.ms_ends ?? [point.ms]).map((end) => ({ x: share(Math.log10(end), across) * width, y }));
    return [high, wide].map((ends) => boxOf(ends[0], ends.at(-1) ?? ends[0], 1));
  });
  /** @type {Box[]} */
  const taken = [];
  return wanted(scene, card).flatMap(({ mark, text, ink, needed }) => {
    const own = scene.marks.indexOf(mark);
    const marks = around.filter((_, i) => i !== own);
    const { x, y } = points[own];
    const free = candidates(x, y, Math.ceil(textWidth(text, family)) + 6, needed ? [12, 24] : [8]).filter(
      ({ box }) =>
        box.left >= 0 &&
        box.right <= width &&
        box.top >= 0 &&
        box.bottom <= height &&
        !taken.some((other) => meet(box, other)),
    );
    /** @type {(obstacles: Box[]) => LabelPlace | undefined} */
    const clearOf = (obstacles) => free.find(({ box }) => !obstacles.some((other) => meet(box, other)));
    const alone = clearOf([...marks, ...line, ...bars]) ?? clearOf([...marks, ...line]);
    const place = alone ?? (needed ? clearOf(marks) : undefined) ?? (needed === "always" ? free[0] : undefined);
    if (!place) return [];
    taken.push(place.box);
    const { log, quality } = figuresAt(mark.at, scene.scale);
    const bgcolor = alone ? "rgba(0,0,0,0)" : colour(card, "--wb-bg", 0.75);
    const font = { size: LABEL_SIZE, color: ink };
    return [{ x: log, y: quality, text, bgcolor, showarrow: false, borderpad: 1, font, ...place.look }];
  });
}
