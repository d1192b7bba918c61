"""Train an embedded model from random weights: ``python -m workbench.models.train fashion-cnn``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import torch
from safetensors.torch import save_file

from workbench.datasets import Figure, File, ModelCard, Training
from workbench.datasets.cards import FOLDER
from workbench.errors import WorkbenchError, unknown
from workbench.models import zoo
from workbench.models.zoo import Embedded, Plan
from workbench.tasks import Metric, losses, metrics
from workbench.workload import Data

TEST_BATCH = 500


@dataclass(frozen=True)
class Outcome:
    """What a training came to. ``losses`` holds the mean training loss of each epoch."""

    module: torch.nn.Module
    losses: tuple[float, ...]
    seconds: float


def fit(embedded: Embedded, examples: Data, plan: Plan, seed: int, report: Callable[[str], None] = print) -> Outcome:
    """Train the architecture of an embedded workload from random weights.

    Parameters
    ----------
    examples
        As the plan gives them.
    plan
        Epochs, batch, learning rate and the rest.
    seed
        Seeds the initial weights, the order of the examples and the augmentation.
    report
        Takes one line of text per epoch.
    """
    torch.manual_seed(seed)
    module = embedded.architecture().to(memory_format=torch.channels_last).train()
    criterion = plan.criterion(losses.find(embedded.loss))
    steps = max(len(examples) // plan.batch, 1)
    optimizer = plan.optimizer(_groups(module, plan.weight_decay))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, plan.peak_learning_rate, total_steps=steps * plan.epochs, pct_start=0.2, cycle_momentum=False
    )
    means, began = [], time.perf_counter()
    for epoch in range(plan.epochs):
        order = torch.randperm(len(examples))
        total = 0.0
        for step in range(steps):
            batch = plan.prepared(examples.at(order[step * plan.batch : (step + 1) * plan.batch]))
            with torch.autocast("cpu", torch.bfloat16, enabled=plan.bf16):
                outputs = module(*batch.inputs)
            loss = criterion(outputs.float(), batch.targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        means.append(total / steps)
        seconds = time.perf_counter() - began
        report(f"{embedded.name}: epoch {epoch + 1}/{plan.epochs}, loss {means[-1]:.4f}, {seconds:.0f} s")
    return Outcome(module.eval(), tuple(means), time.perf_counter() - began)


def _groups(module: torch.nn.Module, weight_decay: float) -> list[dict]:
    """The parameters that decay, the matrices and filters, and those that don't."""
    decayed = [weight for weight in module.parameters() if weight.ndim > 1]
    plain = [weight for weight in module.parameters() if weight.ndim <= 1]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]


@torch.inference_mode()
def outputs_of(module: torch.nn.Module, data: Data) -> torch.Tensor:
    """The module's float32 outputs [N, …] for all examples."""
    return torch.cat([module(*batch.inputs) for batch in data.batches(TEST_BATCH)])


def figure(metric: Metric, outputs: torch.Tensor, targets: torch.Tensor) -> float:
    """How good the outputs are, in the metric's unit."""
    return metric.value(metric.terms(outputs, targets).numpy())


def metric_of(embedded: Embedded) -> Metric:
    """What judges it."""
    return embedded.metric if isinstance(embedded.metric, Metric) else metrics.find(embedded.metric)


def classes_of(metric: Metric, outputs: torch.Tensor) -> int | None:
    """Among how many classes each answer chooses; ``None`` where answers are numbers."""
    answers = metric.answers(outputs)
    return None if answers is None else outputs.numel() // answers.numel()


def quality(embedded: Embedded, module: torch.nn.Module) -> Figure:
    """How good a trained model is on the test examples, beside what needs no model."""
    metric = metric_of(embedded)
    test, train = embedded.source.read()
    naive = embedded.naive(test, train) if embedded.naive else {}
    return Figure(
        metric=metric.name,
        title=metric.title,
        value=figure(metric, outputs_of(module, test), test.targets),
        unit=metric.unit,
        n=len(test),
        data=embedded.source.title,
        naive={name: figure(metric, outputs, test.targets) for name, outputs in naive.items()},
    )


def save(embedded: Embedded, outcome: Outcome, training: Training, folder: Path) -> ModelCard:
    """Write ``name.safetensors`` (float32) and its card into ``folder``; the figure is of the whole test set."""
    name, module = embedded.name, outcome.module
    path = folder / f"{name}.safetensors"
    save_file({key: value.contiguous() for key, value in module.state_dict().items()}, path)
    test, _ = embedded.source.read()
    (inputs,), outputs = test.inputs, outputs_of(module, test.at(slice(1)))
    card = ModelCard(
        name=name,
        description=(embedded.architecture.__doc__ or "").strip().splitlines()[0].rstrip("."),
        source="trained for this project from random weights",
        licence="Apache-2.0",
        made=f"python -m workbench.models.train {name} --seed {training.seed}",
        files=(File.of(path),),
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        classes=classes_of(metric_of(embedded), outputs),
        input_shape=tuple(inputs.shape[1:]),
        input_dtype=str(inputs.dtype).removeprefix("torch."),
        quality=quality(embedded, module),
        training=training,
        needs=embedded.needs,
    )
    card.write(folder / f"{name}.json")
    return card


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m workbench.models.train", description=__doc__)
    parser.add_argument("model", help=f"one of {', '.join(zoo.registered())}")
    parser.add_argument(
        "--data", type=Path, help="folder with original files that aren't embedded; else the cache or the internet"
    )
    parser.add_argument("--out", type=Path, help="folder for the weights and the card; the embedded ones by default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, help="instead of the model's own number")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads; results repeat for the same number")
    parser.add_argument("--limit", type=int, help="use only this many training examples")
    options = parser.parse_args(arguments)
    try:
        embedded, plan = _found(options.model)
        examples, data = plan.examples(embedded.source, options.data)
    except WorkbenchError as error:
        print(error, file=sys.stderr)
        return 2
    if options.limit and options.limit < len(examples):
        examples, data = examples.at(slice(options.limit)), f"{data}, in part"
    if options.epochs:
        plan = replace(plan, epochs=options.epochs)
    torch.set_num_threads(options.threads)
    outcome = fit(embedded, examples, plan, options.seed)
    training = Training(
        seed=options.seed,
        data=data,
        examples=len(examples),
        plan=asdict(plan),
        epoch_losses=tuple(round(loss, 4) for loss in outcome.losses),
        seconds=round(outcome.seconds, 1),
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        date=datetime.now(UTC).date().isoformat(),
    )
    folder = options.out or FOLDER / "models"
    folder.mkdir(parents=True, exist_ok=True)
    card = save(embedded, outcome, training, folder)
    print(f"{embedded.name}: {card.quality} ({card.quality.n} examples); weights and card in {folder}")
    return 0


def _found(name: str) -> tuple[Embedded, Plan]:
    """The embedded workload of that name and how it is trained."""
    if name not in zoo.registered():
        raise WorkbenchError(unknown("model", name, zoo.registered()))
    embedded = zoo.registered()[name]
    if embedded.plan is None:
        raise WorkbenchError(f"{name} has no plan of how it is trained; give it one where it is declared")
    return embedded, embedded.plan


if __name__ == "__main__":
    raise SystemExit(main())
