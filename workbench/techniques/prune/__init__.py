"""Pruning: fewer channels, or fewer weights that aren't zero."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import model_validator

from workbench.errors import RecipeError
from workbench.graph.quantized import already_quantized
from workbench.plumbing.lazy import lazy
from workbench.techniques._base import Context, Form, Technique, option

if TYPE_CHECKING:
    import torch

    from workbench.tasks import Loss
    from workbench.techniques.prune.masks import Masks
    from workbench.variant import Variant
else:
    torch = lazy("torch")

_MOST_CHANNELS, _MOST_WEIGHTS = 0.9, 0.99


class Prune(Technique):
    """Take away the channels or weights that matter least.

    Without channels the layers are smaller: every engine has less to compute. Single weights only become zero, which
    makes files compress better, but dense engines no faster. Fine-tuning afterwards wins back some of the quality that
    was lost.
    """

    title: ClassVar[str] = "Prune"
    family: ClassVar[str] = "Prune"
    libraries: ClassVar[tuple[str, ...]] = ("torch-pruning",)
    order: ClassVar[int] = 20
    main_option: ClassVar[str] = "amount"
    deciding_option: ClassVar[str | None] = "kind"
    summarized: ClassVar[tuple[str, ...]] = ("amount", "kind")

    do: Literal["prune"] = "prune"
    kind: Literal["channels", "weights"] = option(
        "channels",
        "channels: layers become smaller; weights: single weights become zero, which dense engines don't run faster",
        title="What to remove",
    )
    amount: float = option(
        0.5,
        "how much to remove: of each layer's channels (up to 0.9), or of all weights (up to 0.99); 0 only fine-tunes",
        unit="fraction",
        title="Amount",
        ge=0,
        le=_MOST_WEIGHTS,
        maximum_when={"kind": {"channels": _MOST_CHANNELS}},
    )
    criterion: Literal["l1", "l2", "random"] = option(
        "l1",
        "which channels go: those with the smallest sum of weights (l1) or of squares (l2), or any (random)",
        when={"kind": ["channels"]},
        title="Criterion",
    )
    finetune_epochs: int = option(
        1,
        "training passes afterwards to win quality back",
        unit="epochs",
        trains=True,
        title="Fine-tuning",
        ge=0,
        le=5,
    )
    learning_rate: float = option(
        0.002,
        "the highest learning rate while fine-tuning",
        default_when={"kind": {"weights": 0.0005}},
        when={"finetune_epochs": [1, 2, 3, 4, 5]},
        title="Learning rate",
        ge=1e-5,
        le=0.1,
    )

    @model_validator(mode="after")
    def _channel_limit(self) -> Prune:
        if self.kind == "channels" and self.amount > _MOST_CHANNELS:
            raise RecipeError(f"prune amount is between 0 and {_MOST_CHANNELS} for channels, not {self.amount:g}")
        return self

    @classmethod
    def preload(cls) -> None:
        from workbench.techniques.prune import channels, masks  # noqa: F401

    def apply(self, variant: Variant, context: Context) -> Variant:
        """Prune a copy of the variant's module, then fine-tune it.

        Raises
        ------
        WorkbenchError
            An amount above 0 removes nothing from this model, or there is fine-tuning and nothing is known that could
            train it.
        """
        from workbench.models.folding import folded_parametrizations

        context.checkpoint()
        original = folded_parametrizations(variant.module)
        loss = self._loss(original, context) if self.finetune_epochs else None
        context.progress(f"pruning {self.kind}", 0, 0)
        masks = None
        if self.amount == 0:
            module, kept = self._whole(original)
        elif self.kind == "channels":
            from workbench.techniques.prune.channels import narrowed

            module, kept = narrowed(
                original,
                context.train.inputs,
                self.amount,
                self.criterion,
                seed=context.seed,
                checkpoint=context.checkpoint,
            )
        else:
            module, kept, masks = self._without_weights(original)
        worse = self._finetune(module, original, loss, masks, context) if loss else None
        notices = (*variant.notices, worse) if worse else variant.notices
        return variant.having(module=module, unchanged={**variant.unchanged, **kept}, notices=notices)

    def blocked(self, module: torch.nn.Module, form: Form | None = None) -> str | None:
        if reason := already_quantized(module):
            return reason
        if self.kind == "weights":
            from workbench.techniques.prune.masks import weights

            return None if weights(module) else "this model has no weight matrices or convolution kernels to prune"
        nn = torch.nn
        kinds = (nn.Linear, nn.modules.conv._ConvNd, nn.RNNBase)
        layers = [layer for layer in module.modules() if isinstance(layer, kinds)]
        if not layers:
            return "pruning channels needs linear, convolution or recurrent layers and this model has none"
        whole = [layer for layer in layers if isinstance(layer, nn.RNNBase) and layer.bidirectional]
        if whole and len(layers) - len(whole) < 2:
            return (
                "pruning channels needs a layer before the last that doesn't read in both directions: recurrent ones "
                "that do keep their units"
            )
        if len(layers) == 1:
            return "pruning channels needs a second layer: the outputs of the only one are the model's"
        return None

    def summary(self) -> str:
        return f"prune {self.amount * 100:g} % {self.kind}"

    def _whole(self, original: torch.nn.Module) -> tuple[torch.nn.Module, dict[str, str]]:
        from workbench.techniques.prune.masks import weights

        layers = [name.rpartition(".")[0] for name in weights(original)]
        return copy.deepcopy(original), dict.fromkeys(layers, "an amount of 0 removes nothing")

    def _without_weights(self, original: torch.nn.Module) -> tuple[torch.nn.Module, dict[str, str], Masks]:
        from workbench.techniques.prune.masks import smallest

        module = copy.deepcopy(original)
        masks = smallest(module, self.amount)
        masks.apply()
        reason = f"none of its weights is among the smallest {100 * self.amount:.0f} % of the model"
        whole = [name.rpartition(".")[0] for name, keep in masks.keep.items() if bool(keep.all())]
        return module, dict.fromkeys(whole, reason), masks

    def _loss(self, module: torch.nn.Module, context: Context) -> Loss:
        from workbench.techniques._training import loss_for

        return loss_for(module, context, "prune")

    def _finetune(
        self,
        module: torch.nn.Module,
        original: torch.nn.Module,
        loss: Loss,
        masks: Masks | None,
        context: Context,
    ) -> str | None:
        """By the targets, or where there are none by what the model gave before it was pruned.

        What makes it worse is undone; returns words that say so.
        """
        from workbench.techniques._better import refereed
        from workbench.techniques._training import Plan, learning, outputs, train

        context, referee = refereed(context, original)

        def training() -> None:
            train(
                module,
                Plan("prune", self.finetune_epochs, self.learning_rate),
                context,
                learning(loss, context, lambda: outputs(original, context, "prune: asking the whole model")),
                after_step=masks.apply if masks else lambda: None,
                judge=referee.glance if referee else None,
            )

        return referee.better(module, training) if referee else training()
