function render({ model, el }) {
  root(el, "history-table");
  const body = h("tbody", {});
  const head = [["recipe"], ["when"], ["latency", 1], ["baseline"], ["speed-up", 1], ["accuracy", 1], ["change", 1], ["size", 1]];
  const columns = head.map(([title, number]) => h("th", { scope: "col", class: number ? "wb-number" : null }, title));
  const whole = h("table", { class: "wb-table" }, h("caption", { class: "wb-offscreen" }, "Finished runs, newest first: choose one to bring its recipe back"), h("thead", {}, h("tr", {}, columns)), body);
  const empty = h("p", { class: "wb-empty" }, "Nothing here yet. Every finished run of this workload is kept here, across sessions.");
  el.append(h("div", { class: "wb-scroll", tabindex: "0", role: "region", "aria-label": "History" }, empty, whole));
  body.addEventListener("click", (event) => chooseRow(model, Number(event.target.dataset.row ?? 0)));
  follow(model, ["rows", "selected"], () => {
    const rows = model.get("rows");
    const focused = body.contains(document.activeElement) ? document.activeElement.dataset.row : null;
    whole.hidden = !rows.length;
    empty.hidden = rows.length > 0;
    body.replaceChildren(...[...rows].reverse().map((row) => {
      const here = row.id === model.get("selected");
      const button = h("button", { type: "button", class: "wb-link", "data-row": row.id, "aria-current": here ? "true" : null }, row.recipe);
      const numbers = [row.speedup, row.accuracy, row.change, row.size].map((text) => h("td", { class: "wb-number" }, text));
      return h("tr", { class: here ? "wb-here" : null }, h("th", { scope: "row" }, button), h("td", {}, row.when), h("td", { class: "wb-number" }, row.latency), h("td", {}, row.baseline), numbers);
    }));
    if (focused) body.querySelector(`[data-row="${focused}"]`)?.focus();
  });
}

export default { initialize: initializeRows, render };
