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

/** Whether every part has been drawn: they come one by one, each as soon as its code is there. @param {Element} page */
function isWhole(page) {
  const parts = [
    ...page.querySelectorAll(":is(.wb-side, .wb-main, .wb-charts, .wb-details) > *, .wb-header, .wb-footer"),
  ];
  return PARTS.every((part) => page.querySelector(`.${part}`)) && parts.every((part) => part.childElementCount);
}

/** @param {Rendered<PageFrameTraits>} rendered */
function render({ model, el }) {
  el.classList.add("wb-page-frame");
  el.append(h("style", {}, `.${model.get("twin_class")} { display: none; }`));
  const whole = isWholePage();
  if (whole) {
    document.title = "Workbench";
    document.documentElement.lang ||= "en";
    document.body.classList.add("wb-whole-page");
  }
  // inside a notebook the page is one figure among others, so its parts are groups there, no landmarks
  const name = () => {
    const page = el.closest(".wb-page");
    if (!page || !isWhole(page)) return requestAnimationFrame(name);
    page.toggleAttribute("data-drawn", true);
    for (const part of PARTS) page.querySelector(`.${part}`)?.setAttribute("role", whole ? LANDMARKS[part] : "group");
    page.querySelector(".wb-side")?.setAttribute("aria-label", "Toggles");
    page.querySelector(".wb-main")?.setAttribute("aria-label", "Figures");
    page.addEventListener("mouseover", (event) => light(page, targetOf(event).closest("[data-step]")));
    sheet(page, whole);
    watchOver(model, page, whole);
  };
  name();
  const asked = model.get("views") ? null : askedByAddress();
  if (asked) model.set("restored", asked);
  send(model, "views", model.get("views") + 1);
  if (!whole) return;
  const follows = () => {
    const asked = askedByAddress(); // a link was put into the address of the open page
    if (asked) send(model, "restored", { ...asked, at: Date.now() }); // it may be the one that was followed last
  };
  addEventListener("hashchange", follows);
  model.on("change:kept", () => keepInAddress(model.get("kept")));
  return () => removeEventListener("hashchange", follows);
}

export default { render };
