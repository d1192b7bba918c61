// Shared by every widget; Python puts this text in front of each module.

/** An element: h("button", {class: "wb-button", onclick: f}, "Cancel"). Absent children are skipped. */
function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Make `el` the root of a widget called `name`. */
function root(el, name) {
  el.classList.add("wb", `wb-${name}`);
}

/** JupyterLab takes plain keys for its own ("a" adds a cell): not those pressed in a widget. Ctrl+S and its like stay. */
function keepPlainKeys(event) {
  if (!event.target.closest?.(".wb")) return;
  event.target.toggleAttribute("data-lm-suppress-shortcuts", !(event.ctrlKey || event.metaKey || event.altKey));
}

// on the window and early: JupyterLab listens at the document
globalThis[Symbol.for("workbench.keys")] ??= addEventListener("keydown", keepPlainKeys, true) ?? true;

/** Call `draw` now and whenever one of the traits changes. */
function follow(model, traits, draw) {
  for (const trait of traits) model.on(`change:${trait}`, draw);
  draw();
}

/** Set a trait and send it. */
function send(model, trait, value) {
  model.set(trait, value);
  model.save_changes();
}

/** Set text only where it differs, so that screen readers and selections aren't disturbed. */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

let counter = 0;
const page = Math.random().toString(36).slice(2, 8);

/** An id that no other element of the page has. */
function unique(prefix) {
  counter += 1;
  return `wb-${prefix}-${page}-${counter}`;
}

/** A word with a sign and a colour for real, simulated and unchanged. */
function realityTag(reality) {
  const signs = { real: "●", simulated: "◐", unchanged: "○" };
  return h("span", { class: `wb-tag wb-${reality}` }, h("span", { "aria-hidden": "true" }, signs[reality]), ` ${reality}`);
}

async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // the clipboard interface is missing on plain http and refused in some frames
    const area = h("textarea", { class: "wb-offscreen", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    if (!copied) throw new Error("the browser doesn't allow copying here; select the text and copy it by hand");
  }
}

/** A promise that someone else keeps. */
function deferred() {
  const parts = {};
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
}
