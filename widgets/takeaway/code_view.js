/** Each line on its own: where one is too long, what follows stands further in than its beginning. */
function lines(text) {
  return text.trimEnd().split("\n").map((line) => h("span", { class: "wb-code-line", style: `--wb-indent: ${line.search(/\S|$/) + 2}ch` }, line));
}

function block(model, trait, label) {
  const code = h("code", {});
  const status = h("span", { class: "wb-status", role: "status" });
  const button = h("button", { type: "button", class: "wb-button" }, label);
  button.addEventListener("click", async () => {
    try {
      await copyText(model.get(trait));
      write(status, "Copied");
    } catch (error) {
      write(status, error.message);
    }
    setTimeout(() => write(status, ""), 2500);
  });
  follow(model, [trait], () => code.replaceChildren(...lines(model.get(trait))));
  const id = unique("code");
  const text = h("pre", { tabindex: "0", role: "region", "aria-labelledby": id }, code);
  const title = h("h3", { id });
  return { title, el: h("section", { class: "wb-code-block" }, h("div", { class: "wb-code-head" }, title, status, button), text) };
}

function render({ model, el }) {
  root(el, "code-view");
  const [python, recipe] = [block(model, "python", "Copy as Python"), block(model, "recipe", "Copy recipe")];
  write(recipe.title, "Recipe");
  follow(model, ["title"], () => write(python.title, model.get("title")));
  el.append(python.el, recipe.el);
}

export default { render };
