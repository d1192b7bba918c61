// The theme where the workbench is the whole page; in JupyterLab it is Lab's.

const THEME = "workbench.theme"; // Voila's template reads it too, before anything is drawn
const THEMES = ["system", "light", "dark"];

/** What was chosen in this browser. */
function chosenTheme() {
  try {
    const chosen = localStorage.getItem(THEME) ?? "";
    return THEMES.includes(chosen) ? chosen : "system";
  } catch {
    return "system"; // a frame without storage
  }
}

/** @param {string} theme */
function chooseTheme(theme) {
  try {
    localStorage.setItem(THEME, theme);
  } catch {
    // it holds until the page is loaded anew
  }
}

/**
 * A button that goes from one theme to the next, and follows the system's where that is chosen.
 * @returns {{ el: HTMLElement, end: () => void }}
 */
function themeSwitch() {
  let chosen = chosenTheme();
  const system = matchMedia("(prefers-color-scheme: dark)");
  const button = iconButton("theme", "", () => {
    chosen = THEMES[(THEMES.indexOf(chosen) + 1) % THEMES.length];
    chooseTheme(chosen);
    show();
  });
  const show = () => {
    // an address may ask Voila for its dark theme; then that is what this page has instead of the system's
    const dark = system.matches || document.body.dataset.jpThemeLight === "false";
    document.documentElement.dataset.wbTheme = chosen === "system" ? (dark ? "dark" : "light") : chosen;
    button.dataset.icon = `theme-${chosen}`;
    button.title = `Theme: ${chosen}`;
    button.setAttribute("aria-label", button.title);
  };
  system.addEventListener("change", show);
  show();
  return { el: button, end: () => system.removeEventListener("change", show) };
}
