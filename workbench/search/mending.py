"""From the assignment that estimates call the fastest to the fastest one that whole models were measured to be.

Losses of single layers don't add up, and neither do their times: a layer's neighbours decide what it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from workbench.receipt import Interval
from workbench.search.knapsack import Assignment, Options, fastest

WORTH = 0.01
"""A layer's change that would save less than this share of the time isn't tried: no comparison would tell."""
_AS_FAST = 0.02
"""What is slower by less than this is as fast; by less where the fastest is known better."""
_IN_VAIN = 6
"""So many changes in a row that gave nothing better, and it ends."""
_HALF = 0.5
"""Of the estimated loss, where that of the model is no number."""
_INSTANT_MS = 1e-6


@dataclass(frozen=True)
class Measured:
    """A whole model in this assignment: its loss of quality, ``None`` where it can't be told, and its speed.

    ``speedup`` is beside one and the same reference for all; ``None`` where the loss isn't within the budget.
    """

    assignment: Assignment
    loss: Interval | None
    speedup: Interval | None

    def fits(self, budget: float) -> bool:
        """Whether its loss is within the budget and its speed is known."""
        return self.loss is not None and self.loss.value <= budget and self.speedup is not None


def search(
    options: Options, budget: float, spare: float, known: Sequence[Measured], measure: Callable[[Assignment], Measured]
) -> Iterator[Measured]:
    """Measure one assignment after the other, each worth more of a look than the rest, until none is.

    Parameters
    ----------
    options
        What single layers were measured to take and to lose.
    budget
        The loss accepted, in the metric's unit.
    spare
        What of it is left to the layers' losses to add up to.
    known
        What was measured before; of it the last is what nothing slower is preferred to: see :func:`best`.
    measure
        Builds a model and measures it.
    """
    known = list(known)
    plain = known[-1]
    for found in _until_within(fastest(options, spare), options, budget, measure):
        known.append(found)
        yield found
    in_vain, tried = 0, [each.assignment for each in known]
    while (chosen := best(known, budget, plain)) and in_vain < _IN_VAIN:
        slack = budget - chosen.loss.value
        change = next((each for each in lowered(options, chosen.assignment, slack) if each not in tried), None)
        if change is None:
            return
        found = measure(change)
        tried.append(change)
        known.append(found)
        yield found
        in_vain = 0 if best(known, budget, plain) is found else in_vain + 1


def best(measured: Sequence[Measured], budget: float, plain: Measured) -> Measured | None:
    """The fastest within the budget, and of those that are as fast, as far as was measured, the one that loses least.

    Never one with a lower speed than ``plain`` where that is within the budget. ``None`` where nothing is.
    """
    within = [each for each in measured if each.fits(budget)]
    if not within:
        return None
    fastest_of_all = max(within, key=lambda each: each.speedup.value).speedup
    enough = max(fastest_of_all.low, fastest_of_all.value * (1 - _AS_FAST))
    if plain.fits(budget):
        enough = max(enough, plain.speedup.value)
    as_fast = [each for each in within if each.speedup.value >= enough]
    return min(as_fast, key=lambda each: (each.loss.value, -each.speedup.value))


def _until_within(
    assignment: Assignment | None, options: Options, budget: float, measure: Callable[[Assignment], Measured]
) -> Iterator[Measured]:
    """Where the model loses more than its layers' losses come to, some of them are lifted, and again."""
    while assignment is not None:
        found = measure(assignment)
        yield found
        if found.fits(budget):
            return
        beyond = max(0.0, 1 - budget / found.loss.value) if found.loss and found.loss.value > 0 else _HALF
        assignment = lifted(options, assignment, beyond)


def lifted(options: Options, assignment: Assignment, share: float) -> Assignment | None:
    """One layer or more in schemes that lose less, until ``share`` of the estimated loss is gone; ``None``: none can.

    Those first that give most back for the time they take.
    """
    found, left = dict(assignment), (1 - share) * _loss(options, assignment)
    while found == assignment or _loss(options, found) > left:
        changes = [
            (_rate(now, other), layer, scheme)
            for layer, taken in found.items()
            for now in [options[layer][taken]]
            for scheme, other in options[layer].items()
            if other.harm < now.harm
        ]
        if not changes:
            break
        _, layer, scheme = max(changes)
        found[layer] = scheme
    return found if found != assignment else None


def lowered(options: Options, assignment: Assignment, slack: float) -> list[Assignment]:
    """One layer each in a faster scheme that may cost no more than ``slack``; those first that cost least for the time.

    One example lost of a thousand is no reason not to try. A layer in a scheme of which nothing is known stays so.
    """
    known = {layer: options[layer][taken] for layer, taken in assignment.items() if taken in options[layer]}
    total_ms = sum(now.latency_ms for now in known.values())
    changes = [
        (_rate(other, now), layer, scheme)
        for layer, now in known.items()
        for scheme, other in options[layer].items()
        if now.latency_ms - other.latency_ms > WORTH * total_ms and other.at_least - now.loss <= slack
    ]
    return [{**assignment, layer: scheme} for _, layer, scheme in sorted(changes)]


def _rate(lossy, other) -> tuple[float, float]:
    """What ``other`` gives back of loss, and of error, for each millisecond that it takes longer."""
    longer_ms = max(other.latency_ms - lossy.latency_ms, _INSTANT_MS)
    return (lossy.loss - other.loss) / longer_ms, (lossy.error - other.error) / longer_ms


def _loss(options: Options, assignment: Assignment) -> float:
    return sum(options[layer][scheme].loss for layer, scheme in assignment.items())
