"""The rules that all widgets share, sent to the page once however many widgets there are."""

from __future__ import annotations

from typing import ClassVar

import anywidget

from workbench.widgets import _assets
from workbench.widgets._only import the_only


class CommonStylesheet(anywidget.AnyWidget):
    """Carries ``_common.css``. A browser applies it as soon as the model is there; it draws nothing."""

    _esm: ClassVar = "export default {};"
    _css: ClassVar = _assets.stylesheet("_common")


def stylesheet() -> CommonStylesheet:
    """The one of this kernel."""
    return the_only(CommonStylesheet)
