"""A finished result to store and draw, where the figures don't matter."""

from __future__ import annotations

from workbench.receipt import Interval, LatencyFigures, LayerReceipt, LayerState, Quality, Result, Side

ACCURACY = Quality(
    metric="accuracy", title="accuracy", unit="share", better="higher", value=0.92, low=0.915, high=0.925, n=10_000
)


def a_result(
    *,
    workload: str = "fashion-cnn",
    workload_id: str | None = None,
    speedup: float = 2.0,
    latency_ms: float = 0.2,
    recipe: dict | None = None,
) -> Result:
    """A plausible result of an int8 run."""
    from workbench.recipe import Recipe

    return Result(
        workload=workload,
        workload_id=workload if workload_id is None else workload_id,
        recipe=recipe or Recipe.parse(place={"engine": "eager", "threads": 1}).model_dump(mode="json"),
        baseline=a_side(latency_ms=latency_ms * speedup, size_bytes=800_000),
        variant=a_side(latency_ms=latency_ms, size_bytes=200_000),
        speedup=Interval(value=speedup, low=speedup * 0.98, high=speedup * 1.02),
        quality_loss=Interval(value=0.001, low=-0.001, high=0.003),
        answers_changed=12,
        receipt=(
            LayerReceipt(
                layer="conv1",
                op="conv2d",
                before=LayerState(dtype="float32", weight_shape=(16, 1, 3, 3), sparsity=0.0, weight_bytes=576),
                after=LayerState(dtype="int8", weight_shape=(16, 1, 3, 3), sparsity=0.0, weight_bytes=144),
                kernel="QLinearConv",
                compute_dtype="int8",
                reality="real",
            ),
        ),
        verdict="2.0× faster",
        environment={"seed": 0},
    )


def a_side(*, latency_ms: float, size_bytes: int) -> Side:
    """One side of a comparison."""
    return Side(
        engine="eager",
        device="cpu",
        latency_ms=LatencyFigures(
            p50=latency_ms, p90=latency_ms * 1.1, p95=latency_ms * 1.2, p99=latency_ms * 1.5, n=1000
        ),
        quality=ACCURACY,
        size_bytes=size_bytes,
        peak_memory_bytes=None,
    )
