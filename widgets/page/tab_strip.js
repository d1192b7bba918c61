/** @param {Rendered<TabStripTraits>} rendered */
function render({ model, el }) {
  root(el, "tab-strip");
  const tabs = model.get("titles").map((title, index) => {
    return h("button", { type: "button", role: "tab", id: unique("tab"), "data-index": index }, title);
  });
  const list = h("div", { role: "tablist", "aria-label": model.get("label") }, tabs);
  el.append(list);
  const panels = () => [...(el.parentElement?.children ?? [])].filter((child) => child !== el);
  const show = () => {
    const [open, hidden] = [model.get("selected"), model.get("hidden")];
    list.hidden = tabs.length - hidden.length < 2;
    tabs.forEach((tab, i) => {
      tab.hidden = hidden.includes(i);
      tab.setAttribute("aria-selected", String(i === open));
      tab.tabIndex = i === open ? 0 : -1;
    });
    panels().forEach((panel, i) => {
      if (!tabs[i]) return;
      panel.id ||= unique("panel");
      panel.setAttribute("role", "tabpanel");
      panel.setAttribute("aria-labelledby", tabs[i].id);
      tabs[i].setAttribute("aria-controls", panel.id);
      panel.classList.toggle("wb-closed", i !== open);
    });
  };
  /** @param {number} index */
  const open = (index) => {
    send(model, "selected", index);
    tabs[index].focus();
  };
  list.addEventListener("click", (event) => {
    const { index } = targetOf(event).dataset;
    if (index) open(Number(index));
  });
  list.addEventListener("keydown", (event) => {
    const there = tabs.map((_, i) => i).filter((i) => !tabs[i].hidden);
    const at = there.indexOf(model.get("selected"));
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: there.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    open(there[(to + there.length) % there.length]);
  });
  follow(model, ["selected", "hidden"], show);
  // the panels are put in by the box, one after the other, later than this
  const observer = new MutationObserver(show);
  const attach = () => {
    if (!el.parentElement) return requestAnimationFrame(attach);
    observer.observe(el.parentElement, { childList: true });
    show();
  };
  attach();
  return () => observer.disconnect();
}

export default { render };
