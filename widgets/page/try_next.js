/** @param {Rendered<TryNextTraits>} rendered */
function render({ model, el }) {
  root(el, "try-next");
  const id = unique("next");
  const list = h("ul", {});
  el.append(h("h2", { id }, "Try next"), list);
  el.setAttribute("role", "region");
  el.setAttribute("aria-labelledby", id);
  follow(model, ["offers"], () => {
    const offers = model.get("offers");
    el.hidden = !offers.length;
    const items = offers.map(({ name, recipe, gain }) => {
      const onclick = () => send(model, "taken", { recipe, at: Date.now() });
      const words = [h("span", {}, name), gain && h("span", { class: "wb-note" }, gain)];
      return h("li", {}, h("button", { type: "button", class: "wb-offer", onclick }, words));
    });
    list.replaceChildren(...items);
  });
}

export default { render };
