"""What every widget of the workbench is."""

from __future__ import annotations

import difflib
from typing import Any, ClassVar

import anywidget
import traitlets as t
from ipywidgets import widget_serialization

from workbench.widgets import _assets
from workbench.widgets._stylesheet import CommonStylesheet, stylesheet
from workbench.widgets._twin import Twin


class Widget(anywidget.AnyWidget):
    """An anywidget whose JavaScript and stylesheet lie beside its Python file, under the same name.

    It refers to the stylesheet that all of them share, so that this is there before it and wherever it is saved.
    """

    _stylesheet = t.Instance(CommonStylesheet).tag(sync=True, **widget_serialization)

    _shared_scripts: ClassVar[tuple[str, ...]] = ("_common",)

    def __init_subclass__(cls, **keywords: Any) -> None:
        path = cls.__module__.removeprefix("workbench.widgets.").replace(".", "/")
        name = path.rpartition("/")[2]
        # traitlets subclasses an instance's class once more to add traits; that one has them already
        if not name.startswith("_") and "_esm" not in cls.__dict__:
            cls._esm = _assets.javascript(*cls._shared_scripts, path)
            cls._css = _assets.stylesheet(path)
        super().__init_subclass__(**keywords)

    def __init__(self, **traits: Any) -> None:
        for name in traits:
            if not self.has_trait(name):
                raise TypeError(f"{type(self).__name__} has no {name!r}; {self._advice(name)}")
        super().__init__(**traits)

    @t.default("_stylesheet")
    def _common_stylesheet(self) -> CommonStylesheet:
        return stylesheet()

    def twin(self) -> Twin | None:
        """What it shows now, as a table; ``None`` where it shows no figures."""
        return None

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The live view, and what a reader without a kernel sees in its place."""
        data, metadata = super()._repr_mimebundle_(**options)
        twin = self.twin()
        return data | (twin.bundle() if twin else {}), metadata

    def _advice(self, name: str) -> str:
        own = sorted(trait for trait in type(self).class_own_traits() if not trait.startswith("_"))
        near = difflib.get_close_matches(name, own, n=1)
        return f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(own)}"
