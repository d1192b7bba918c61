"""Widgets of which a kernel has one: what they carry is sent to the page once."""

from __future__ import annotations

from typing import TypeVar

import anywidget

_Kind = TypeVar("_Kind", bound=anywidget.AnyWidget)
_kept: dict[type[anywidget.AnyWidget], anywidget.AnyWidget] = {}


def the_only(kind: type[_Kind]) -> _Kind:
    """The one widget of this kind; a new one where all widgets were closed."""
    if kind not in _kept or _kept[kind].comm is None:
        _kept[kind] = kind()
    return _kept[kind]
