/** @param {Rendered<WorkloadBarTraits>} rendered */
function render({ model, el }) {
  root(el, "workload-bar");
  const id = unique("workload");
  const select = h("select", { id, class: "wb-select", onchange: () => send(model, "workload", select.value) });
  const description = h("span", { class: "wb-description" });
  const summary = h("span", { class: "wb-summary" });
  const startOver = () => send(model, "resets", model.get("resets") + 1);
  const reset = h("button", { type: "button", class: "wb-button", onclick: startOver }, "Start over");
  const name = h("h1", {}, h("span", { class: "wb-glyph", "aria-hidden": "true" }), "Workbench");
  const label = h("label", { class: "wb-offscreen", for: id }, "Workload");
  el.append(name, label, select, description, h("span", { class: "wb-space" }), summary, reset);
  follow(model, ["workloads", "workload", "summary", "changed"], () => {
    const known = model.get("workloads");
    const names = known.length ? known.map((each) => each.name) : [model.get("workload")];
    const offered = [...select.options].map((option) => option.value);
    if (names.join() !== offered.join())
      select.replaceChildren(...names.map((each) => h("option", { value: each }, each || "…")));
    select.value = model.get("workload");
    const text = known.find((each) => each.name === model.get("workload"))?.description ?? "";
    write(description, text);
    description.title = text;
    write(summary, model.get("summary"));
    summary.title = model.get("summary");
    reset.disabled = !model.get("changed");
  });
}

export default { render };
