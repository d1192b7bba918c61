"""The rules that all widgets share, sent to the page once however many widgets there are."""

from __future__ import annotations

from typing import ClassVar

import anywidget

from workbench.widgets import _assets


class CommonStylesheet(anywidget.AnyWidget):
    """Carries ``_common.css``. A browser applies it as soon as the model is there; it draws nothing."""

    _esm: ClassVar = "export default {};"
    _css: ClassVar = _assets.stylesheet("_common")


_stylesheet: CommonStylesheet | None = None


def stylesheet() -> CommonStylesheet:
    """The one stylesheet widget of this kernel; a new one where all widgets were closed."""
    global _stylesheet
    if _stylesheet is None or _stylesheet.comm is None:
        _stylesheet = CommonStylesheet()
    return _stylesheet
