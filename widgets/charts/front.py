"""The Pareto front of accuracy against latency."""

from __future__ import annotations

from collections.abc import Iterable


def pareto_front(points: Iterable[tuple[int, float, float]]) -> list[int]:
    """The ids of the points that no other one beats, fastest first.

    Each point is (id, latency in ms, accuracy). One beats another when it is at least as fast and at
    least as accurate, and better in one of the two; of equal points the first counts.
    """
    front: list[int] = []
    best = float("-inf")
    for number, _, accuracy in sorted(points, key=lambda point: (point[1], -point[2])):
        if accuracy > best:
            front.append(number)
            best = accuracy
    return front
