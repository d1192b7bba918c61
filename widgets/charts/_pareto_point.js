// What can be done with a point that was clicked, beside it.

const POINT_GAP = 14; // pixels between the point and the box

/**
 * @param {Model<ParetoPlotTraits>} model
 * @param {ChartParts} parts
 */
function pointActions(model, parts) {
  const name = h("span", { class: "wb-point-name" });
  const again = h("button", { type: "button", class: "wb-act wb-again" }, "Measure again");
  const acts = h("span", {});
  const box = h("div", { class: "wb-point", role: "group", hidden: true }, name, again, acts);
  parts.drawing.after(box);
  let id = 0;
  /** @type {ParetoScene | null} */
  let scene = null;
  const close = () => {
    id = 0;
    draw(scene);
  };
  /** @param {ParetoScene | null} now */
  const draw = (now) => {
    scene = now;
    const mark = now?.marks.find(({ point }) => point.id === id);
    box.hidden = !mark;
    if (!now || !mark) return;
    const { label, when } = mark.point;
    write(name, when ? `${label} · ${when}` : label);
    name.title = label;
    box.setAttribute("aria-label", label);
    keepingFocus(acts, () => acts.replaceChildren(rowActions(model, { id, name: label })));
    const area = parts.drawing.querySelector(".nsewdrag")?.getBoundingClientRect();
    const body = parts.drawing.getBoundingClientRect();
    const [x, y] = [mark.at.x * now.scale.width, (1 - mark.at.y) * now.scale.height];
    const left = (area?.left ?? body.left) - body.left + x - box.offsetWidth / 2;
    const top = (area?.top ?? body.top) - body.top + y;
    const below = top + POINT_GAP + box.offsetHeight <= body.height;
    box.style.left = `${Math.max(0, Math.min(left, body.width - box.offsetWidth))}px`;
    box.style.top = `${below ? top + POINT_GAP : Math.max(0, top - POINT_GAP - box.offsetHeight)}px`;
  };
  /** @param {Event} event */
  const elsewhere = (event) => {
    if (!box.hidden && !box.contains(targetOf(event))) close();
  };
  box.addEventListener("click", (event) => actOnRow(model, event, () => draw(scene)));
  again.addEventListener("click", () => {
    model.send({ again: true });
    close();
  });
  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
  });
  addEventListener("pointerdown", elsewhere, true);
  return {
    draw,
    /** @type {(clicked: number, now: ParetoScene | null) => void} */
    open(clicked, now) {
      id = clicked;
      draw(now);
    },
    cleanUp: () => removeEventListener("pointerdown", elsewhere, true),
  };
}
