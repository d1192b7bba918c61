"""A list of rows that grows: the page gets all of them once, then only the new ones."""

from __future__ import annotations

from typing import Any, ClassVar

import traitlets as t

from workbench.widgets._base import Widget

MOST_PINNED = 4
"""More labels and error bars than these would hide each other."""


class RowsWidget(Widget):
    """A widget with :attr:`rows`, each a dict with an ``id``. :meth:`append` sends only the new row.

    A click on a row sets :attr:`selected` to its id. Beside it stand buttons: one puts the id into :attr:`pinned` or
    takes it out, one does so with :attr:`hidden`, and one sets :attr:`deleted` to it: whose rows they are deletes it.
    """

    _shared_scripts: ClassVar = ("_common", "_rows")

    rows = t.List(t.Dict()).tag(sync=True)
    selected = t.Int(help="the id of the row that is shown; 0 for none").tag(sync=True)

    pinned = t.List(t.Int(), maxlen=MOST_PINNED, help="ids of the rows to keep an eye on, oldest pin first").tag(
        sync=True
    )
    hidden = t.List(t.Int(), help="ids of the rows that the plot leaves out").tag(sync=True)
    most_pinned = t.Int(MOST_PINNED, read_only=True, help="how many rows can be pinned").tag(sync=True)
    deleted = t.Int(help="the id of the row to be deleted; 0 for none")

    _appending = False

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self.on_msg(self._on_message)

    def append(self, row: dict[str, Any], *, instead_of: int = 0) -> None:
        """Add ``row`` at the end, and take away the one with the id ``instead_of``.

        A page opened later gets it with all the others.
        """
        self._appending = True
        try:
            self.rows = [*(other for other in self.rows if other["id"] != instead_of), row]
        finally:
            self._appending = False
        self.send({"append": row, "instead_of": instead_of})

    def _on_message(self, _widget: RowsWidget, content: dict[str, Any], _buffers: list[Any]) -> None:
        if "choose" in content:
            self.selected = content["choose"]
        if "pin" in content and (not content["on"] or len(self.pinned) < MOST_PINNED):
            self.pinned = _with(self.pinned, content["pin"], content["on"])
        if "hide" in content:
            self.hidden = _with(self.hidden, content["hide"], content["on"])
        if "delete" in content:
            self.deleted = content["delete"]

    def _should_send_property(self, key: str, value: Any) -> bool:
        return not (key == "rows" and self._appending) and super()._should_send_property(key, value)


def _with(ids: list[int], number: int, on: bool) -> list[int]:
    others = [each for each in ids if each != number]
    return [*others, number] if on else others
