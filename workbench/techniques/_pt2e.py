"""Post-training quantization of an exported graph through torchao's PT2E flow. Imports torchao."""

from __future__ import annotations

from collections.abc import Callable, Collection

import torch

from workbench._quiet import quiet
from workbench.graph import layer_of

with quiet("torchao", "torch.utils._pytree"):  # torchao names each GPU library that it can't load
    from torchao.quantization.pt2e import (
        HistogramObserver,
        MinMaxObserver,
        PerChannelMinMaxObserver,
        PlaceholderObserver,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer import QuantizationConfig, QuantizationSpec
    from torchao.quantization.pt2e.quantizer.x86_inductor_quantizer import X86InductorQuantizer

aten = torch.ops.aten
_CONVOLUTIONS = (aten.conv1d.default, aten.conv2d.default)
_KEPT_SHARE = 0.9999


class PercentileObserver(HistogramObserver):
    """Takes the range that holds 99.99 % of the values seen, half of the rest cut from either end."""

    def calculate_qparams(self) -> tuple[torch.Tensor, torch.Tensor]:
        below = torch.cumsum(self.histogram.double(), 0) / self.histogram.sum().double()
        cut = (1 - _KEPT_SHARE) / 2
        first = int(torch.searchsorted(below, cut))
        last = min(int(torch.searchsorted(below, 1 - cut)), self.bins - 1)
        width = (self.max_val - self.min_val) / self.bins
        return self._calculate_qparams(self.min_val + width * first, self.min_val + width * (last + 1))


OBSERVERS = {"range": MinMaxObserver, "percentile": PercentileObserver, "mse": HistogramObserver}
"""How the range of an activation is chosen: its extremes, its bulk, or the least squared error (torchao's search)."""


class _Quantizer(X86InductorQuantizer):
    """torchao's x86 quantizer, which also takes the linear layers inside torch's own attention.

    Those appear in the graph as parts of one function, so its pattern search doesn't see them.
    """

    def __init__(self, config: QuantizationConfig, *, convolutions: bool, keep_fp32: Collection[str]) -> None:
        super().__init__()
        self._config, self._keep_fp32 = config, keep_fp32
        self._targets = (aten.linear.default, *(_CONVOLUTIONS if convolutions else ()))
        for name in keep_fp32:
            self.set_module_name_qconfig(name, None)
        if convolutions:
            self.set_global(config)
        else:
            self.set_module_type_qconfig(torch.nn.Linear, config)

    def annotate(self, model: torch.fx.GraphModule) -> torch.fx.GraphModule:
        try:
            model = super().annotate(model)
        except ValueError:  # its patterns don't take a module that is called twice: then each call by itself
            for node in model.graph.nodes:
                node.meta.pop("quantization_annotation", None)
        for node in model.graph.nodes:
            seen = node.meta.get("quantization_annotation")
            done = seen and seen._annotated
            if done or node.target not in self._targets or inside(layer_of(node), self._keep_fp32):
                continue
            if node.target is aten.linear.default:
                self._annotate_linear_node_helper(node, True, self._config)
            else:
                self._annotate_conv_node_helper(node, True, self._config)
        return model


def inside(layer: str | None, names: Collection[str]) -> bool:
    """Whether ``layer`` is one of the modules ``names`` or lies within one."""
    return layer is not None and any(layer == name or layer.startswith(f"{name}.") for name in names)


def static_config(calibration: str) -> QuantizationConfig:
    """Weights int8 per output channel, symmetric; activations uint8 per tensor, ranges from calibration."""
    return _config(OBSERVERS[calibration], dynamic=False)


def dynamic_config() -> QuantizationConfig:
    """Weights int8 per output channel, symmetric; activations uint8 per tensor, ranges from each batch."""
    return _config(PlaceholderObserver, dynamic=True)


def _config(activation_observer, *, dynamic: bool) -> QuantizationConfig:
    activation = QuantizationSpec(
        dtype=torch.uint8,
        quant_min=0,
        quant_max=255,
        qscheme=torch.per_tensor_affine,
        is_dynamic=dynamic,
        observer_or_fake_quant_ctr=activation_observer,
    )
    weight = QuantizationSpec(
        dtype=torch.int8,
        quant_min=-128,
        quant_max=127,
        qscheme=torch.per_channel_symmetric,
        ch_axis=0,
        observer_or_fake_quant_ctr=PerChannelMinMaxObserver,
    )
    return QuantizationConfig(activation, activation, weight, None)


def quantized(
    exported: torch.export.ExportedProgram,
    config: QuantizationConfig,
    *,
    convolutions: bool,
    keep_fp32: Collection[str],
    calibrate: Callable[[torch.nn.Module], None],
) -> torch.fx.GraphModule:
    """The graph with quantize/dequantize pairs around what ``config`` quantizes.

    ``calibrate`` is called with the observed graph and shows it examples; the ranges of the weights
    are taken then too, so it must run the graph at least once.
    """
    with quiet("torchao"), torch.no_grad():
        quantizer = _Quantizer(config, convolutions=convolutions, keep_fp32=keep_fp32)
        observed = prepare_pt2e(exported.module(), quantizer)
        calibrate(observed)
        graph = convert_pt2e(observed)
    for node in graph.graph.nodes:
        if node.target is aten.view.default:  # int8 kernels hand on other memory layouts than those exported
            node.target = aten.reshape.default
    graph.recompile()
    return graph.requires_grad_(False)


def layers_by_dtype(graph: torch.fx.GraphModule, *, weight_only: bool = False) -> tuple[set[str], set[str]]:
    """The layers whose calls with a weight are all quantized, and those where one stayed fp32; "" is outside any layer.

    ``weight_only``: their inputs needn't be.
    """
    int8, fp32 = set(), set()
    for node in graph.graph.nodes:
        if "weight" in _argument_names(node):
            operands = node.args[1:2] if weight_only else node.args[:2]
            (int8 if all(_dequantizes(operand) for operand in operands) else fp32).add(layer_of(node) or "")
    return int8 - fp32, fp32


def _argument_names(node: torch.fx.Node) -> set[str]:
    schema = getattr(node.target, "_schema", None)
    return {argument.name for argument in schema.arguments} if schema else set()


def _dequantizes(node: object) -> bool:
    return isinstance(node, torch.fx.Node) and "dequantize" in str(node.target)
