function rowOf(layer) {
  const reality = h("td", {}, realityTag(layer.reality), layer.reason ? h("span", { class: "wb-because" }, layer.reason) : null);
  const cells = [layer.before, layer.after, layer.compute].map((text) => h("td", {}, text));
  return h("tr", {}, h("th", { scope: "row" }, layer.layer, h("span", { class: "wb-op" }, layer.op)), cells, h("td", {}, h("code", {}, layer.kernel)), reality);
}

function render({ model, el }) {
  root(el, "receipt-view");
  const body = h("tbody", {});
  const columns = ["layer", "weight before", "weight after", "computes in", "kernel", "real or not, and why"].map((title) => h("th", { scope: "col" }, title));
  const whole = h("table", { class: "wb-table" }, h("caption", { class: "wb-offscreen" }, "Receipt"), h("thead", {}, h("tr", {}, columns)), body);
  const empty = h("p", { class: "wb-empty" }, "The receipt says for every layer what really ran: real, simulated or unchanged, and why.");
  const facts = h("dl", { class: "wb-facts" });
  el.append(h("div", { class: "wb-scroll", tabindex: "0", role: "region", "aria-label": "Receipt" }, empty, whole, facts));
  follow(model, ["rows", "facts", "mark"], () => {
    const rows = model.get("rows");
    el.dataset.mark = model.get("mark");
    whole.hidden = !rows.length;
    empty.hidden = rows.length > 0;
    body.replaceChildren(...rows.map(rowOf));
    facts.replaceChildren(...model.get("facts").map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
  });
}

export default { render };
