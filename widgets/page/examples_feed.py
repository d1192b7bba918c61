"""What the tab of examples shows, and when the worker is asked for it: only while a person looks at it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from workbench.errors import Cancelled, in_place
from workbench.examples import Examples
from workbench.recipe import Recipe
from workbench.widgets.page import examples as views
from workbench.widgets.page import pump as _pump
from workbench.widgets.page.pump import Urgency
from workbench.widgets.page.state import PageState
from workbench.widgets.tables.examples_view import ExamplesView
from workbench.workload import Workload

Ask = Callable[[Workload, Recipe], Examples]


class ExamplesFeed:
    """Asks for the examples of the run that is shown, once for each, and writes them into their widget.

    Parameters
    ----------
    widget
        What shows them.
    ask
        :meth:`workbench.session.Session.examples`; it waits, so it is called on a thread of its own.
    again
        Called in the pump where the worker turned to something else: to follow the state of now.
    """

    def __init__(self, widget: ExamplesView, ask: Ask, again: Callable[[], None]) -> None:
        self._widget, self._ask, self._again = widget, ask, again
        self._asked: int | None = None
        """The run that was asked for last; None where what is shown is of none."""

    def follow(self, state: PageState, workload: Workload) -> None:
        """Show what belongs to ``state``. Call it in the pump, while the widget is looked at."""
        why = views.why_none(state)
        if why and state.busy and self._asked is not None:
            self._widget.mark = "stale"
        elif why:
            self._asked = None
            self._show(views.nothing(why))
        elif state.run != self._asked:
            self._asked = state.run
            self._begin()
            recipe = Recipe.parse(state.recipe)
            arguments = [state.run, workload, recipe]
            threading.Thread(target=self._work, args=arguments, name="examples", daemon=True).start()

    def _begin(self) -> None:
        if "groups" in self._widget.view:
            self._widget.mark = "stale"
        else:
            self._show(views.nothing("Looking at the test examples …"))

    def _show(self, view: views.View) -> None:
        with self._widget.hold_sync():
            self._widget.view, self._widget.mark = view, ""

    def _work(self, run: int, workload: Workload, recipe: Recipe) -> None:
        """On a thread of its own: wait for the answer, and have it written."""
        try:
            view = views.view(self._ask(workload, recipe))
        except Cancelled:
            self._later(lambda: self._retry(run))
            return
        except Exception as error:  # whatever it was, the person waits for an answer
            view = views.nothing(f"There are no examples to show: {in_place(error)}")
        self._later(lambda: self._answer(run, view))

    def _later(self, task: Callable[[], None]) -> None:
        _pump.shared().call((id(self), "examples"), task, Urgency.ANSWER)

    def _answer(self, run: int, view: views.View) -> None:
        if run == self._asked:
            self._show(view)

    def _retry(self, run: int) -> None:
        if run == self._asked:
            self._asked = None
            self._again()
