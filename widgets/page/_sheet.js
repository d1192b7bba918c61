// A narrow page has one column, and its toggles are a sheet that opens from below.

const ONE_COLUMN_BELOW_PX = 900;
const ONE_COLUMN_IN_A_NOTEBOOK_BELOW_PX = 680; // a cell is narrower than its window, beside the file browser

/**
 * Put the button that opens the sheet into the footer.
 * @param {Element} page
 * @param {boolean} whole whether it is the window's
 */
function sheet(page, whole) {
  const [side, body, footer] = [".wb-side", ".wb-body", ".wb-footer"].map(
    (part) => /** @type {HTMLElement} */ (page.querySelector(part)),
  );
  const behind = [".wb-header", ".wb-main"].map((part) => page.querySelector(part));
  side.id ||= unique("sheet");
  side.tabIndex = -1;
  const onclick = () => show(!isOpen(), true);
  const look = { type: "button", class: "wb-button wb-primary wb-sheet-button", "aria-controls": side.id };
  const button = h("button", { ...look, "aria-expanded": "false", onclick }, "Recipe");
  footer.prepend(button);
  const isOpen = () => page.hasAttribute("data-sheet");
  /** @type {(open: boolean, movesFocus: boolean) => void} */
  const show = (open, movesFocus) => {
    page.toggleAttribute("data-sheet", open);
    button.setAttribute("aria-expanded", String(open));
    for (const part of behind) part?.toggleAttribute("inert", open);
    if (movesFocus) (open ? side : button).focus();
  };
  body.addEventListener("click", (event) => event.target === body && isOpen() && show(false, true));
  page.addEventListener("keydown", (event) => {
    if (/** @type {KeyboardEvent} */ (event).key === "Escape" && isOpen()) show(false, true);
  });
  const below = whole ? ONE_COLUMN_BELOW_PX : ONE_COLUMN_IN_A_NOTEBOOK_BELOW_PX;
  const lay = () => {
    const { width } = page.getBoundingClientRect();
    if (!width) return; // not on show
    page.toggleAttribute("data-one-column", width < below);
    if (width >= below && isOpen()) show(false, false);
  };
  new ResizeObserver(lay).observe(page);
  lay();
}
