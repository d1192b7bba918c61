// Figures count from what they were to what they are. What passes by is only seen: the text is the new one at once.

const NUMBER = /\d[\d,]*\.?\d*/;

/**
 * Write a figure; where the one before was alike but for its number, have that be seen counting to the new one.
 * @param {HTMLElement} element
 * @param {string} text
 */
function count(element, text) {
  const before = element.textContent ?? "";
  write(element, text);
  const [from, to] = [before, text].map((figure) => Number(NUMBER.exec(figure)?.[0].replaceAll(",", "")));
  const [began, takes] = [performance.now(), motionMs()];
  if (!takes || !Math.abs(to - from) || before.replace(NUMBER, "") !== text.replace(NUMBER, "")) return;
  const decimals = NUMBER.exec(text)?.[0].split(".")[1]?.length ?? 0;
  const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
  /** @param {number} now */
  const pass = (now) => {
    const share = Math.max(0, (now - began) / takes);
    delete element.dataset.passing;
    if (share >= 1 || element.textContent !== text) return;
    element.dataset.passing = text.replace(NUMBER, (from + share * (to - from)).toLocaleString("en", digits));
    requestAnimationFrame(pass);
  };
  pass(began);
}
