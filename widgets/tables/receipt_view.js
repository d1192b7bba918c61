const HEAD = ["layer", "weight before", "weight after", "computes in", "kernel", "real or not, and why"];

/** @param {ReceiptRow} layer */
function rowOf(layer) {
  const because = layer.reason ? h("span", { class: "wb-because" }, layer.reason) : null;
  const row = h(
    "tr",
    {},
    h("th", { scope: "row" }, layer.layer, h("span", { class: "wb-op" }, layer.op)),
    [layer.before, layer.after, layer.compute].map((text) => h("td", {}, text)),
    h("td", {}, h("code", {}, layer.kernel)),
    h("td", {}, realityTag(layer.reality), because),
  );
  return nameCells(row, HEAD);
}

/** @param {Rendered<ReceiptViewTraits>} rendered */
function render({ model, el }) {
  root(el, "receipt-view");
  const body = h("tbody", {});
  const columns = HEAD.map((title) => h("th", { scope: "col" }, title));
  const caption = h("caption", { class: "wb-offscreen" }, "Receipt");
  const whole = h("table", { class: "wb-table wb-stacks" }, caption, h("thead", {}, h("tr", {}, columns)), body);
  const nothing = "The receipt says for every layer what really ran: real, simulated or unchanged, and why.";
  const empty = h("p", { class: "wb-empty" }, nothing);
  const facts = h("dl", { class: "wb-facts" });
  el.append(
    h("div", { class: "wb-scroll", tabindex: "0", role: "region", "aria-label": "Receipt" }, empty, whole, facts),
  );
  follow(model, ["rows", "facts", "mark"], () => {
    const rows = model.get("rows");
    el.dataset.mark = model.get("mark");
    whole.hidden = !rows.length;
    empty.hidden = rows.length > 0;
    body.replaceChildren(...rows.map(rowOf));
    const told = model.get("facts").map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)));
    facts.replaceChildren(...told);
  });
}

export default { render };
