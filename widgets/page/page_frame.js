/** @type {Record<string, string>} */
const LANDMARKS = { "wb-header": "banner", "wb-side": "complementary", "wb-main": "main", "wb-footer": "contentinfo" };
const PARTS = Object.keys(LANDMARKS);

const LOOK_EVERY_MS = 500;
const LOST_AFTER_LOOKS = 3;
const ENDED = ["dead", "restarting", "autorestarting", "terminating"];

/** A step's toggle and its bars light each other. @param {Element} page @param {Element | null} under */
function light(page, under) {
  const step = under?.getAttribute("data-step");
  for (const each of page.querySelectorAll("[data-step]"))
    each.classList.toggle("wb-lit", each.getAttribute("data-step") === step);
}

/**
 * What this tab kept of the page before it was loaded anew; null in a notebook, where the code says what to show.
 * @param {boolean} whole
 */
function keptBefore(whole) {
  try {
    return whole ? JSON.parse(sessionStorage.getItem(keeping()) ?? "null") : null;
  } catch {
    return null; // no storage in this frame, or not ours
  }
}

/** @param {object} kept */
function keep(kept) {
  try {
    sessionStorage.setItem(keeping(), JSON.stringify(kept));
  } catch {
    // a frame without storage: a reload begins anew
  }
}

const keeping = () => `workbench.kept ${location.pathname}`;

/**
 * Say so, over the page, when its kernel or the way there is gone, as long as it is. Hosts that don't tell are left.
 * @param {Model<PageFrameTraits>} model
 * @param {Element} page
 * @param {boolean} whole
 */
function watchOver(model, page, whole) {
  const advice = whole ? "" : " Run the cell again; “Copy recipe” keeps what is set here.";
  const words = h("span", {});
  const reconnect = h(
    "button",
    { type: "button", class: "wb-button wb-primary", onclick: () => location.reload() },
    "Reconnect",
  );
  const copied = () => copyText(JSON.stringify(model.get("kept").recipe, null, 2));
  const copy = h("button", { type: "button", class: "wb-button", onclick: copied }, "Copy recipe");
  const banner = h("div", { class: "wb-lost", role: "alert", hidden: true }, words, whole ? reconnect : copy);
  page.prepend(banner);
  let looks = 0;
  let ended = false;
  const kernel = model.widget_manager.kernel;
  if (!kernel?.statusChanged) return;
  kernel.statusChanged.connect((_, status) => {
    ended ||= ENDED.includes(status); // for good: the one that is started in its place knows nothing of this page
    look();
  });
  const look = () => {
    if (!page.isConnected) return clearInterval(timer);
    looks = kernel.connectionStatus === "connected" ? 0 : looks + 1;
    const lost = ended || looks >= LOST_AFTER_LOOKS;
    banner.hidden = !lost;
    page.toggleAttribute("data-lost", lost);
    const what = ended ? "The kernel behind this page has ended." : "The connection to the server is lost.";
    write(words, lost ? `${what} The figures are the last that came.${advice}` : "");
  };
  const timer = setInterval(look, LOOK_EVERY_MS);
}

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
    if (found.length < PARTS.length) return requestAnimationFrame(name);
    page.addEventListener("mouseover", (event) => light(page, targetOf(event).closest("[data-step]")));
    watchOver(model, page, whole);
  };
  name();
  const before = model.get("views") ? null : keptBefore(whole);
  if (before) model.set("restored", before);
  send(model, "views", model.get("views") + 1);
  model.on("change:kept", () => whole && keep(model.get("kept")));
}

export default { render };
