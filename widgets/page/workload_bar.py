"""The header: which workload, and what it is."""

from __future__ import annotations

import traitlets as t

from workbench.widgets._base import Widget


class WorkloadBar(Widget):
    """Choose the workload. Setting :attr:`workload` is what choosing one does."""

    workloads = t.List(t.Dict(), help='[{"name": "fashion-cnn", "description": "…"}, …]').tag(sync=True)
    workload = t.Unicode(help="the name of the chosen one").tag(sync=True)
    summary = t.Unicode(help="the recipe in a few words").tag(sync=True)
    changed = t.Bool(help="whether there is anything to reset").tag(sync=True)
    resets = t.Int(help="how often “Start over” was pressed").tag(sync=True)
