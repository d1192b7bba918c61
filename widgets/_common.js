// Shared by every widget; Python puts this text in front of each module.

/**
 * An element: h("button", {class: "wb-button", onclick: f}, "Cancel"). Absent children are skipped.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, any>} properties
 * @param {Child[]} children
 */
function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  /** @type {any[]} */
  const nested = children;
  element.append(...nested.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/**
 * The same of what is drawn: svg("path", {d: "M0 0h9"}).
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string | number>} attributes
 * @param {SVGElement[]} children
 */
function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/** Make `el` the root of a widget called `name`. @type {(el: HTMLElement, name: string) => void} */
function root(el, name) {
  el.classList.add("wb", `wb-${name}`);
}

/** How long what moves takes, in milliseconds: no time where a person wants no motion. */
const motionMs = () => (matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 200);

/** The element that an event is about. @param {Event} event */
function targetOf(event) {
  return /** @type {HTMLElement} */ (event.target);
}

/**
 * JupyterLab takes plain keys for its own ("a" adds a cell): not those pressed in a widget. Ctrl+S and its like stay.
 * @param {KeyboardEvent} event
 */
function keepPlainKeys(event) {
  const target = targetOf(event);
  if (!target.closest?.(".wb")) return;
  target.toggleAttribute("data-lm-suppress-shortcuts", !(event.ctrlKey || event.metaKey || event.altKey));
}

/** What is there once for all widgets of a page, by name. @type {Record<symbol, any>} */
const shared = globalThis;
const KEYS = Symbol.for("workbench.keys");
// on the window and early: JupyterLab listens at the document
if (!shared[KEYS]) addEventListener("keydown", keepPlainKeys, true);
shared[KEYS] = true;

/**
 * Call `draw` now and whenever one of the traits changes.
 * @template Traits
 * @param {Model<Traits>} model
 * @param {(keyof Traits & string)[]} traits
 * @param {() => void} draw
 */
function follow(model, traits, draw) {
  for (const trait of traits) model.on(`change:${trait}`, draw);
  draw();
}

/**
 * Set a trait and send it.
 * @template Traits
 * @template {keyof Traits} Name
 * @param {Model<Traits>} model
 * @param {Name} trait
 * @param {Traits[Name]} value
 */
function send(model, trait, value) {
  model.set(trait, value);
  model.save_changes();
}

/**
 * Set text only where it differs, so that screen readers and selections aren't disturbed.
 * @param {Element} element
 * @param {string | null} text
 */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

let counter = 0;
const page = Math.random().toString(36).slice(2, 8);

/** An id that no other element of the page has. @param {string} prefix */
function unique(prefix) {
  counter += 1;
  return `wb-${prefix}-${page}-${counter}`;
}

/**
 * A button that shows an icon of _common.css and says its label.
 * @param {string} icon
 * @param {string} label
 * @param {() => void} onclick
 */
function iconButton(icon, label, onclick) {
  const look = { type: "button", class: "wb-button wb-icon", "data-icon": icon, "aria-label": label, title: label };
  return h("button", { ...look, onclick });
}

/** @type {Record<string, string>} */
const REALITY_SIGNS = { real: "●", simulated: "◐", unchanged: "○" };

/** A word with a sign and a colour. @param {"real" | "simulated" | "unchanged"} reality */
function realityTag(reality) {
  return h(
    "span",
    { class: `wb-tag wb-${reality}` },
    h("span", { "aria-hidden": "true" }, REALITY_SIGNS[reality]),
    ` ${reality}`,
  );
}

/**
 * Tell each cell of a row its column's heading, which narrow tables write beside it.
 * @template {HTMLTableRowElement} Row
 * @param {Row} row
 * @param {string[]} headings
 * @returns {Row}
 */
function nameCells(row, headings) {
  [...row.cells].forEach((cell, i) => {
    cell.dataset.column = headings[i];
  });
  return row;
}

/** Put text into the clipboard. @param {string} text */
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

/** A promise that someone else keeps. @returns {Deferred} */
function deferred() {
  const parts = /** @type {Deferred} */ ({});
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
}
