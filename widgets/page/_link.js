// A link to what is shown: the address's fragment, which no server is sent. Only where the workbench is the page.

const SECRETS = ["token"]; // what a server let this browser in by is nothing to hand on

/** Whether the workbench is the whole page, so that the address is its own. */
const isWholePage = () => document.body.dataset.voila === "voila";

/**
 * What the address asks for; null where it asks for nothing. Python reads the recipe and says what is wrong with it.
 * @returns {Kept | null}
 */
function askedByAddress() {
  const asked = new URLSearchParams(location.hash.slice(1));
  if (!isWholePage() || !["workload", "recipe", "baseline"].some((part) => asked.has(part))) return null;
  const part = (/** @type {string} */ name) => asked.get(name) ?? "";
  return { workload: part("workload"), recipe: part("recipe"), baseline: part("baseline") };
}

/** Have the address lead to what is shown. @param {Kept} kept */
function keepInAddress({ workload, recipe, baseline }) {
  const fragment = new URLSearchParams({ workload, baseline, recipe: JSON.stringify(recipe) });
  history.replaceState(history.state, "", `#${fragment}`);
}

/** The address to hand on. */
function linkToThis() {
  const link = new URL(location.href);
  for (const secret of SECRETS) link.searchParams.delete(secret);
  return link.href;
}
