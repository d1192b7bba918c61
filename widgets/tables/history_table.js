/** @type {(row: HistoryRow, here: boolean, actions: HTMLElement, headings: string[]) => HTMLTableRowElement} */
function rowOf(row, here, actions, headings) {
  const look = { type: "button", class: "wb-link", "data-row": row.id, "aria-current": here ? "true" : null };
  /** @param {string} text */
  const number = (text) => h("td", { class: "wb-number" }, text);
  const whole = h(
    "tr",
    { class: here ? "wb-here" : null },
    h("th", { scope: "row" }, h("button", look, row.recipe)),
    h("td", {}, row.when),
    number(row.latency),
    h("td", {}, row.baseline),
    [row.speedup, row.quality, row.change, row.size].map(number),
    h("td", {}, actions),
  );
  return nameCells(whole, headings);
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
    h("th", { scope: "col" }, actionsHeading()),
  ];
  const about = "Finished runs, newest first: choose one to see it again";
  const caption = h("caption", { class: "wb-offscreen" }, about);
  const whole = h("table", { class: "wb-table wb-stacks" }, caption, h("thead", {}, h("tr", {}, columns)), body);
  const nothing = "Nothing here yet. Every finished run of this workload is kept here, across sessions.";
  const empty = h("p", { class: "wb-empty" }, nothing);
  el.append(h("div", { class: "wb-scroll", tabindex: "0", role: "region", "aria-label": "History" }, empty, whole));
  const draw = () => {
    const rows = model.get("rows");
    write(quality, model.get("quality_heading"));
    whole.hidden = !rows.length;
    empty.hidden = rows.length > 0;
    const headings = columns.map((each) => each.textContent ?? "");
    const newestFirst = [...rows].reverse().map((row) => {
      const actions = rowActions(model, { id: row.id, name: `${row.recipe}, ${row.when}` });
      return rowOf(row, row.id === model.get("selected"), actions, headings);
    });
    keepingFocus(body, () => body.replaceChildren(...newestFirst));
  };
  body.addEventListener("click", (event) => actOnRow(model, event, draw));
  follow(model, ["rows", "selected", "quality_heading", "pinned", "hidden"], draw);
}

export default { initialize: initializeRows, render };
