"""The Pareto front of quality against latency."""

from __future__ import annotations

from collections.abc import Iterable

from workbench.receipt import Direction


def pareto_front(points: Iterable[tuple[int, float, float]], better: Direction = "higher") -> list[int]:
    """The ids of the points that no other one beats, fastest first.

    Each point is (id, latency in ms, quality), the quality better the higher or the lower it is. One beats another
    when it is at least as fast and at least as good, and better in one of the two; of equal points the first counts.
    """
    sign = 1 if better == "higher" else -1
    upwards = ((number, ms, sign * quality) for number, ms, quality in points)
    front: list[int] = []
    best = float("-inf")
    for number, _, quality in sorted(upwards, key=lambda point: (point[1], -point[2])):
        if quality > best:
            front.append(number)
            best = quality
    return front
