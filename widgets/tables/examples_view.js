/** @param {ShownExample} shown @param {string} what */
function drawing(shown, what) {
  const note = shown.note ? h("span", { class: "wb-note" }, shown.note) : null;
  if (shown.picture) return [h("img", { src: shown.picture, alt: what, draggable: "false" }), note];
  if (shown.points) return [line(shown, what), h("span", { class: "wb-note" }, shown.text), note];
  return [h("span", { class: "wb-example-text" }, shown.text), note];
}

/** @param {ShownExample} shown @param {string} what */
function line(shown, what) {
  const look = {
    viewBox: "0 0 100 28",
    preserveAspectRatio: "none",
    role: "img",
    "aria-label": `${what}: ${shown.text}`,
  };
  return svg("svg", look, svg("polyline", { points: shown.points }));
}

/** An answer in words, with a sign and a word for right or wrong. @param {ShownExample} shown */
function answer(shown) {
  const known = shown.right === true || shown.right === false;
  const [sign, word] = shown.right ? ["✓", "right: "] : ["✗", "wrong: "];
  const marked = known
    ? [h("span", { "aria-hidden": "true" }, `${sign} `), h("span", { class: "wb-offscreen" }, word)]
    : null;
  return h("span", { class: "wb-answer", "data-right": known ? String(shown.right) : null }, marked, shown.text);
}

/** Before and after, with an arrow between them. @type {(word: string, before: Child, after: Child) => HTMLElement} */
function change(word, before, after) {
  const arrow = h("span", { "aria-hidden": "true" }, " → ");
  return h("p", {}, dim(word), before, arrow, h("span", { class: "wb-offscreen" }, ", now "), after);
}

/** What comes after it. @param {string} word */
function dim(word) {
  return word ? h("span", { class: "wb-example-word" }, `${word} `) : null;
}

/** @param {ExampleItem} item @param {ExamplesFound} found */
function exampleOf(item, found) {
  const masks = found.form === "masks";
  const { inputs, target, before, after } = item;
  const named = `example ${item.number}`;
  /** @type {(shown: ShownExample, what: string) => HTMLElement} */
  const captioned = (shown, what) => h("figure", {}, drawing(shown, `${what} of ${named}`), h("figcaption", {}, what));
  const pictures = [
    ...inputs.map((each) => (masks ? captioned(each, "input") : h("div", {}, drawing(each, `input of ${named}`)))),
    ...(masks && target ? [captioned(target, "target")] : []),
    ...(masks ? [captioned(before, "before"), captioned(after, "now")] : []),
  ];
  const wanted = target && !masks ? h("p", {}, dim("target"), target.text) : null;
  const told = masks ? null : change(found.figure_word && "answer", answer(before), answer(after));
  const [was, is] = [before, after].map((side) => h("span", { class: "wb-example-figure" }, side.figure));
  const figure = after.figure ? change(found.figure_word, was, is) : null;
  const words = h("div", { class: "wb-example-words" }, wanted, told, figure);
  return h("li", { class: "wb-example", title: named }, h("div", { class: "wb-example-inputs" }, pictures), words);
}

/** @param {ExamplesFound} found */
function groupsOf(found) {
  return found.groups.map((group) => {
    const heading = h("h3", { id: unique("group") }, group.title);
    const items = group.items.map((item) => exampleOf(item, found));
    return [heading, h("ul", { "data-form": found.form, "aria-labelledby": heading.id }, items)];
  });
}

/** What the figures and the colours below stand for. @param {ExamplesFound} found */
function keyOf(found) {
  const figures = found.figures && found.groups.length ? h("p", {}, found.figures) : null;
  const entries = found.legend.map(([name, colour]) => {
    return h("li", {}, h("i", { style: `background: ${colour}`, "aria-hidden": "true" }), name);
  });
  const colours = entries.length ? h("ul", { "aria-label": "Colours" }, entries) : null;
  return figures || colours ? h("div", { class: "wb-examples-key" }, figures, colours) : null;
}

/** @param {ConfusionGrids} confusion @param {"now" | "change"} shown */
function matrixOf(confusion, shown) {
  const { classes } = confusion;
  const columns = classes.map((name, i) => {
    const seen = h("span", { "aria-hidden": "true" }, i);
    return h("th", { scope: "col", title: name }, seen, h("span", { class: "wb-offscreen" }, `answered ${name}`));
  });
  const rows = confusion[shown].map((row, i) => {
    const cells = row.map((cell, j) => {
      const title = `${cell.text}: ${classes[i]}, answered ${classes[j]}`;
      return h("td", { "data-tone": cell.tone, style: `--share: ${cell.share}`, title }, cell.text);
    });
    const number = h("span", { class: "wb-example-word", "aria-hidden": "true" }, i);
    return h("tr", {}, h("th", { scope: "row" }, h("span", {}, classes[i]), number), cells);
  });
  const words = shown === "now" ? "How often each class is taken for each" : "The same, less what the baseline does";
  const corner = h("td", {}, h("span", { class: "wb-note" }, "target \\ answer"));
  const head = h("thead", {}, h("tr", {}, corner, columns));
  return h(
    "table",
    { class: "wb-confusion" },
    h("caption", { class: "wb-offscreen" }, words),
    head,
    h("tbody", {}, rows),
  );
}

/** @param {{ shown: "now" | "change" }} chosen @param {() => void} draw */
function choiceOf(chosen, draw) {
  const name = unique("confusion");
  /** @type {(value: "now" | "change", text: string) => HTMLElement} */
  const choice = (value, text) => {
    const choose = () => {
      chosen.shown = value;
      draw();
    };
    return h("label", {}, h("input", { type: "radio", name, checked: chosen.shown === value, onchange: choose }), text);
  };
  const legend = h("legend", {}, "What is taken for what");
  return h("fieldset", {}, legend, choice("now", "now"), choice("change", "change to the baseline"));
}

/** @param {Rendered<ExamplesViewTraits>} rendered */
function render({ model, el }) {
  root(el, "examples-view");
  const empty = h("p", { class: "wb-empty" });
  const summary = h("p", { class: "wb-examples-summary", role: "status" });
  const list = h("div", { class: "wb-examples-list" });
  const region = { tabindex: "0", role: "region" };
  const left = h("div", { class: "wb-scroll", ...region, "aria-label": "Examples" }, empty, summary, list);
  const grid = h("div", { class: "wb-confusion-grid" });
  const right = h("div", { class: "wb-scroll wb-examples-aside", ...region, "aria-label": "Confusion matrix" });
  el.append(h("div", { class: "wb-examples" }, left, right));
  /** @type {{ shown: "now" | "change" }} */
  const chosen = { shown: "now" };
  /** @type {ConfusionGrids | null} */
  let confusion = null;
  const drawGrid = () => grid.replaceChildren(...(confusion ? [matrixOf(confusion, chosen.shown)] : []));
  right.append(choiceOf(chosen, drawGrid), grid);
  follow(model, ["mark"], () => {
    el.dataset.mark = model.get("mark");
  });
  follow(model, ["view"], () => {
    const view = model.get("view");
    const found = "groups" in view ? view : null;
    write(empty, "empty" in view ? view.empty : "");
    write(summary, found ? found.summary : "");
    const drawn = found ? [keyOf(found), ...groupsOf(found)] : [];
    list.replaceChildren(...h("div", {}, drawn).childNodes);
    confusion = found ? found.confusion : null;
    right.hidden = !confusion;
    drawGrid();
  });
}

export default { render };
