// Rows that grow: appended once for the model, however many views show them.

function initializeRows({ model }) {
  model.on("msg:custom", (message) => {
    if (message.append) model.set("rows", [...model.get("rows"), message.append]);
  });
}
