/** Where each key leads among so many nodes. @type {Record<string, (at: number, count: number) => number>} */
const STEPS = {
  ArrowRight: (at) => at + 1,
  ArrowDown: (at) => at + 1,
  ArrowLeft: (at) => at - 1,
  ArrowUp: (at) => at - 1,
  Home: () => 0,
  End: (_, count) => count - 1,
};

/** A curve through the points of an edge, level at each. @param {number[]} points */
function curve(points) {
  let path = `M${points[0]} ${points[1]}`;
  for (let i = 2; i < points.length; i += 2) {
    const [x0, y0, x1, y1] = points.slice(i - 2, i + 2);
    const middle = (x0 + x1) / 2;
    path += ` C${middle} ${y0} ${middle} ${y1} ${x1} ${y1}`;
  }
  return path;
}

/** @param {LayerGraphTraits["view"]} view */
function drawnEdges({ width, height, edges }) {
  const paths = edges.map(({ points }) => svg("path", { d: curve(points) }));
  return svg("svg", { width, height, "aria-hidden": "true" }, ...paths);
}

/** What a node says when it is spoken. @param {GraphNode} node */
function spoken(node) {
  const told = [
    node.name,
    node.op,
    node.percent && `${node.percent} of the time`,
    node.gone ? "not there any more" : node.reality,
  ];
  return told.filter(Boolean).join(", ");
}

/** @param {GraphNode} node @param {number} height */
function drawnNode(node, height) {
  const place = `left: ${node.x}px; top: ${node.y}px; width: ${node.width}px; height: ${height}px; --shade: ${node.shade}`;
  const label = h("span", { class: "wb-node-name" }, node.label);
  if (node.kind !== "layer") return h("span", { class: "wb-node", "data-kind": node.kind, style: place }, label);
  const look = { class: "wb-node", "data-kind": "layer", "data-layer": node.name, "data-reality": node.reality };
  const mark = h(
    "span",
    { class: `wb-node-mark wb-${node.reality}`, "aria-hidden": "true" },
    REALITY_SIGNS[node.reality] ?? "",
  );
  const spokenToo = { "aria-label": spoken(node), title: spoken(node), type: "button", tabindex: "-1" };
  const below = h("span", { class: "wb-node-share" }, mark, node.gone ? " folded" : ` ${node.percent}`);
  return h("button", { ...look, ...spokenToo, style: place, "data-gone": node.gone || null }, label, below);
}

/** @param {Rendered<LayerGraphTraits>} rendered */
function render({ model, el }) {
  root(el, "layer-graph");
  const canvas = h("div", { class: "wb-graph-canvas" });
  const box = h("div", { class: "wb-graph", role: "group", "aria-label": "Graph of the model" }, canvas);
  el.append(box);
  /** @type {() => HTMLElement[]} */
  const buttons = () => [...canvas.querySelectorAll("button")];
  /** One of the nodes is reached by Tab, the others from it. @param {HTMLElement | undefined} node */
  const rove = (node) => {
    for (const each of buttons()) each.tabIndex = each === node ? 0 : -1;
  };
  /** Scroll sideways as far as a node needs; upwards the page stays where the person is. @param {HTMLElement} node */
  const bring = ({ offsetLeft, offsetWidth }) => {
    const [left, right] = [box.scrollLeft, box.scrollLeft + box.clientWidth];
    if (offsetLeft < left || offsetLeft + offsetWidth > right) box.scrollLeft = offsetLeft - box.clientWidth / 3;
  };
  const choose = () => {
    const selected = model.get("selected");
    for (const each of buttons()) each.setAttribute("aria-pressed", String(each.dataset.layer === selected));
    const chosen = buttons().find(({ dataset }) => dataset.layer === selected);
    if (chosen) rove(chosen);
    if (chosen) bring(chosen);
  };
  box.addEventListener("click", (event) => {
    const layer = /** @type {HTMLElement | null} */ (targetOf(event).closest("button"))?.dataset.layer;
    if (layer) send(model, "selected", layer === model.get("selected") ? "" : layer);
  });
  box.addEventListener("keydown", (event) => {
    const all = buttons();
    const at = all.indexOf(targetOf(event));
    const to = STEPS[event.key]?.(at, all.length);
    if (to === undefined || at < 0) return;
    event.preventDefault();
    const next = all[Math.max(0, Math.min(to, all.length - 1))];
    rove(next);
    next.focus();
  });
  const draw = () => {
    const view = model.get("view");
    const had = /** @type {HTMLElement | null} */ (document.activeElement);
    const focused = canvas.contains(had) ? had?.dataset.layer : "";
    box.hidden = !view.nodes;
    if (!view.nodes) return;
    canvas.style.width = `${view.width}px`;
    canvas.style.height = `${view.height}px`;
    canvas.replaceChildren(drawnEdges(view), ...view.nodes.map((node) => drawnNode(node, view.node_height)));
    const same = focused ? buttons().find(({ dataset }) => dataset.layer === focused) : undefined;
    rove(same ?? buttons()[0]);
    choose();
    same?.focus();
  };
  follow(model, ["view"], draw);
  follow(model, ["selected"], choose);
}

export default { render };
