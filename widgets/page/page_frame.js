/** @type {Record<string, string>} */
const LANDMARKS = { "wb-header": "banner", "wb-side": "complementary", "wb-main": "main", "wb-footer": "contentinfo" };
const PARTS = Object.keys(LANDMARKS);

/** @param {Rendered<PageFrameTraits>} rendered */
function render({ model, el }) {
  el.classList.add("wb-page-frame");
  const whole = document.body.dataset.voila === "voila";
  if (whole) {
    document.title = "Workbench";
    document.documentElement.lang ||= "en";
    document.body.classList.add("wb-whole-page");
  }
  // inside a notebook the page is one figure among others, so its parts are groups there, no landmarks
  const name = () => {
    const page = el.closest(".wb-page");
    if (!page) return requestAnimationFrame(name);
    const found = PARTS.filter((part) => {
      const element = page.querySelector(`.${part}`);
      element?.setAttribute("role", whole ? LANDMARKS[part] : "group");
      return element;
    });
    page.querySelector(".wb-side")?.setAttribute("aria-label", "Toggles");
    page.querySelector(".wb-main")?.setAttribute("aria-label", "Figures");
    if (found.length < PARTS.length) requestAnimationFrame(name);
  };
  name();
  send(model, "views", model.get("views") + 1);
}

export default { render };
