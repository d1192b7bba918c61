/**
 * Each line on its own: where one is too long, what follows stands further in than its beginning.
 * @param {string} text
 */
function lines(text) {
  return text
    .trimEnd()
    .split("\n")
    .map((line) => {
      const indent = `--wb-indent: ${line.search(/\S|$/) + 2}ch`;
      return h("span", { class: "wb-code-line", style: indent }, line);
    });
}

/**
 * A text with a button that copies it.
 * @param {Model<CodeViewTraits>} model
 * @param {"python" | "recipe"} trait
 * @param {string} label
 */
function block(model, trait, label) {
  const code = h("code", {});
  const status = h("span", { class: "wb-status", role: "status" });
  const button = h("button", { type: "button", class: "wb-button" }, label);
  button.addEventListener("click", async () => {
    try {
      await copyText(model.get(trait));
      write(status, "Copied");
    } catch (error) {
      write(status, /** @type {Error} */ (error).message);
    }
    setTimeout(() => write(status, ""), 2500);
  });
  follow(model, [trait], () => code.replaceChildren(...lines(model.get(trait))));
  const id = unique("code");
  const text = h("pre", { tabindex: "0", role: "region", "aria-labelledby": id }, code);
  const title = h("h3", { id });
  const head = h("div", { class: "wb-code-head" }, title, status, button);
  return { title, el: h("section", { class: "wb-code-block" }, head, text) };
}

/** @param {Rendered<CodeViewTraits>} rendered */
function render({ model, el }) {
  root(el, "code-view");
  const [python, recipe] = [block(model, "python", "Copy as Python"), block(model, "recipe", "Copy recipe")];
  write(recipe.title, "Recipe as JSON");
  follow(model, ["title"], () => write(python.title, model.get("title")));
  el.append(python.el, recipe.el);
}

export default { render };
