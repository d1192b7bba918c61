"""The numbers of the layer whose row is unfolded, fetched from the worker without anyone waiting for them."""

from __future__ import annotations

import threading
from collections.abc import Callable

from workbench.errors import in_place
from workbench.layer import LayerDetail
from workbench.widgets.page import numbers, pump
from workbench.widgets.page.pump import Urgency
from workbench.widgets.page.state import PageState
from workbench.widgets.tables.layer_table import LayerTable

_LATER = "The numbers of its weights come when the run has ended."


class LayerReader:
    """Sees to it that ``table`` has the numbers of the layer that is selected, of the run that is shown.

    Parameters
    ----------
    table
        Gets them as :attr:`LayerTable.detail`, in the pump.
    """

    def __init__(self, table: LayerTable) -> None:
        self._table = table
        self._lock = threading.Lock()
        self._wanted: tuple | None = None

    def look(self, state: PageState, ask: Callable[[str], LayerDetail]) -> None:
        """Fetch what isn't there yet; returns at once. Nothing is asked while a run is on: it would wait for its end.

        ``ask`` fetches the numbers of a layer of what ``state`` shows; it is called on a thread of its own.
        """
        layer = self._table.selected
        wanted = (layer, state.run, state.stored, state.result is not None)
        with self._lock:
            if wanted == self._wanted:
                return
            self._wanted = wanted
        if not layer:
            return
        if state.result is None:
            self._show(layer, {"note": _LATER})
            return
        threading.Thread(target=self._read, args=[layer, wanted, ask], name="read-layer", daemon=True).start()

    def _read(self, layer: str, wanted: tuple, ask: Callable[[str], LayerDetail]) -> None:
        try:
            view = numbers.view(ask(layer))
        except Exception as error:  # whatever it was, the person waits for an answer
            view = {"note": in_place(error)}
        with self._lock:
            if wanted == self._wanted:  # else another row was unfolded meanwhile, or another run is shown
                self._show(layer, view)

    def _show(self, layer: str, view: numbers.View) -> None:
        pump.shared().put(self._table, Urgency.ANSWER, detail={"layer": layer, **view})
