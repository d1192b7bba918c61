"""What could be tried next: recipes one click away."""

from __future__ import annotations

import traitlets as t

from workbench.widgets._base import Widget


class TryNext(Widget):
    """A few buttons below the pipeline. Pressing one sets :attr:`taken`."""

    offers = t.List(t.Dict(), help='[{"name": "Quantize int8", "recipe": {…}, "gain": ""}, …]').tag(sync=True)
    taken = t.Dict(help='what was pressed, and when: {"recipe": {…}, "at": 0}').tag(sync=True)
