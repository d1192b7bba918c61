"""Where the nodes of a graph of layers stand when it is drawn from left to right, and which way its edges take.

The layered method of Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical system structures",
1981: columns by longest path, orders within them by barycentres, long edges through a free place in each column.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import networkx

NODE_HEIGHT, LANE_HEIGHT, GAP, PADDING = 40, 50, 26, 6
"""In pixels: of a node, from lane to lane, from column to column, around all."""
_SWEEPS = 4

Point = tuple[float, float]
_Bend = tuple[str, str, int]
"""An edge, and the column where it passes."""
_Place = str | _Bend


@dataclass(frozen=True)
class Layout:
    """Left upper corners of nodes, and the points of edges, in pixels."""

    width: float
    height: float
    corners: dict[str, Point]
    edges: dict[tuple[str, str], list[Point]]


def laid_out(nodes: Mapping[str, float], edges: list[tuple[str, str]]) -> Layout:
    """A place for each of ``nodes``, which are so many pixels wide; ``edges`` between them have no cycles."""
    import networkx  # takes a moment, and no page needs it before its first layers

    graph = networkx.DiGraph()
    graph.add_nodes_from(nodes)
    graph.add_edges_from(edges)
    slots = _slots(_columns(graph), nodes)
    corners = {name: (slots[name].left, slots[name].middle - NODE_HEIGHT / 2) for name in nodes}
    return Layout(
        width=max((slot.left + slot.width for slot in slots.values()), default=0) + PADDING,
        height=max((slot.middle for slot in slots.values()), default=0) + NODE_HEIGHT / 2 + PADDING,
        corners=corners,
        edges={edge: _path(edge, nodes, slots) for edge in edges},
    )


@dataclass(frozen=True)
class _Slot:
    """Where a place is: its column's left side and width, and the middle of its lane."""

    column: int
    left: float
    width: float
    middle: float


def _slots(columns: list[list[_Place]], nodes: Mapping[str, float]) -> dict[_Place, _Slot]:
    slots, left = {}, float(PADDING)
    for number, column in enumerate(columns):
        width = max((nodes.get(place, 0) for place in column), default=0)
        for lane, place in enumerate(column):
            slots[place] = _Slot(number, left, width, PADDING + NODE_HEIGHT / 2 + LANE_HEIGHT * lane)
        left += width + GAP
    return slots


def _path(edge: tuple[str, str], nodes: Mapping[str, float], slots: dict[_Place, _Slot]) -> list[Point]:
    """From the right side of a node, level through each column that it passes, to the left side of another."""
    begin, end = (slots[name] for name in edge)
    bends = [slots[(*edge, column)] for column in range(begin.column + 1, end.column)]
    between = [(x, bend.middle) for bend in bends for x in (bend.left, bend.left + bend.width)]
    return [(begin.left + nodes[edge[0]], begin.middle), *between, (end.left, end.middle)]


def _columns(graph: networkx.DiGraph) -> list[list[_Place]]:
    """Nodes and bends by column, in an order that crosses few edges."""
    import networkx

    columns: list[list[_Place]] = [list(column) for column in networkx.topological_generations(graph)]
    column_of = {place: number for number, column in enumerate(columns) for place in column}
    parts = networkx.DiGraph()
    for source, target in graph.edges:
        between = range(column_of[source] + 1, column_of[target])
        bends: list[_Place] = [(source, target, number) for number in between]
        for bend, number in zip(bends, between, strict=True):
            columns[number].append(bend)
        networkx.add_path(parts, [source, *bends, target])
    for sweep in range(_SWEEPS):
        _sweep(columns, parts, down=sweep % 2 == 0)
    return columns


def _sweep(columns: list[list[_Place]], parts: networkx.DiGraph, *, down: bool) -> None:
    """Order each column by the mean places of its neighbours in the one before it, or after; nodes before bends."""
    for column in columns if down else reversed(columns):
        at = {place: lane for each in columns for lane, place in enumerate(each)}
        near = parts.predecessors if down else parts.successors

        def barycentre(place: _Place, at: dict = at, near=near) -> tuple[float, bool, int]:
            places = [at[each] for each in near(place)] if place in parts else []
            return fmean(places) if places else at[place], not isinstance(place, str), at[place]

        column.sort(key=barycentre)
