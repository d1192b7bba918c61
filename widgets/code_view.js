function block(model, trait, title, label) {
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
  follow(model, [trait], () => write(code, model.get(trait)));
  const id = unique("code");
  const text = h("pre", { tabindex: "0", role: "region", "aria-labelledby": id }, code);
  return h("section", { class: "wb-code-block" }, h("div", { class: "wb-code-head" }, h("h3", { id }, title), status, button), text);
}

function render({ model, el }) {
  root(el, "code-view");
  el.append(block(model, "python", "Python, runs in a fresh kernel", "Copy as Python"), block(model, "recipe", "Recipe", "Copy recipe"));
}

export default { render };
