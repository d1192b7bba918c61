"""What a saved notebook keeps of a page: its last figures, in an output of their own beside the live view."""

from __future__ import annotations

import os

from IPython import get_ipython
from IPython.display import HTML, DisplayHandle


class KeptFigures:
    """An output of the cell that shows a page, brought up to date when its figures change.

    The live view itself is sent once, before anything was measured; sent again it would be drawn anew. ``name`` is the
    class by which that view hides the output; a reader without a kernel has no such view, and sees it.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._handle: DisplayHandle | None = None
        self._told = ""

    def show(self, html: str) -> bool:
        """Make the output in the cell that runs; False where there is no notebook that could keep it."""
        if get_ipython() is None or any(name.startswith("VOILA_") for name in os.environ):
            return False
        self._handle, self._told = DisplayHandle(), html
        self._handle.display(self._kept(html))
        return True

    def update(self, html: str) -> None:
        """Put this in its place, if it was shown and is another."""
        if self._handle is not None and html != self._told:
            self._told = html
            self._handle.update(self._kept(html))

    def _kept(self, html: str) -> HTML:
        return HTML(f'<div class="{self._name} tex2jax_ignore">{html}</div>')  # what layers are called is no formula
