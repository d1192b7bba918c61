"""What a tab shows of the run, asked of the worker only while a person looks at it, and without anyone waiting."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from workbench.errors import Cancelled, in_place
from workbench.recipe import Recipe
from workbench.widgets.page import pump as _pump
from workbench.widgets.page.pump import Urgency
from workbench.widgets.page.state import PageState
from workbench.workload import Workload

View = dict[str, Any]
Ask = Callable[[Workload, Recipe], Iterable[View]]


class Feed:
    """Asks once for what belongs to the run that is shown, and writes it into its widget, part by part as it comes.

    Parameters
    ----------
    widget
        What shows it: its ``view`` is what was found, or why there is nothing, its ``mark`` whether that is old.
    ask
        Asks the session, and makes a view of each part of the answer; it waits, so it is called on a thread of its own.
    why_none
        Why a state has nothing that could be asked for; "" where it has.
    words
        What is shown until something was found, and what comes before the reason where nothing was.
    again
        Called in the pump where the worker turned to something else: to follow the state of now.
    """

    def __init__(
        self,
        widget: Any,
        ask: Ask,
        why_none: Callable[[PageState], str],
        words: tuple[str, str],
        again: Callable[[], None],
    ) -> None:
        self.widget, self._ask, self._why_none, self._again = widget, ask, why_none, again
        self._waiting, self._failed = words
        self._asked: int | None = None
        """The run that was asked for last; None where what is shown is of none."""
        self._more = False
        """Whether parts of the answer are still to come."""
        self._outdated = False
        """Whether another run is under way."""

    def follow(self, state: PageState, workload: Workload) -> None:
        """Show what belongs to ``state``. Call it in the pump, while the widget is looked at."""
        why = self._why_none(state)
        if why and state.busy and "empty" not in self.widget.view:
            self._outdated, self.widget.mark = True, "stale"
        elif why:
            self._asked = None
            self._show({"empty": why})
        elif state.run != self._asked:
            self._asked, self._more, self._outdated = state.run, True, False
            self._begin()
            arguments = [state.run, workload, Recipe.parse(state.recipe)]
            threading.Thread(target=self._work, args=arguments, name="feed", daemon=True).start()

    def look_away(self) -> None:
        """Nobody looks at the widget: what is still to come isn't waited for."""
        if self._more:
            self._asked, self._more = None, False

    def _begin(self) -> None:
        if "empty" in self.widget.view:
            self._show({"empty": self._waiting})
        else:
            self.widget.mark = "stale"

    def _show(self, view: View, mark: str = "") -> None:
        with self.widget.hold_sync():
            self.widget.view, self.widget.mark = view, mark

    def _work(self, run: int, workload: Workload, recipe: Recipe) -> None:
        """On a thread of its own: wait for the answer, and have it written."""
        try:
            for view in self._ask(workload, recipe):
                if run != self._asked:
                    return
                self._later(lambda view=view: self._answer(run, view))
            self._more = self._more and run != self._asked
        except Cancelled:
            self._later(lambda: self._retry(run))
        except Exception as error:  # whatever it was, the person waits for an answer
            view = {"empty": f"{self._failed}: {in_place(error)}"}
            self._later(lambda: self._answer(run, view))

    def _later(self, task: Callable[[], None]) -> None:
        _pump.shared().call((id(self), "feed"), task, Urgency.ANSWER)

    def _answer(self, run: int, view: View) -> None:
        if run == self._asked:
            self._show(view, "stale" if self._outdated else "")

    def _retry(self, run: int) -> None:
        if run == self._asked:
            self._asked = None
            self._again()
