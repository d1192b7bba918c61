"""A Keras model as an fx graph over layers of torch.

Images are [N, H, W, C] in Keras and [N, C, H, W] in torch: they are turned where a layer of torch first needs it, and
turned back only where the order of numbers matters.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import torch
from torch import fx, nn

from workbench.models.loaders.keras.layers import LAYERS, MERGES, Unknown, Value, activation

_SAME = 1e-4
"""Float32 sums in another order differ by some 1e-7 of the outputs, amplified by depth."""


def converted(model: Any) -> nn.Module:
    """The model as layers of torch with their names in Keras; itself where one has no counterpart.

    What comes of it is held to what the model gives for random inputs.
    """
    try:
        module, inputs, outputs = _written(model)
    except (Unknown, RuntimeError):  # the second where torch's layer doesn't take what Keras' does
        return model
    with torch.no_grad():
        expected = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    apart = (outputs - expected).norm() if isinstance(expected, torch.Tensor) else torch.inf
    return module if apart <= _SAME * expected.norm() else model


def _written(model: Any) -> tuple[nn.Module, list[torch.Tensor], torch.Tensor]:
    """A module of torch's layers, random inputs, and what it gives for them."""
    function = getattr(model, "_functional", model)
    if not hasattr(function, "_run_through_graph"):
        raise Unknown(model)
    writer = _Writer()
    inputs = [writer.input(index, each) for index, each in enumerate(function.inputs)]
    output = function._run_through_graph(inputs, call_fn=writer.write)
    if not isinstance(output, Value):
        raise Unknown(model)
    output = writer.turned(output, False)
    writer.graph.output(output.node)
    module = fx.GraphModule(writer.root, writer.graph, class_name=type(model).__name__)
    module._graphmodule_cls_name = type(model).__name__  # where fx looks for it when it is unpickled
    return module.eval(), [each.sample for each in inputs], output.sample


class _Writer:
    """Writes one call of a layer after the other."""

    def __init__(self) -> None:
        self.root, self.graph = nn.Module(), fx.Graph()
        self._random = torch.Generator().manual_seed(0)

    def input(self, index: int, spec: Any) -> Value:
        shape = spec.shape[1:]
        if spec.dtype != "float32" or None in shape:
            raise Unknown(spec)
        return Value(self.graph.placeholder(f"input_{index}"), torch.randn(2, *shape, generator=self._random))

    def write(self, layer: Any, *args: Any, **kwargs: Any) -> Value:
        """What ``layer`` gives for the values it is called with; Keras' own walk through its graph calls this."""
        if len(args) != 1 or kwargs.get("mask") is not None:
            raise Unknown(layer)
        (given,), kind = args, type(layer).__name__
        function = getattr(layer, "_functional", layer)
        if hasattr(function, "_run_through_graph"):
            return function._run_through_graph(given, call_fn=self.write)
        if kind in MERGES:
            return self._merged(given, MERGES[kind])
        if kind == "Concatenate":
            return self._concatenated(given, layer.axis)
        if kind not in LAYERS or not isinstance(given, Value):
            raise Unknown(layer)
        counterpart = LAYERS[kind]
        given = given if counterpart.turns is None else self.turned(given, counterpart.turns)
        made = counterpart.make(layer, given)
        *before, module = made if isinstance(made, tuple) else (made,)
        for part in before:
            given = self._called(f"{layer.name}_{type(part).__name__}", part, given)
        value = self._called(layer.name, module, given)
        if kind == "Activation" or not hasattr(layer, "activation"):
            return value
        after = activation(layer.activation, value)
        return value if isinstance(after, nn.Identity) else self._called(f"{layer.name}_activation", after, value)

    def turned(self, value: Value, turned: bool) -> Value:
        """The same, images with their channels first or last."""
        if value.sample.dim() != 4 or value.turned == turned:
            return value
        order = (0, 3, 1, 2) if turned else (0, 2, 3, 1)
        return self._computed(torch.permute, [value], order, turned=turned)

    def _merged(self, values: list[Value], merge: Callable) -> Value:
        first, *others = self._alike(values)
        return reduce(lambda one, other: self._computed(merge, [one, other], turned=first.turned), others, first)

    def _concatenated(self, values: list[Value], axis: int) -> Value:
        values = self._alike(values)
        axis %= values[0].sample.dim()
        if values[0].turned:
            axis = (0, 2, 3, 1)[axis]
        node = self.graph.call_function(torch.cat, ([each.node for each in values], axis))
        return Value(node, torch.cat([each.sample for each in values], axis), values[0].turned)

    def _alike(self, values: list[Value]) -> list[Value]:
        """All turned where one is."""
        if len({each.sample.dim() for each in values}) > 1:
            raise Unknown(values)
        turned = any(each.turned for each in values)
        return [self.turned(each, turned) for each in values]

    def _called(self, name: str, module: nn.Module, value: Value) -> Value:
        name = name.replace(".", "_").replace("/", "_")
        if not hasattr(self.root, name):
            self.root.add_module(name, module.eval())
        with torch.no_grad():
            sample = self.root.get_submodule(name)(value.sample)
        return Value(self.graph.call_module(name, (value.node,)), sample, value.turned and sample.dim() == 4)

    def _computed(self, function: Callable, values: list[Value], *options: Any, turned: bool) -> Value:
        node = self.graph.call_function(function, (*(each.node for each in values), *options))
        return Value(node, function(*(each.sample for each in values), *options), turned)
