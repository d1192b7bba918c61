const SIGNS = { starting: "◌", idle: "○", working: "●", training: "●", finished: "✓", cancelled: "■", failed: "✕" };

function render({ model, el }) {
  root(el, "run-progress");
  const sign = h("span", { class: "wb-sign", "aria-hidden": "true" });
  const text = h("span", { class: "wb-text" });
  const fill = h("i", {});
  const bar = h("span", { class: "wb-progress", "aria-hidden": "true" }, fill);
  const cancel = h("button", { type: "button", class: "wb-button", onclick: () => send(model, "cancels", model.get("cancels") + 1) }, "Cancel");
  const again = h("button", { type: "button", class: "wb-button", onclick: () => send(model, "repeats", model.get("repeats") + 1) }, "Measure again");
  const notices = h("span", { class: "wb-notices" });
  const environment = h("span", { class: "wb-environment" });
  const spoken = h("span", { class: "wb-offscreen", role: "status", "aria-live": "polite" });
  const alert = h("span", { class: "wb-alert", role: "alert" });
  el.append(sign, text, bar, cancel, again, alert, notices, h("span", { class: "wb-space" }), environment, spoken);
  follow(model, ["view"], () => {
    const view = model.get("view");
    el.dataset.phase = view.phase;
    write(sign, SIGNS[view.phase] ?? "");
    write(text, view.text);
    fill.style.width = `${Math.round(100 * (view.share ?? 0))}%`;
    bar.hidden = view.share === null || view.share === undefined || !view.busy;
    cancel.hidden = !view.busy;
    again.hidden = !view.again;
    write(notices, view.notices.length ? `Note: ${view.notices.join("; ")}` : "");
    write(alert, view.error);
    write(environment, view.environment);
    write(spoken, view.error ? "" : view.spoken);
  });
}

export default { render };
