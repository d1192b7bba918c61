"""Train an embedded model on the 60,000 images: ``python -m workbench.models.train fashion-cnn``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch.nn import functional

from workbench.datasets import Accuracy, File, ModelCard, Training, fashion_mnist
from workbench.datasets.cards import FOLDER
from workbench.errors import WorkbenchError, unknown
from workbench.models import zoo
from workbench.models.zoo import Plan

TEST_BATCH = 500


@dataclass(frozen=True)
class Outcome:
    """What a training came to. ``losses`` holds the mean training loss of each epoch."""

    module: torch.nn.Module
    losses: tuple[float, ...]
    seconds: float


def fit(
    name: str, images: np.ndarray, labels: np.ndarray, plan: Plan, seed: int, report: Callable[[str], None] = print
) -> Outcome:
    """Train the architecture ``name`` from random weights.

    Parameters
    ----------
    images, labels
        uint8 [N, 28, 28] and integers [N].
    plan
        Epochs, batch, learning rate and the rest.
    seed
        Seeds the initial weights, the order of the examples and the augmentation.
    report
        Takes one line of text per epoch.
    """
    torch.manual_seed(seed)
    module = zoo.registered()[name].architecture().to(memory_format=torch.channels_last).train()
    pixels, classes = torch.tensor(images), torch.tensor(labels).long()
    steps = max(len(pixels) // plan.batch, 1)
    decayed = [weight for weight in module.parameters() if weight.ndim > 1]
    plain = [weight for weight in module.parameters() if weight.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": plan.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, lr=plan.peak_learning_rate, momentum=0.9, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, plan.peak_learning_rate, total_steps=steps * plan.epochs, pct_start=0.2, cycle_momentum=False
    )
    losses, began = [], time.perf_counter()
    for epoch in range(plan.epochs):
        order = torch.randperm(len(pixels))
        total = 0.0
        for step in range(steps):
            index = order[step * plan.batch : (step + 1) * plan.batch]
            batch = augment(pixels[index], plan.shift).to(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16, enabled=plan.bf16):
                logits = module(batch)
            loss = functional.cross_entropy(logits.float(), classes[index], label_smoothing=plan.smoothing)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        losses.append(total / steps)
        report(f"{name}: epoch {epoch + 1}/{plan.epochs}, loss {losses[-1]:.4f}, {time.perf_counter() - began:.0f} s")
    return Outcome(module.eval(), tuple(losses), time.perf_counter() - began)


def augment(pixels: torch.Tensor, shift: int) -> torch.Tensor:
    """Turn uint8 [N, 28, 28] into float32 [N, 1, 28, 28] in 0…1, mirrored and shifted at random."""
    batch = pixels.unsqueeze(1).float().div_(255)
    mirrored = torch.rand(len(batch)) < 0.5
    batch = torch.where(mirrored.view(-1, 1, 1, 1), batch.flip(3), batch)
    if not shift:
        return batch
    height, width = batch.shape[2:]
    padded = functional.pad(batch, (shift,) * 4)
    rows = torch.randint(2 * shift + 1, (len(batch), 1, 1)) + torch.arange(height).view(1, -1, 1)
    columns = torch.randint(2 * shift + 1, (len(batch), 1, 1)) + torch.arange(width).view(1, 1, -1)
    return padded[torch.arange(len(batch)).view(-1, 1, 1), 0, rows, columns].unsqueeze(1)


@torch.inference_mode()
def correct(module: torch.nn.Module, images: np.ndarray, labels: np.ndarray) -> int:
    """Count the examples whose largest logit is at their label."""
    hits = 0
    for start in range(0, len(images), TEST_BATCH):
        batch = torch.tensor(images[start : start + TEST_BATCH]).unsqueeze(1).float() / 255
        hits += int((module(batch).argmax(1).numpy() == labels[start : start + TEST_BATCH]).sum())
    return hits


def save(name: str, outcome: Outcome, plan: Plan, seed: int, examples: int, folder: Path) -> ModelCard:
    """Write ``name.safetensors`` (float32) and its card into ``folder``; the accuracy is on the whole test set."""
    images, labels = fashion_mnist.test()
    hits = correct(outcome.module, images, labels)
    path = folder / f"{name}.safetensors"
    save_file({key: value.contiguous() for key, value in outcome.module.state_dict().items()}, path)
    card = ModelCard(
        name=name,
        description=(zoo.registered()[name].architecture.__doc__ or "").strip().splitlines()[0].rstrip("."),
        source="trained for this project from random weights",
        licence="Apache-2.0",
        made=f"python -m workbench.models.train {name} --seed {seed}",
        files=(File.of(path),),
        parameters=sum(parameter.numel() for parameter in outcome.module.parameters()),
        classes=len(fashion_mnist.CLASSES),
        input_shape=(1, *images.shape[1:]),
        accuracy=Accuracy(value=hits / len(labels), correct=hits, n=len(labels), data="fashion-mnist, test"),
        training=Training(
            seed=seed,
            data="fashion-mnist, the 60,000 training images" if examples == 60_000 else "fashion-mnist, in part",
            examples=examples,
            plan=asdict(plan),
            epoch_losses=tuple(round(loss, 4) for loss in outcome.losses),
            seconds=round(outcome.seconds, 1),
            threads=torch.get_num_threads(),
            torch=torch.__version__,
            date=datetime.now(UTC).date().isoformat(),
        ),
    )
    card.write(folder / f"{name}.json")
    return card


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m workbench.models.train", description=__doc__)
    parser.add_argument("model", help=f"one of {', '.join(zoo.registered())}")
    parser.add_argument("--data", type=Path, help="folder with the four original files; else the cache or the internet")
    parser.add_argument("--out", type=Path, help="folder for the weights and the card; the embedded ones by default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, help="instead of the model's own number")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads; results repeat for the same number")
    parser.add_argument("--limit", type=int, help="use only this many training images")
    options = parser.parse_args(arguments)
    try:
        if options.model not in zoo.registered():
            raise WorkbenchError(unknown("model", options.model, zoo.registered()))
        images, labels = fashion_mnist.full(options.data)
    except WorkbenchError as error:
        print(error, file=sys.stderr)
        return 2
    images, labels = images[: options.limit], labels[: options.limit]
    torch.set_num_threads(options.threads)
    plan = zoo.registered()[options.model].plan
    if options.epochs:
        plan = replace(plan, epochs=options.epochs)
    outcome = fit(options.model, images, labels, plan, options.seed)
    folder = options.out or FOLDER / "models"
    folder.mkdir(parents=True, exist_ok=True)
    accuracy = save(options.model, outcome, plan, options.seed, len(images), folder).accuracy
    print(f"{options.model}: {accuracy.value:.2%} of {accuracy.n} test images right; weights and card in {folder}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
