"""Post-training quantization of an exported graph through torchao's PT2E flow. Imports torchao."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import torch

from workbench.graph import layer_of
from workbench.graph.layers import weights_of
from workbench.graph.quantized import allow_other_layouts
from workbench.plumbing.quiet import quiet
from workbench.precisions import Integers
from workbench.techniques.quantize.calls import CONVOLUTIONS, LINEAR, TRANSPOSED, Takes
from workbench.techniques.quantize.hidden import hide, uncover
from workbench.techniques.quantize.observers import OBSERVERS
from workbench.techniques.quantize.recurrent import in_bytes, is_of_bytes, with_a_form
from workbench.techniques.quantize.reduced import Bits, spell_out_range

with quiet("torchao", "torch.utils._pytree"):  # torchao names each GPU library that it can't load
    from torchao.quantization.pt2e import (
        PerChannelMinMaxObserver,
        PlaceholderObserver,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer import QuantizationAnnotation, QuantizationConfig, QuantizationSpec
    from torchao.quantization.pt2e.quantizer.x86_inductor_quantizer import (
        X86InductorQuantizer,
        _annotate_nodes_not_quantize,
    )

if TYPE_CHECKING:
    from workbench.techniques.quantize.steps import Range

aten = torch.ops.aten
_BETWEEN_LAYERS = 127
"""The largest number of the fewest bits in which values are also added and pooled."""


class _Quantizer(X86InductorQuantizer):
    """torchao's x86 quantizer, which also takes the linear layers inside torch's own attention.

    Those appear in the graph as parts of one function, so its pattern search doesn't see them. It also rounds what is
    added or pooled on the way from one layer to the next; in fewer than seven bits only what layers multiply is.
    """

    def __init__(self, config: QuantizationConfig, *, convolutions: bool, recurrent: bool, takes: Takes) -> None:
        super().__init__()
        self._config, self._recurrent, self._takes = config, recurrent, takes
        self._targets = (LINEAR, *(CONVOLUTIONS if convolutions else ()))
        if convolutions:
            self.set_global(config)
        else:
            self.set_module_type_qconfig(torch.nn.Linear, config)

    def annotate(self, model: torch.fx.GraphModule) -> torch.fx.GraphModule:
        calls = [node for node in model.graph.nodes if node.target in self._targets]
        _forget_annotations(model)  # of another scheme's layers
        left = [node for node in model.graph.nodes if node.op == "call_function" and not self._takes(layer_of(node))]
        _annotate_nodes_not_quantize(left)
        if self._config.input_activation.quant_max >= _BETWEEN_LAYERS:
            try:
                model = super().annotate(model)
            except Exception:  # its patterns don't take a module that is called twice, say: then each call by itself
                _forget_annotations(model)
        for node in calls:
            seen = node.meta.get("quantization_annotation")
            if (seen and seen._annotated) or node in left:
                continue
            if node.target is LINEAR:
                self._annotate_linear_node_helper(node, True, self._config)
            else:
                self._annotate_conv_node_helper(node, True, _config_for(node, self._config))
        for node in with_a_form(model, self._takes) if self._recurrent else ():
            rounded = {node.args[0]: self._config.input_activation}
            node.meta["quantization_annotation"] = QuantizationAnnotation(rounded, _annotated=True)
        return model

    def _annotate_matmul(self, model: torch.fx.GraphModule, quantization_config, filter_fn=None) -> None:
        """Products of two activations have no weights whose range could be reduced: then they stay in fp32."""
        if self._config.weight.quant_max == 127:
            super()._annotate_matmul(model, quantization_config, filter_fn)


def _forget_annotations(graph: torch.fx.GraphModule) -> None:
    for node in graph.graph.nodes:
        node.meta.pop("quantization_annotation", None)


def _config_for(convolution: torch.fx.Node, config: QuantizationConfig) -> QuantizationConfig:
    """``config`` with one scale for each output channel, wherever the weight has them."""
    axis = 1 if convolution.target in TRANSPOSED else 0
    return replace(config, weight=replace(config.weight, ch_axis=axis))


class _SamePerChannelObserver(PerChannelMinMaxObserver):
    """Gives each channel the range of the whole weight: kernels take a scale for each.

    Only what has "PerChannel" in its name is told by torchao where the channels are.
    """

    def calculate_qparams(self) -> tuple[torch.Tensor, torch.Tensor]:
        whole = self.min_val.amin().expand_as(self.min_val), self.max_val.amax().expand_as(self.max_val)
        return self._calculate_qparams(*whole)


def static_config(calibration: str, bits: Bits, *, whole: bool = False) -> QuantizationConfig:
    """Weights int8 per output channel, symmetric; activations uint8 per tensor, ranges from calibration.

    ``whole``: all channels of a weight have the same scale.
    """
    return _config(OBSERVERS[calibration], bits, dynamic=False, whole=whole)


def dynamic_config(bits: Bits, *, whole: bool = False) -> QuantizationConfig:
    """The same with ranges of activations from each batch."""
    return _config(PlaceholderObserver, bits, dynamic=True, whole=whole)


def _config(activation_observer, bits: Bits, *, dynamic: bool, whole: bool) -> QuantizationConfig:
    activation = QuantizationSpec(
        dtype=torch.uint8,
        quant_min=bits.activation_range[0],
        quant_max=bits.activation_range[1],
        qscheme=torch.per_tensor_affine,
        is_dynamic=dynamic,
        observer_or_fake_quant_ctr=activation_observer,
    )
    weight = QuantizationSpec(
        dtype=torch.int8,
        quant_min=bits.weight_range[0],
        quant_max=bits.weight_range[1],
        qscheme=torch.per_channel_symmetric,
        ch_axis=0,
        observer_or_fake_quant_ctr=_SamePerChannelObserver if whole else PerChannelMinMaxObserver,
    )
    return QuantizationConfig(activation, activation, weight, None)


def quantized(
    graph: torch.fx.GraphModule,
    config: QuantizationConfig,
    *,
    convolutions: bool,
    recurrent: bool = True,
    takes: Takes,
    calibrate: Callable[[torch.nn.Module], None],
    ranges: Mapping[str, Range] = MappingProxyType({}),
) -> torch.fx.GraphModule:
    """``graph`` with quantize/dequantize pairs around what ``config`` quantizes; the given one is used up.

    ``takes`` says of a layer, or of ``None`` for calls outside of any, whether it is quantized so.
    ``calibrate`` is called with the observed graph and shows it examples; the ranges of the weights
    are taken then too, so it must run the graph at least once. ``ranges`` are those of layers' inputs that are known.
    """
    with quiet("torchao"), torch.no_grad():
        quantizer = _Quantizer(config, convolutions=convolutions, recurrent=recurrent, takes=takes)
        hide(graph)
        observed = prepare_pt2e(graph, quantizer)
        calibrate(observed)
        graph = convert_pt2e(observed)
        uncover(graph)
        _use(graph, ranges)
        if recurrent:
            in_bytes(graph, with_a_form(graph, takes), _beside_states(config))
    allow_other_layouts(graph)
    spell_out_range(graph)
    return graph.requires_grad_(False)


def _use(graph: torch.fx.GraphModule, ranges: Mapping[str, Range]) -> None:
    """Give the inputs of layers these ranges, in place."""
    for node in graph.graph.nodes:
        if node.target in (LINEAR, *CONVOLUTIONS) and (known := ranges.get(layer_of(node))):
            quantize = node.args[0].args[0]
            for rounding in (quantize, *quantize.users):
                rounding.args = (rounding.args[0], *known, *rounding.args[3:])


def _beside_states(config: QuantizationConfig) -> Integers:
    """Weights that states are multiplied by: these take eight bits, so of 7 where either of two factors has 7."""
    bits = 8 if (config.weight.quant_max, config.input_activation.quant_max) == (127, 255) else 7
    return Integers(
        bits, "tensor" if config.weight.observer_or_fake_quant_ctr is _SamePerChannelObserver else "channel"
    )


def layers_by_dtype(graph: torch.fx.GraphModule, weights_only: Takes) -> tuple[set[str], set[str]]:
    """The layers whose calls with a weight are all quantized, and those where one stayed fp32; "" is outside any layer.

    ``weights_only`` says of a layer whether its inputs needn't be.
    """
    quantized, fp32 = set(), set()
    for node in graph.graph.nodes:
        if {"weight", "params"} & _argument_names(node) or is_of_bytes(node):
            layer = layer_of(node)
            operands = weights_of(node) if weights_only(layer) else [node.args[0], *weights_of(node)]
            (quantized if all(map(_dequantizes, operands)) else fp32).add(layer or "")
    return quantized - fp32, fp32


def _argument_names(node: torch.fx.Node) -> set[str]:
    schema = getattr(node.target, "_schema", None)
    return {argument.name for argument in schema.arguments} if schema else set()


def _dequantizes(node: object) -> bool:
    return isinstance(node, torch.fx.Node) and "dequantize" in str(node.target)
