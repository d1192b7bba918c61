// Rows that grow: appended once for the model, however many views show them.

function initializeRows({ model }) {
  model.on("msg:custom", (message) => {
    if (message.append) model.set("rows", [...model.get("rows").filter((row) => row.id !== message.instead_of), message.append]);
  });
}

/** Ask for a row. A message, since saving the model would send every appended row back with the click. */
function chooseRow(model, id) {
  if (id && id !== model.get("selected")) model.send({ choose: id });
}
