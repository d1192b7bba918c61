"""The receipt: what each layer was and is, what runs it, how long it takes and how far its output moved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.engines import Kernel, LayerTimesUnavailable, Runner, Work
from workbench.engines._judge import why_in_float32
from workbench.machine.spinning import wait_for_sleeping_threads
from workbench.measure import ceilings
from workbench.measure.outputs import normalised, output_errors
from workbench.measure.tensors import MODEL, own_tensors
from workbench.measure.uses import used_in
from workbench.measure.weights import layer_states, main_weight, share_of_zeros, shared_with
from workbench.receipt import LayerReceipt, LayerState, Reality
from workbench.variant import Variant
from workbench.workload import Data

if TYPE_CHECKING:
    import torch

    from workbench.workload import Inputs

NEW_ZEROS = "its new zeros stay in a dense weight, and dense kernels multiply them all the same"
"""The reason in a row whose weight was pruned without shrinking."""

_ERROR_EXAMPLES = 64
_WATCHED_EXAMPLES = 2


def receipt(
    original: torch.nn.Module, variant: Variant, runner: Runner, inputs: Inputs | torch.Tensor
) -> tuple[LayerReceipt, ...]:
    """One row for every layer of the original and of the variant that has parameters, in the original's order.

    New layers come last; the row "(model)" is of what the model holds itself, outside its layers. The bytes of all
    rows add up to those of the model's tensors. A name that stands for another kind of layer in the variant (a
    student's, say) gives two rows: one removed, one brought in.

    Parameters
    ----------
    original
        The workload's module before the recipe.
    variant, runner
        What the recipe made of it, and what executes that.
    inputs
        [batch, …] of each input, or a lone tensor, for layer times and output errors; the batch that latency is
        measured with.
    """
    before, after = layer_states(Variant(module=original)), layer_states(variant, runner.kernels)
    facts = _facts(original, variant, runner, Data(inputs))
    rows = []
    for name in dict.fromkeys([*before, *after]):
        was, now = _layer(original, name), _layer(variant.module, name)
        same = type(was) is type(now)
        if name in before and not (same and name in after):
            rows.append(_removed(name, was, before[name], facts.whereabouts(name) if same else _GONE))
        if name in after:
            rows.append(_row(name, now, before.get(name) if same else None, after[name], facts))
    return tuple(rows)


_GONE = "not in the model any more"


@dataclass(frozen=True)
class _Facts:
    """What is known of the layers, by name, beside how their weights are kept."""

    variant: Variant
    kernels: dict[str, Kernel]
    used: dict[str, list[str]]
    folded: dict[str, str]
    """Normalisation → the layer that its graph has folded it into, or would have."""
    shared: dict[str, str]
    errors: dict[str, float]
    times: dict[str, float]
    no_times: str
    work: dict[str, list[Work]]

    def around(self, name: str) -> str | None:
        """The layer that computes with this one's parameters without calling it; None for one that is called."""
        callers = self.used.get(name, [name])
        return None if name in callers else callers[0]

    def whereabouts(self, name: str) -> str:
        """What became of a layer that is in the module, of which the graph keeps nothing."""
        if name not in self.used:
            return "the model doesn't use this layer, and the exported graph leaves it out"
        return f"folded into {self.folded.get(name, 'other layers')}"


def _facts(original: torch.nn.Module, variant: Variant, runner: Runner, examples: Data) -> _Facts:
    few = examples.at(slice(_WATCHED_EXAMPLES)).inputs
    used, layers = used_in(variant.module, few), normalised(variant.module, few)
    errors = output_errors(original, variant, examples.at(slice(_ERROR_EXAMPLES)).inputs)
    wait_for_sleeping_threads()  # PyTorch's: it has just run both models
    try:
        times, no_times = runner.layer_times_ms(examples.inputs), ""
    except LayerTimesUnavailable as reason:
        times, no_times = {}, str(reason)
    return _Facts(
        variant=variant,
        kernels=dict(runner.kernels),
        used=used,
        folded={normalisation: layer for layer, normalisation in layers.items()},
        shared=shared_with(variant, runner.kernels),
        errors=errors,
        times=times,
        no_times=no_times or "the engine reports no separate time for this layer",
        work=runner.layer_work(examples.inputs) if times else {},
    )


def _row(
    name: str, layer: torch.nn.Module, before: LayerState | None, after: LayerState, facts: _Facts
) -> LayerReceipt:
    around = facts.around(name)
    kernel = facts.kernels.get(around or name) if name in facts.used else None
    reality: Reality = kernel.reality if kernel is not None else "unchanged"
    if reality == "unchanged" and (before is None or not _same_shape(before, after)):
        reality = "real"  # the same kernel as before, on a weight that is physically another
    time_ms, work = facts.times.get(name), facts.work.get(name, [])
    share, ceiling = ceilings.share(work, time_ms) if work and time_ms else (None, None)
    return LayerReceipt(
        layer=name,
        op=type(layer).__name__,
        before=before,
        after=after,
        kernel=kernel.name if kernel is not None else None,
        compute_dtype=kernel.dtype if kernel is not None else None,
        reality=reality,
        reason="; ".join(dict.fromkeys(filter(None, _reasons(name, kernel, before, after, facts)))),
        time_ms=time_ms,
        time_reason="" if time_ms is not None else _no_time(around, facts),
        bytes_moved=sum(part.bytes_moved for part in work) or None,
        ceiling_share=share,
        ceiling=ceiling,
        output_error=facts.errors.get(name) if before is not None else None,
    )


def _no_time(around: str | None, facts: _Facts) -> str:
    return f"it is part of {around}'s" if around in facts.times else facts.no_times


def _reasons(
    name: str, kernel: Kernel | None, before: LayerState | None, after: LayerState, facts: _Facts
) -> Iterator[str]:
    variant, around = facts.variant, facts.around(name)
    if name not in facts.used:
        yield "the model doesn't use this layer"
    else:
        if around is not None:
            yield f"computed within {around if around != MODEL else 'the forward of the model itself'}"
        if kernel is not None:
            yield kernel.reason
        elif name == MODEL:
            yield "parameters of the model itself, outside its layers"
        elif name not in variant.unchanged:
            yield "the engine doesn't say which kernel runs this layer"
    yield variant.unchanged.get(name, "")
    if variant.graph is not None and len(after.weight_shape) >= 2 and after.dtype == "float32" and name != MODEL:
        yield why_in_float32(variant, name)
    yield variant.remarks.get(name, "")
    if before is not None and _has_new_zeros(name, before, after, variant):
        yield NEW_ZEROS
    if name in facts.shared:
        yield f"shares its weight with {facts.shared[name]}, where its bytes count"


def _has_new_zeros(name: str, before: LayerState, after: LayerState, variant: Variant) -> bool:
    own = own_tensors(variant.module)[name]
    return _same_shape(before, after) and share_of_zeros([own[main_weight(own)]]) > before.sparsity


def _removed(name: str, layer: torch.nn.Module, before: LayerState, reason: str) -> LayerReceipt:
    return LayerReceipt(
        layer=name,
        op=type(layer).__name__,
        before=before,
        after=None,
        kernel=None,
        compute_dtype=None,
        reality="real",
        reason=reason,
        time_reason=reason,
    )


def _layer(module: torch.nn.Module, name: str) -> torch.nn.Module | None:
    return module if name == MODEL else dict(module.named_modules()).get(name)


def _same_shape(before: LayerState, after: LayerState) -> bool:
    return before.weight_shape == after.weight_shape
