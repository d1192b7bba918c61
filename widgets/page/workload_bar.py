"""The header: which workload, and what it is; undo and redo; a link to what is shown; the theme."""

from __future__ import annotations

from typing import ClassVar

import traitlets as t

from workbench.widgets._base import Widget


class WorkloadBar(Widget):
    """Choose the workload. Setting :attr:`workload` is what choosing one does."""

    _shared_scripts: ClassVar = ("_common", "page/_link", "page/_theme")

    workloads = t.List(t.Dict(), help='[{"name": "fashion-cnn", "description": "…"}, …]').tag(sync=True)
    workload = t.Unicode(help="the name of the chosen one").tag(sync=True)
    summary = t.Unicode(help="the recipe in a few words").tag(sync=True)
    changed = t.Bool(help="whether there is anything to reset").tag(sync=True)
    resets = t.Int(help="how often “Start over” was pressed").tag(sync=True)
    can_undo = t.Bool(help="whether there is a recipe to go back to").tag(sync=True)
    can_redo = t.Bool(help="whether a step back can be taken forth again").tag(sync=True)
    undos = t.Int(help="how often undo was pressed").tag(sync=True)
    redos = t.Int(help="how often redo was pressed").tag(sync=True)
