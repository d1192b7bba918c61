// The controls of the recipe panel. They know no recipe: what they show is set, what is chosen is reported.

const SLIDER_DELAY_MS = 80;

/**
 * Several names of which one is chosen: a radio group with arrow keys; refused ones stay reachable and say why.
 * @param {string} label
 * @param {{ value: string, text: string }[]} choices
 * @param {(value: string) => void} change
 * @returns {Control}
 */
function segmented(label, choices, change) {
  const id = unique("group");
  const reason = h("span", { class: "wb-reason", role: "note", hidden: true });
  const buttons = choices.map(({ value, text }) => {
    const why = h("span", { class: "wb-offscreen", id: unique("why") });
    const look = { type: "button", role: "radio", "aria-checked": "false", tabindex: "-1", "data-value": value };
    const button = h("button", look, text);
    const tell = () => {
      write(reason, why.textContent);
      reason.hidden = !why.textContent;
    };
    const hush = () => {
      reason.hidden = true;
    };
    for (const event of ["focus", "mouseenter"]) button.addEventListener(event, tell);
    for (const event of ["blur", "mouseleave"]) button.addEventListener(event, hush);
    return { value, button, why };
  });
  /** @param {string} value */
  const choose = (value) => {
    const button = buttons.find((each) => each.value === value)?.button;
    if (!button || button.getAttribute("aria-disabled") || button.getAttribute("aria-checked") === "true") return;
    set(value);
    change(value);
  };
  /** @param {OptionValue} value */
  const set = (value) => {
    const known = buttons.some((each) => each.value === value);
    buttons.forEach(({ value: own, button }, i) => {
      button.setAttribute("aria-checked", String(own === value));
      button.tabIndex = own === value || (!known && i === 0) ? 0 : -1;
    });
  };
  const parts = buttons.map(({ button, why }) => [button, why]);
  const group = h("div", { class: "wb-segmented", role: "radiogroup", "aria-labelledby": id }, parts);
  group.addEventListener("click", (event) => {
    const { value } = targetOf(event).dataset;
    if (value) choose(value);
  });
  group.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const at = buttons.findIndex(({ button }) => button === document.activeElement);
    const next = buttons[(at + step + buttons.length) % buttons.length];
    next.button.focus();
    choose(next.value);
  });
  /** @param {Reasons} reasons */
  const refuse = (reasons) => {
    for (const { value, button, why } of buttons) {
      write(why, reasons[value] ?? "");
      setOrRemove(button, "aria-disabled", reasons[value] && "true");
      setOrRemove(button, "aria-describedby", reasons[value] && why.id);
    }
  };
  const name = h("span", { class: "wb-option-label", id }, label);
  return { el: row(name, h("div", { class: "wb-wide" }, group, reason)), set, refuse };
}

/**
 * One of several in a list that opens, neighbours under a common heading; refused ones say why in the list itself.
 * @param {string} label
 * @param {{ value: string, text: string, heading?: string, help?: string }[]} choices
 * @param {(value: string) => void} change
 * @returns {Control}
 */
function choice(label, choices, change) {
  const id = unique("choice");
  const options = choices.map(({ value, text, help }) =>
    h("option", { value, "data-text": text, title: help || null }, text),
  );
  const select = h("select", { id, class: "wb-field", onchange: () => change(select.value) });
  choices.forEach(({ heading }, index) => {
    const last = select.lastElementChild;
    if (!heading) select.append(options[index]);
    else if (last?.getAttribute("label") === heading) last.append(options[index]);
    else select.append(h("optgroup", { label: heading }, [options[index]]));
  });
  return {
    el: labelled(id, label, select),
    set(value) {
      select.value = String(value);
    },
    refuse(reasons) {
      for (const option of options) {
        option.disabled = Boolean(reasons[option.value]);
        write(option, [option.dataset.text, reasons[option.value]].filter(Boolean).join(": "));
      }
    },
  };
}

/**
 * A slider over the numbers that `scale` maps its places to. While `waits()` it reports only where it is let go.
 * @param {string} label
 * @param {Scale} scale
 * @param {(value: number) => void} change
 * @param {() => boolean} waits
 * @returns {Control & { limit(last: number): void }}
 */
function slider(label, scale, change, waits) {
  const id = unique("slider");
  const input = h("input", { type: "range", id, min: scale.first, max: scale.last, step: scale.step });
  const output = h("output", { for: id, class: "wb-value" });
  /** @type {number | null} */
  let timer = null;
  const stop = () => {
    if (timer !== null) clearTimeout(timer);
    timer = null;
  };
  /** @param {number} value */
  const show = (value) => {
    const filled = (100 * (Number(input.value) - scale.first)) / (scale.last - scale.first || 1);
    write(output, scale.text(value));
    input.setAttribute("aria-valuetext", scale.text(value));
    input.style.setProperty("--wb-filled", `${filled}%`);
  };
  const report = () => {
    stop();
    change(scale.value(Number(input.value)));
  };
  input.addEventListener("input", () => {
    show(scale.value(Number(input.value)));
    stop();
    if (!waits()) timer = setTimeout(report, SLIDER_DELAY_MS);
  });
  input.addEventListener("change", report);
  return {
    el: row(h("label", { for: id, class: "wb-option-label" }, label), input, output),
    set(value) {
      if (timer !== null || typeof value !== "number") return; // being dragged: the hand on it is newer
      input.value = String(scale.place(value));
      show(value);
    },
    limit(last) {
      scale.last = last;
      input.max = String(last);
    },
    refuse() {},
  };
}

/**
 * A line to write in.
 * @param {string} label
 * @param {(value: string) => void} change
 * @param {object} [more] attributes of the input
 * @returns {Control}
 */
function field(label, change, more = { type: "text" }) {
  const id = unique("field");
  const input = h("input", { id, class: "wb-field", ...more });
  input.addEventListener("change", () => change(input.value));
  return {
    el: labelled(id, label, input),
    set(value) {
      if (document.activeElement !== input) input.value = String(value ?? "");
    },
    refuse() {},
  };
}

/**
 * Yes or no.
 * @param {string} label
 * @param {(value: boolean) => void} change
 * @returns {Control}
 */
function flag(label, change) {
  const id = unique("flag");
  const input = h("input", { type: "checkbox", id, onchange: () => change(input.checked) });
  return {
    el: labelled(id, label, input),
    set(value) {
      input.checked = Boolean(value);
    },
    refuse() {},
  };
}

/**
 * A share of loss, one step after the other, written in hundredths of a unit that may change.
 * @param {string} label
 * @param {number[]} steps
 * @param {(value: number) => void} change
 * @param {() => string} unit
 * @returns {Control}
 */
function stepper(label, steps, change, unit) {
  const id = unique("stepper");
  const amount = h("output", { class: "wb-amount", "aria-labelledby": id });
  let shown = 0;
  /** @type {(sign: string, name: string, next: () => number | undefined) => HTMLElement} */
  const button = (sign, name, next) => {
    const onclick = () => change(next() ?? shown);
    return h("button", { type: "button", class: "wb-step", "aria-label": name, onclick }, sign);
  };
  const less = button("−", `smaller ${label.toLowerCase()}`, () => steps.filter((each) => each < shown).at(-1));
  const more = button("+", `larger ${label.toLowerCase()}`, () => steps.find((each) => each > shown));
  const name = h("span", { class: "wb-option-label", id }, label);
  return {
    el: row(name, h("div", { class: "wb-wide wb-stepper" }, less, amount, more)),
    set(value) {
      shown = Number(value);
      write(amount, `${Number((100 * shown).toPrecision(3))} ${unit()}`);
      less.toggleAttribute("disabled", shown <= steps[0]);
      more.toggleAttribute("disabled", shown >= (steps.at(-1) ?? 0));
    },
    refuse() {},
  };
}

/** @param {Child[]} parts */
function row(...parts) {
  return h("div", { class: "wb-option" }, parts);
}

/** @type {(id: string, label: string, input: HTMLElement) => HTMLElement} */
function labelled(id, label, input) {
  return row(h("label", { for: id, class: "wb-option-label" }, label), h("div", { class: "wb-wide" }, input));
}

/** @type {(element: HTMLElement, name: string, value: string | null | undefined) => void} */
function setOrRemove(element, name, value) {
  if (value) element.setAttribute(name, value);
  else element.removeAttribute(name);
}

/**
 * Places in equal steps, written as Python says.
 * @param {NumberRange} numbers
 * @returns {Scale}
 */
function linear({ whole, minimum, maximum, written }) {
  const step = whole ? 1 : 10 ** Math.floor(Math.log10((maximum - minimum) / 50));
  return {
    first: Number((Math.ceil(minimum / step) * step).toPrecision(6)), // round places, whatever the minimum
    last: maximum,
    step,
    value: (place) => Number(place.toPrecision(6)),
    place: (value) => value,
    text: (value) => `${written.percent ? Math.round(100 * value) : Number(value.toPrecision(3))}${written.suffix}`,
  };
}

/**
 * 1, 2, 4, … up to `last`.
 * @param {number} last
 * @returns {Scale}
 */
function doubling(last) {
  return {
    first: 0,
    last: Math.log2(last),
    step: 1,
    value: (place) => 2 ** place,
    place: (value) => Math.round(Math.log2(value)),
    text: String,
  };
}

/**
 * The control that Python chose for an option.
 * @param {Option} option
 * @param {(value: OptionValue) => void} change
 * @param {() => boolean} waits
 * @param {() => string} unit of a hundredth of an accepted loss
 * @returns {Control & { limit?(last: number): void }}
 */
function control(option, change, waits, unit) {
  const { title, whole, minimum, maximum, written } = option;
  switch (option.control) {
    case "segmented":
      return segmented(title, option.choices, change);
    case "choice":
      return choice(title, option.choices, change);
    case "flag":
      return flag(title, change);
    case "stepper":
      return stepper(title, option.steps, change, unit);
    case "slider":
      return slider(title, linear(/** @type {NumberRange} */ ({ whole, minimum, maximum, written })), change, waits);
    case "number": {
      const limits = { type: "number", min: minimum, max: maximum, step: whole ? 1 : "any" };
      return field(title, (value) => change(Number(value)), limits);
    }
    default:
      return field(title, change);
  }
}
