"""The run as code and as a recipe, to copy."""

from __future__ import annotations

import traitlets as t

from workbench.widgets._base import Widget


class CodeView(Widget):
    """“Copy as Python” and “Copy recipe”."""

    title = t.Unicode("Python, runs in a fresh kernel", help="what that code needs").tag(sync=True)
    python = t.Unicode(help="code that makes the faster model in a fresh kernel").tag(sync=True)
    recipe = t.Unicode(help="the recipe as JSON").tag(sync=True)
