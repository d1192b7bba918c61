const SIGNS = {
  starting: "◌",
  idle: "○",
  working: "●",
  training: "●",
  searching: "●",
  finished: "✓",
  cancelled: "■",
  failed: "✕",
  untrained: "◌",
};

/** @param {Rendered<RunProgressTraits>} rendered */
function render({ model, el }) {
  root(el, "run-progress");
  const sign = h("span", { class: "wb-sign", "aria-hidden": "true" });
  const text = h("span", { class: "wb-text" });
  const fill = h("i", {});
  const bar = h("span", { class: "wb-progress", "aria-hidden": "true" }, fill);
  /** @type {(trait: "cancels" | "repeats" | "takes", label: string) => HTMLElement} */
  const counting = (trait, label) => {
    const onclick = () => send(model, trait, model.get(trait) + 1);
    return h("button", { type: "button", class: "wb-button", onclick }, label);
  };
  const [cancel, again] = [counting("cancels", "Cancel"), counting("repeats", "Measure again")];
  const take = counting("takes", "Take the best so far");
  const notices = h("span", { class: "wb-notices" });
  const noted = h("span", { class: "wb-noted" }); // in place of them where there is little room
  const environment = h("span", { class: "wb-environment" });
  const spoken = h("span", { class: "wb-offscreen", role: "status", "aria-live": "polite" });
  const alert = h("span", { class: "wb-alert", role: "alert" });
  el.append(
    sign,
    text,
    bar,
    take,
    cancel,
    again,
    alert,
    notices,
    noted,
    h("span", { class: "wb-space" }),
    environment,
    spoken,
  );
  follow(model, ["view"], () => {
    const view = model.get("view");
    el.dataset.phase = view.phase;
    write(sign, SIGNS[view.phase] ?? "");
    write(text, view.text);
    fill.style.width = `${Math.round(100 * (view.share ?? 0))}%`;
    bar.hidden = view.share === null || view.share === undefined || !view.busy;
    cancel.hidden = !view.busy;
    again.hidden = !view.again;
    take.hidden = !view.take;
    write(notices, view.notices.length ? `Note: ${view.notices.join("; ")}` : "");
    write(noted, view.noted);
    write(alert, view.error);
    write(environment, view.environment);
    write(spoken, view.error ? "" : view.spoken);
  });
}

export default { render };
