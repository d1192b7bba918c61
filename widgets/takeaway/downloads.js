const ABOUT =
  "One .zip with the model in every form there is, the recipe, a report of what was measured, and run.py, which has each form answer the same examples: unpack it and run python run.py. model.pt2 needs PyTorch alone. No pickles.";

/** @param {Rendered<DownloadsTraits>} rendered */
function render({ model, el }) {
  root(el, "downloads");
  const button = h("button", { type: "button", class: "wb-button wb-primary" }, "Download model");
  const status = h("p", { role: "status" });
  const error = h("p", { class: "wb-error", role: "alert", hidden: true });
  let asked = false;
  button.addEventListener("click", () => {
    if (button.getAttribute("aria-disabled")) return;
    asked = true;
    send(model, "wanted", model.get("wanted") + 1);
  });
  const note = h("p", { class: "wb-note" });
  const take = h("div", { class: "wb-take" }, button, status);
  el.append(h("div", { class: "wb-scroll" }, take, error, h("p", {}, ABOUT), note));
  /** @type {(message: { file?: string }, buffers: BufferSource[]) => void} */
  const receive = (message, buffers) => {
    if (!message.file || !asked) return; // another view of this widget asked for it
    const link = h("a", { href: URL.createObjectURL(new Blob([buffers[0]])), download: message.file });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  };
  model.on("msg:custom", receive);
  follow(model, ["state", "error", "saved", "note"], () => {
    const state = model.get("state");
    if (state === "ready") button.removeAttribute("aria-disabled");
    else button.setAttribute("aria-disabled", "true");
    const files = model.get("saved").map(({ name, size_bytes }) => {
      const kilobytes = Math.ceil(size_bytes / 1000).toLocaleString("en");
      return `${name} (${kilobytes} kB)`;
    });
    const words = {
      unready: "Available when a run has finished.",
      working: "Writing the model …",
      ready: files.length ? `Handed over: ${files.join(", ")}` : "",
    };
    write(status, words[state]);
    write(note, model.get("note"));
    write(error, model.get("error"));
    error.hidden = !model.get("error");
  });
}

export default { render };
