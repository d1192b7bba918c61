"""What a run found as one page of HTML that needs nothing else: machine, figures, intervals and receipt."""

from __future__ import annotations

import json
from collections.abc import Iterable
from html import escape
from typing import Any

from workbench.plumbing import html
from workbench.plumbing.words import figure, size
from workbench.receipt import Interval, LayerReceipt, Quality, Result, Side, weights_first
from workbench.recipe import Recipe

_STYLE = """
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; display: block; overflow-x: auto }
th, td { text-align: left; padding: .2rem 1rem .2rem 0; border-bottom: 1px solid #8886; vertical-align: top }
pre { overflow-x: auto }
"""


def report(
    workload: str,
    recipe: Recipe,
    files: Iterable[tuple[str, int]],
    receipt: Iterable[LayerReceipt],
    environment: dict[str, Any],
    result: Result | None,
) -> str:
    """The page. ``files``: name and bytes of each; without a ``result`` it says that nothing was measured."""
    title = escape(f"{workload}: {recipe.summary()}")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{title}</h1>
{_measured(result) if result else "<p>This model was saved without being measured.</p>"}
<h2>Files</h2>
{html.table(["file", "size"], [[name, size(size_bytes)] for name, size_bytes in files])}
<h2>Receipt: what really happened, layer by layer</h2>
{html.table(["layer", "kind", "before", "after", "kernel", "", "why"], map(_layer, weights_first(receipt)))}
<h2>Recipe</h2>
<pre>{escape(recipe.to_json(indent=1))}</pre>
<h2>Machine</h2>
{html.table(["", "found"], [[name, _fact(fact)] for name, fact in environment.items()])}
</body>
</html>
"""


def figures(result: Result) -> list[tuple[str, str, str]]:
    """Name, and words for baseline and variant, of each figure that both sides have."""
    names = ("latency", "throughput", result.variant.quality.title, "size")
    return list(zip(names, _side(result.baseline), _side(result.variant), strict=True))


def _side(side: Side) -> list[str]:
    latency, throughput = side.latency_ms, side.throughput
    return [
        f"{latency.p50:.4g} ms (p95 {latency.p95:.4g})",
        f"{throughput.value:,.0f} {throughput.unit}/s" if throughput else "",
        _quality(side.quality),
        f"{side.size_bytes / 1000:,.0f} kB",
    ]


def _quality(quality: Quality) -> str:
    value, low, high = (figure(each, quality.unit) for each in (quality.value, quality.low, quality.high))
    return f"{value} ({low} – {high})"


def _measured(result: Result) -> str:
    quality = result.variant.quality
    differences = [
        ["speed-up", f"{_interval(result.speedup)} ×"],
        [f"loss of {quality.title}; positive is worse", f"{_interval(result.quality_loss)} {quality.unit}".rstrip()],
    ]
    return f"""<p><strong>{escape(result.verdict)}</strong></p>
{"".join(map(html.paragraph, result.notices))}
{html.table(["", f"baseline: {result.baseline.engine}", f"variant: {result.variant.engine}"], figures(result))}
<h2>Differences</h2>
{html.table(["", "with its 95 % interval"], differences)}"""


def _interval(interval: Interval) -> str:
    return f"{interval.value:.4g} ({interval.low:.4g} – {interval.high:.4g})"


def _layer(row: LayerReceipt) -> list[str]:
    states = [
        f"{state.dtype} {'×'.join(map(str, state.weight_shape))}, {state.sparsity:.0%} zeros" if state else "—"
        for state in (row.before, row.after)
    ]
    return [row.layer, row.op, *states, row.kernel or "—", row.reality, row.reason]


def _fact(fact: Any) -> str:
    return fact if isinstance(fact, str) else json.dumps(fact)
