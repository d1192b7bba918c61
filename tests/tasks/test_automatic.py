"""Which metric "auto" takes."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from workbench.errors import WorkloadError
from workbench.tasks import losses, metrics

N = 6
ZERO_OR_ONE = torch.arange(N) % 2


def shaped(*shape: int) -> torch.Tensor:
    return torch.randn(N, *shape, generator=torch.Generator().manual_seed(0))


def whole(*shape: int, below: int = 5) -> torch.Tensor:
    return torch.arange(N * torch.Size(shape).numel()).reshape(N, *shape) % below


@pytest.mark.parametrize(
    ("outputs", "targets", "chosen"),
    [
        (shaped(5), whole(), "accuracy"),
        (shaped(5), whole().int(), "accuracy"),
        (shaped(2), ZERO_OR_ONE, "accuracy"),
        (shaped(5, 4, 3), whole(4, 3), "mean-iou"),
        (shaped(5, 4, 3), whole(4, 3) - 1, "mean-iou"),
        (shaped(7, 5), whole(7), "perplexity"),
        (shaped(7, 300), whole(7).to(torch.uint8), "perplexity"),
        (shaped(), ZERO_OR_ONE, "auroc"),
        (shaped(1), ZERO_OR_ONE, "auroc"),
        (shaped(1), ZERO_OR_ONE.unsqueeze(1), "auroc"),
        (shaped(1), ZERO_OR_ONE.bool(), "auroc"),
        (shaped(3), whole(3, below=2).float(), "auroc"),
        (shaped(3), whole(3, below=2), "auroc"),
        (shaped(1, 4, 3), whole(1, 4, 3, below=2).float(), "mask-iou"),
        (shaped(1, 4, 3), whole(4, 3, below=2).bool(), "mask-iou"),
        (shaped(1, 4, 3), whole(4, 3, below=2), "mask-iou"),
        (shaped(4, 3), whole(4, 3, below=2).float(), "mask-iou"),
        (shaped(3, 4, 3), whole(3, 4, 3, below=2).float(), "mask-iou"),
        (shaped(1, 4, 3).sigmoid(), whole(1, 4, 3, below=2).float(), "mask-iou"),
        (shaped(1, 4, 3), whole(1, 4, 3).float(), "mae"),
        (shaped(), shaped(), "mae"),
        (shaped(1), shaped(), "mae"),
        (shaped(1), whole(), "mae"),
        (shaped(3), shaped(3), "mae"),
        (shaped(3, 8, 8), shaped(3, 8, 8), "mae"),
        (shaped(5), None, "agreement"),
        (torch.nn.functional.normalize(shaped(5)), None, "relative-error"),
        (shaped(), None, "relative-error"),
        (shaped(1), None, "relative-error"),
        (shaped(3, 8, 8), None, "relative-error"),
        (shaped(2, 16), None, "relative-error"),
    ],
    ids=str,
)
def test_targets_and_outputs_say_what_is_meant(outputs, targets, chosen):
    metric = metrics.automatic(outputs, targets)
    assert metric.name == chosen
    if targets is not None:
        assert losses.find(metric.loss).misfit(outputs, targets) is None, "what judges can be trained"


@pytest.mark.parametrize(
    ("outputs", "targets", "said"),
    [
        (shaped(4), whole(), "target 4 at index 4 is outside 0…3, the model's 4 outputs"),
        (shaped(4), whole(below=3) - 1, "target -1 at index 0 is outside the class numbers"),
        (shaped(4, 3, 3), whole(3, 3), "target 4 at index 0 is outside 0…3"),
        (shaped(7, 4), whole(7), "target 4 at index 0 is outside 0…3"),
        (shaped(4), shaped(3), r"no metric fits .* \[6, 4\] and targets of float32 \[6, 3\]; give metric="),
        (shaped(4), shaped(), r"no metric fits outputs of shape \[6, 4\] and targets of float32 \[6\]"),
    ],
)
def test_where_none_fits_the_reason_is_what_is_wrong(outputs, targets, said):
    with pytest.raises(WorkloadError, match=said):
        metrics.automatic(outputs, targets)


def test_metrics_and_losses_are_known_without_torch():
    code = """
import sys
from workbench.tasks import losses, metrics
assert metrics.find("auroc").title and losses.find("mse").name
print([name for name in ("torch", "torchmetrics") if name in sys.modules])
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.strip() == "[]"
