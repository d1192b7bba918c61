/** @type {(row: HistoryRow, here: boolean) => HTMLElement} */
function rowOf(row, here) {
  const look = { type: "button", class: "wb-link", "data-row": row.id, "aria-current": here ? "true" : null };
  /** @param {string} text */
  const number = (text) => h("td", { class: "wb-number" }, text);
  return h(
    "tr",
    { class: here ? "wb-here" : null },
    h("th", { scope: "row" }, h("button", look, row.recipe)),
    h("td", {}, row.when),
    number(row.latency),
    h("td", {}, row.baseline),
    [row.speedup, row.quality, row.change, row.size].map(number),
  );
}

/** @param {Rendered<HistoryTableTraits>} rendered */
function render({ model, el }) {
  root(el, "history-table");
  const body = h("tbody", {});
  /** @type {(title: string, look?: string) => HTMLElement} */
  const column = (title, look) => h("th", { scope: "col", class: look }, title);
  const quality = column("", "wb-number wb-judged");
  const columns = [
    ...[column("recipe"), column("when"), column("latency", "wb-number"), column("baseline")],
    ...[column("speed-up", "wb-number"), quality, column("change", "wb-number"), column("size", "wb-number")],
  ];
  const about = "Finished runs, newest first: choose one to bring its recipe back";
  const caption = h("caption", { class: "wb-offscreen" }, about);
  const whole = h("table", { class: "wb-table" }, caption, h("thead", {}, h("tr", {}, columns)), body);
  const nothing = "Nothing here yet. Every finished run of this workload is kept here, across sessions.";
  const empty = h("p", { class: "wb-empty" }, nothing);
  el.append(h("div", { class: "wb-scroll", tabindex: "0", role: "region", "aria-label": "History" }, empty, whole));
  body.addEventListener("click", (event) => chooseRow(model, rowAt(event)));
  follow(model, ["rows", "selected", "quality_heading"], () => {
    const rows = model.get("rows");
    write(quality, model.get("quality_heading"));
    whole.hidden = !rows.length;
    empty.hidden = rows.length > 0;
    const newestFirst = [...rows].reverse().map((row) => rowOf(row, row.id === model.get("selected")));
    keepingFocus(body, () => body.replaceChildren(...newestFirst));
  });
}

export default { initialize: initializeRows, render };
