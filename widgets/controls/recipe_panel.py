"""The toggles: which techniques, with which options, and where the result runs."""

from __future__ import annotations

from typing import Any, ClassVar

import traitlets as t

from workbench.catalog import Catalog
from workbench.errors import RecipeError
from workbench.recipe import Recipe
from workbench.session import default_session
from workbench.widgets._base import Widget
from workbench.widgets.controls import schema
from workbench.widgets.page import pump
from workbench.widgets.page.pump import Urgency


class RecipePanel(Widget):
    """A panel of toggles, made from the catalog's declarations alone.

    Setting :attr:`recipe` is what a click does. A recipe that makes no sense is refused in place:
    :attr:`error` says why and :attr:`recipe` stays as it was.

    Every control acts at once. A slider of a step that trains acts when it is let go, since each
    value in between would start a training that the next one stops.

    Parameters
    ----------
    catalog
        What can be offered here. Without one the panel shows that the core is starting, until :meth:`offer` is called;
        shown by itself it starts the session that all of this process share, and offers what that does.
    recipe
        A :class:`Recipe`, a dict or a JSON text.
    """

    _shared_scripts: ClassVar = (
        "_common",
        *(f"controls/_{part}" for part in ("controls", "rules", "panel", "step", "families", "place")),
    )

    recipe = t.Dict(help="the recipe shown, complete and valid")
    baseline = t.Unicode("auto", help='the fp32 engine to compare with; "auto": the faster of eager and compiled')
    effects = t.Dict(help='by technique: {"text": "1.9× · real", "tone": "better", "against": "…"}').tag(sync=True)
    costs = t.Dict(help='by technique that is off: what it would cost, {"distill": "trains about 50 s"}').tag(sync=True)
    blocked = t.Dict(help='what could do nothing to this model: {"prune": {"reason": "…", "choices": {}}}')
    accepted = t.Dict(
        {"share": 0.005, "unit": "pt"}, help="the loss that is accepted, which budgets begin with, and its unit"
    ).tag(sync=True)
    model = t.Dict(help='what the recipe begins with: {"name": "fashion-cnn", "description": "…"}').tag(sync=True)
    error = t.Unicode(help="why the last change was refused").tag(sync=True)
    busy = t.Bool(help="whether the recipe shown is being measured").tag(sync=True)

    _schema = t.Dict().tag(sync=True)
    _blocked = t.Dict(help="what of `blocked` holds for the recipe shown").tag(sync=True)
    _shown = t.Dict(help="recipe and baseline, and which browser's which change they answer").tag(sync=True)
    _said = t.Dict(help="by step of the recipe what it does, in a few words").tag(sync=True)
    _wanted = t.Dict(help="a change made in a browser: recipe, baseline, client, number").tag(sync=True)

    def __init__(
        self, catalog: Catalog | None = None, recipe: Recipe | dict | str | None = None, **traits: Any
    ) -> None:
        self._answering: dict[str, Any] = {}
        super().__init__(**traits)
        self.recipe = Recipe.parse(recipe).model_dump(mode="json")
        self._shown, self._said = self._asked(), self._in_words()
        if catalog is not None:
            self.offer(catalog)

    def offer(self, catalog: Catalog) -> None:
        """Show what ``catalog`` offers."""
        self._schema = schema.panel(catalog)
        self._show_blocked()

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The live view; what is part of a page isn't asked for it."""
        if not self._schema:
            default_session().on_ready(self._offer_soon, lambda reason: pump.shared().put(self, error=reason))
        return super()._repr_mimebundle_(**options)

    def _offer_soon(self, catalog: Catalog) -> None:
        pump.shared().call((id(self), "offer"), lambda: self.offer(catalog), Urgency.ANSWER)

    @t.validate("recipe")
    def _validate_recipe(self, proposal: t.Bunch) -> dict[str, Any]:
        return Recipe.parse(proposal["value"] or None).model_dump(mode="json")

    @t.validate("baseline")
    def _validate_baseline(self, proposal: t.Bunch) -> str:
        return Recipe.parse(place={"engine": proposal["value"]}).place.engine

    def _asked(self) -> dict[str, Any]:
        return {"recipe": self.recipe, "baseline": self.baseline, **self._answering}

    @t.observe("recipe", "baseline")
    def _show_asked(self, _change: t.Bunch) -> None:
        pump.shared().put(self, Urgency.ANSWER, _shown=self._asked(), _said=self._in_words(), error="")

    def _in_words(self) -> dict[str, str]:
        return {step.do: step.now() for step in Recipe.parse(self.recipe).steps}

    @t.observe("recipe", "blocked")
    def _show_blocked(self, _change: t.Bunch | None = None) -> None:
        """Leave out what comes after a step that brings another architecture: nothing is known of that."""
        replacing = {step.do for step in Recipe.parse(self.recipe).steps if step.replaces_model()}
        techniques = self._schema.get("techniques", [])
        later = {name for each in techniques if each["name"] in replacing for name in each["later"]}
        known = {name: reasons for name, reasons in self.blocked.items() if name not in later}
        pump.shared().put(self, Urgency.ANSWER, _blocked=known)

    @t.observe("_wanted")
    def _on_wanted(self, change: t.Bunch) -> None:
        wanted = change["new"]
        self._answering = {"client": wanted["client"], "number": wanted["number"]}
        pump.shared().put(self, Urgency.ANSWER, error="")
        try:
            self.baseline = wanted.get("baseline", self.baseline)
            self.recipe = wanted["recipe"]
        except RecipeError as error:
            pump.shared().put(self, Urgency.ANSWER, error=str(error))
        finally:
            # every change is answered, also one that was refused or changed nothing: its browser waits
            pump.shared().put(self, Urgency.ANSWER, _shown=self._asked())
            self._answering = {}
