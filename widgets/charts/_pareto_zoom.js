// Zooming: drag over a part of the plot, double-click for the whole.

/**
 * @param {HTMLElement} drawing
 * @param {() => void} redraw
 */
function zoomOf(drawing, redraw) {
  /** @type {Zoom | null} */
  let part = null;
  let held = false;
  /** @param {Zoom | null} next */
  const set = (next) => {
    part = next;
    redraw();
  };
  // drawing anew under a hand that drags would take the rectangle away
  const press = () => {
    held = true;
  };
  const release = () => {
    if (!held) return;
    held = false;
    redraw();
  };
  drawing.addEventListener("pointerdown", press);
  addEventListener("pointerup", release);
  addEventListener("pointercancel", release);
  return {
    part: () => part,
    dragging: () => held,
    /** What Plotly says of a drag: the new ends of one axis or of both. @param {Record<string, number>} ends */
    take(ends) {
      /** @type {(axis: "xaxis" | "yaxis") => Ends | null} */
      const of = (axis) => (`${axis}.range[0]` in ends ? [ends[`${axis}.range[0]`], ends[`${axis}.range[1]`]] : null);
      const [x, y] = [of("xaxis"), of("yaxis")];
      if (!x && !y) return;
      const { xaxis, yaxis } = /** @type {any} */ (drawing).layout;
      set({ x: x ?? xaxis.range, y: y ?? yaxis.range });
    },
    reset: () => set(null),
    cleanUp() {
      removeEventListener("pointerup", release);
      removeEventListener("pointercancel", release);
    },
  };
}
