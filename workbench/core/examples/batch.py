"""What is known of some examples after both models have answered them, and which of their answers changed how."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import torch

from workbench.examples import OUTCOMES, Examples, Outcome

UNCHANGED = -1


@dataclass(frozen=True)
class Batch:
    """Some examples. ``index`` is their numbers, int64 [n].

    ``terms`` are the metric's before and after, float64 [n, k] each; ``answers`` the same, int64 [n, …], or ``None``
    where outputs are numbers; ``targets`` what they are judged by, of the answers' shape, or ``None`` where nothing
    but the untouched model's answers is known.
    """

    index: torch.Tensor
    terms: tuple[torch.Tensor, torch.Tensor]
    answers: tuple[torch.Tensor, torch.Tensor] | None
    targets: torch.Tensor | None

    def outcomes(self) -> torch.Tensor:
        """What became of each answer: its place in ``OUTCOMES``, or ``UNCHANGED``; int64 [n, …]."""
        before, after = self.answers
        changed = before != after
        found = torch.full(before.shape, UNCHANGED)
        found[changed] = OUTCOMES.index("changed")
        if self.targets is None:
            return found
        judged = changed & (self.targets >= 0)
        was, still = before == self.targets, after == self.targets
        found[judged] = OUTCOMES.index("other")
        found[judged & was] = OUTCOMES.index("lost")
        found[judged & still] = OUTCOMES.index("won")
        return found


class Collector(Protocol):
    """Takes batches of one kind of answers, and tells what they come to."""

    def add(self, batch: Batch) -> None:
        """Take some more examples."""

    def found(self, seen: int) -> Examples:
        """What they come to, ``seen`` of them."""


def counts_of(outcomes: torch.Tensor, *, judged: bool) -> dict[Outcome, int]:
    """How many answers had each outcome, int64 [...]; ``judged``: whether there are targets."""
    changed = outcomes[outcomes != UNCHANGED]
    counts = dict(zip(OUTCOMES, changed.flatten().bincount(minlength=len(OUTCOMES)).tolist(), strict=True))
    wanted = ("lost", "won", "other") if judged else ()
    return {
        name: count for name, count in counts.items() if count or name in wanted or (not judged and name == "changed")
    }


def shares(available: Iterable[int], limit: int) -> list[int]:
    """How many of each group are shown: each at least its part of ``limit``, what is left over to the first ones."""
    available = list(available)
    part = limit // max(1, sum(map(bool, available)))
    taken = [min(count, part) for count in available]
    for at, count in enumerate(available):
        taken[at] += min(count - taken[at], limit - sum(taken))
    return taken
