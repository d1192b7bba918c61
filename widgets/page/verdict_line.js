const REMEMBERED = "workbench.accepted";
/** @type {Record<string, string>} */
const PILLS = { solid: "●", rough: "◐", busy: "◌" };

/** What this browser remembers; null where it remembers nothing, or may not. */
function remembered() {
  try {
    return localStorage.getItem(REMEMBERED);
  } catch {
    return null;
  }
}

/** @param {number} value */
function remember(value) {
  try {
    localStorage.setItem(REMEMBERED, String(value));
  } catch {
    // a frame without storage: it is forgotten with the page
  }
}

/** @param {Rendered<VerdictLineTraits>} rendered */
function render({ model, el }) {
  root(el, "verdict-line");
  const clauses = h("p", { class: "wb-clauses" });
  const pill = h("span", { class: "wb-pill", hidden: true });
  /** @type {(trait: "quiet_requests" | "train_requests", look: string, label: string) => HTMLElement} */
  const counting = (trait, look, label) => {
    const onclick = () => send(model, trait, model.get(trait) + 1);
    return h("button", { type: "button", class: `wb-button wb-wait ${look}`, hidden: true, onclick }, label);
  };
  const wait = counting("quiet_requests", "", "Measure when quiet");
  const train = counting("train_requests", "wb-primary", "");
  const sureness = h("span", { class: "wb-sureness" }, pill, wait, train);
  const amount = h("output", { class: "wb-amount" });
  const of = h("span", { class: "wb-of" });
  /** @param {number} direction */
  const step = (direction) => {
    const { steps } = model.get("view").accepted;
    const next =
      direction > 0
        ? steps.find((each) => each > model.get("accepted"))
        : steps.filter((each) => each < model.get("accepted")).at(-1);
    if (next === undefined) return;
    send(model, "accepted", next);
    remember(next);
  };
  /** @type {(direction: number, sign: string, label: string) => HTMLElement} */
  const stepper = (direction, sign, label) =>
    h("button", { type: "button", class: "wb-step", "aria-label": label, onclick: () => step(direction) }, sign);
  const less = stepper(-1, "−", "accept a smaller loss");
  const more = stepper(1, "+", "accept a larger loss");
  const title = "a gain is shown as one, in green, where no more than this is lost";
  const accept = h(
    "span",
    { class: "wb-accept", role: "group", "aria-label": "Accepted loss", title },
    "accept",
    less,
    amount,
    more,
    of,
  );
  el.append(h("div", { class: "wb-verdict-row" }, clauses, sureness, accept));
  follow(model, ["view", "accepted"], () => {
    const { clauses: said, stale, sure, wait: waits, train: trains, accepted } = model.get("view");
    const parts = said.map(({ part, text, tone }) =>
      h("span", { class: "wb-clause", "data-part": part, "data-tone": tone, title: text }, text),
    );
    clauses.replaceChildren(...parts);
    clauses.dataset.mark = stale ? "stale" : "";
    pill.hidden = !sure.level;
    pill.dataset.level = sure.level;
    pill.title = sure.title;
    write(pill, `${PILLS[sure.level] ?? ""} ${sure.text}`);
    wait.hidden = !waits;
    train.hidden = !trains;
    write(train, trains);
    write(amount, `${model.get("accepted")} ${accepted.unit}`);
    write(of, accepted.of);
    const { steps } = accepted;
    less.toggleAttribute("disabled", model.get("accepted") <= steps[0]);
    more.toggleAttribute("disabled", model.get("accepted") >= (steps.at(-1) ?? 0));
  });
  const before = Number(remembered() ?? Number.NaN);
  if (Number.isFinite(before) && before !== model.get("accepted")) send(model, "accepted", before);
}

export default { render };
