"""The receipt: what each layer was and is, what runs it, how long it takes and how far its output moved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.engines import Kernel, LayerTimesUnavailable, Runner, Work
from workbench.measure import ceilings
from workbench.measure.outputs import output_errors
from workbench.measure.spinning import wait_for_sleeping_threads
from workbench.measure.weights import layer_states, share_of_zeros, weighted_layers
from workbench.receipt import LayerReceipt, LayerState, Reality
from workbench.variant import Variant

if TYPE_CHECKING:
    import torch

__all__ = ["NEW_ZEROS", "layer_states", "output_errors", "receipt", "weighted_layers"]

NEW_ZEROS = "its new zeros stay in a dense weight, and dense kernels multiply them all the same"
"""The reason in a row whose weight was pruned without shrinking."""

_ERROR_EXAMPLES = 64


def receipt(
    original: torch.nn.Module, variant: Variant, runner: Runner, inputs: torch.Tensor
) -> tuple[LayerReceipt, ...]:
    """One row for every layer of the original and of the variant, in the original's order, new layers last.

    A name that stands for another kind of layer in the variant (a student's, say) gives two rows: one
    removed, one brought in.

    Parameters
    ----------
    original
        The workload's module before the recipe.
    variant, runner
        What the recipe made of it, and what executes that.
    inputs
        float32 [batch, …] for layer times and output errors; the batch that latency is measured with.
    """
    before, after = layer_states(Variant(module=original)), layer_states(variant, runner.kernels)
    layers_before, layers_after = weighted_layers(original), weighted_layers(variant.module)
    errors = output_errors(original, variant, inputs[:_ERROR_EXAMPLES])
    wait_for_sleeping_threads()  # PyTorch's: it has just run both models
    try:
        times, no_times = runner.layer_times_ms(inputs), ""
    except LayerTimesUnavailable as reason:
        times, no_times = {}, str(reason)
    work = runner.layer_work(inputs) if times else {}
    rows = []
    for name in dict.fromkeys([*before, *after]):
        same = name in before and name in after and type(layers_before[name]) is type(layers_after[name])
        if name in before and not same:
            rows.append(_removed(name, type(layers_before[name]).__name__, before[name]))
        if name not in after:
            continue
        only_zeros = (
            same
            and _same_shape(before[name], after[name])
            and share_of_zeros(layers_after[name].weight) > before[name].sparsity
        )
        rows.append(
            _row(
                name,
                type(layers_after[name]).__name__,
                before[name] if same else None,
                after[name],
                runner.kernels.get(name),
                _reasons(variant, name, only_zeros=only_zeros),
                times.get(name),
                work.get(name, []),
                no_times or "the engine reports no separate time for this layer",
                errors.get(name) if same else None,
            )
        )
    return tuple(rows)


def _row(
    name: str,
    op: str,
    before: LayerState | None,
    after: LayerState,
    kernel: Kernel | None,
    reasons: list[str],
    time_ms: float | None,
    work: list[Work],
    no_time: str,
    error: float | None,
) -> LayerReceipt:
    reality: Reality = kernel.reality if kernel is not None else "unchanged"
    if reality == "unchanged" and (before is None or not _same_shape(before, after)):
        reality = "real"  # the same kernel as before, on a weight that is physically another
    if kernel is None:
        reasons = [*reasons, "the engine doesn't say which kernel runs this layer"]
    elif kernel.reason:
        reasons = [kernel.reason, *reasons]
    share, ceiling = ceilings.share(work, time_ms) if work and time_ms else (None, None)
    return LayerReceipt(
        layer=name,
        op=op,
        before=before,
        after=after,
        kernel=kernel.name if kernel is not None else None,
        compute_dtype=kernel.dtype if kernel is not None else None,
        reality=reality,
        reason="; ".join(dict.fromkeys(reasons)),
        time_ms=time_ms,
        time_reason="" if time_ms is not None else no_time,
        bytes_moved=sum(part.bytes_moved for part in work) or None,
        ceiling_share=share,
        ceiling=ceiling,
        output_error=error,
    )


def _removed(name: str, op: str, before: LayerState) -> LayerReceipt:
    return LayerReceipt(
        layer=name,
        op=op,
        before=before,
        after=None,
        kernel=None,
        compute_dtype=None,
        reality="real",
        reason="not in the model any more",
        time_reason="not in the model any more",
    )


def _reasons(variant: Variant, name: str, *, only_zeros: bool) -> list[str]:
    reasons = [variant.unchanged[name]] if name in variant.unchanged else []
    if only_zeros:
        reasons.append(NEW_ZEROS)
    return reasons


def _same_shape(before: LayerState, after: LayerState) -> bool:
    return before.weight_shape == after.weight_shape
