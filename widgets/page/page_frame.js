const LANDMARKS = { "wb-header": "banner", "wb-side": "complementary", "wb-main": "main", "wb-footer": "contentinfo" };

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
    for (const [part, role] of Object.entries(LANDMARKS)) page.querySelector(`.${part}`)?.setAttribute("role", whole ? role : "group");
    page.querySelector(".wb-side")?.setAttribute("aria-label", "Toggles");
    page.querySelector(".wb-main")?.setAttribute("aria-label", "Figures");
    if (page.querySelectorAll(Object.keys(LANDMARKS).map((part) => `.${part}`).join()).length < 4) requestAnimationFrame(name);
  };
  name();
  send(model, "views", model.get("views") + 1);
}

export default { render };
