"""The model as a graph of its layers: where each stands, its share of the time, and whether it is real."""

from __future__ import annotations

from collections import Counter
from typing import Any

from workbench.layer import INPUT, OUTPUT, Flow
from workbench.receipt import LayerReceipt
from workbench.widgets import _format as fmt
from workbench.widgets.page.layout import NODE_HEIGHT, laid_out

View = dict[str, Any]

_CHARACTER_PX, _AROUND_PX = 7.6, 22
_LEAST_PX = {"layer": 68, "join": 44, "end": 52}
_MOST_CHARACTERS = 22


def view(flow: Flow | None, receipt: tuple[LayerReceipt, ...]) -> View:
    """Nodes and edges with their places; {} where the flow isn't known, or is another model's than the receipt."""
    rows = {row.layer: row for row in receipt}
    if flow is None or not _belongs(flow, rows):
        return {}
    times = Counter({row.layer: row.time_ms for row in receipt if row.time_ms})
    nodes = {name: _node(name, flow, rows.get(name), times) for name in flow.nodes}
    layout = laid_out({name: node["width"] for name, node in nodes.items()}, list(flow.edges))
    for name, (x, y) in layout.corners.items():
        nodes[name] |= {"x": round(x), "y": round(y)}
    return {
        "width": round(layout.width),
        "height": round(layout.height),
        "node_height": NODE_HEIGHT,
        "nodes": list(nodes.values()),
        "edges": [
            {"from": edge[0], "to": edge[1], "points": [round(number) for point in points for number in point]}
            for edge, points in layout.edges.items()
        ],
    }


def _belongs(flow: Flow, rows: dict[str, LayerReceipt]) -> bool:
    """Whether the flow is of the model that the receipt tells of: its layers are there, but for what was folded."""
    layers = [name for name in flow.nodes if name not in flow.joins and name not in (INPUT, OUTPUT)]
    return bool(layers) and all(name in rows and (rows[name].after or not rows[name].has_weight) for name in layers)


def _node(name: str, flow: Flow, row: LayerReceipt | None, times: Counter[str]) -> View:
    label = flow.joins.get(name) or name.strip("()") if row is None else _label(row)
    kind = "layer" if row else "join" if name in flow.joins else "end"
    known = row is not None and row.time_ms is not None and times.total() > 0
    return {
        "name": name,
        "label": label,
        "kind": kind,
        "op": row.op if row else "",
        "width": round(max(_LEAST_PX[kind], _CHARACTER_PX * len(label) + _AROUND_PX)),
        "shade": round(row.time_ms / max(times.values()), 3) if known else 0,
        "percent": fmt.percent(row.time_ms / times.total(), 0) if known else "",
        "reality": row.reality if row else "",
        "gone": row is not None and row.after is None,
    }


def _label(row: LayerReceipt) -> str:
    """The layer's name; the end of it where it is long, or the layer small."""
    if not row.has_weight:
        return row.layer.rpartition(".")[2]
    return row.layer if len(row.layer) <= _MOST_CHARACTERS else f"…{row.layer[1 - _MOST_CHARACTERS :]}"
