"""From an exported graph to the native engine's own: names resolved, constants folded, identities gone."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from workbench._lazy import lazy
from workbench.engines._native_ir import Activation, Graph, Op, Pooling, Value, Weights
from workbench.engines._native_nodes import (
    attribute,
    by_channel,
    free_nodes,
    input_of,
    operation,
    result_of,
    traced,
    unknown,
)
from workbench.engines._native_ranges import QuantizedWeight
from workbench.engines._native_sequence import Ids, SequenceOps, live
from workbench.engines._native_views import BATCH, View, seen, view_of
from workbench.errors import EngineError
from workbench.graph import layer_of, unpacked_groups
from workbench.kernels.records import Window

if TYPE_CHECKING:
    import numpy as np
    import torch
else:
    np = lazy("numpy")
    torch = lazy("torch")

_IDENTITIES = {
    "dropout",
    "feature_dropout",
    "alpha_dropout",
    "alias",
    "clone",
    "contiguous",
    "detach",
    "lift_fresh_copy",
}
_ACTIVATIONS = {
    "relu": Activation(minimum=0.0),
    "relu6": Activation(minimum=0.0, maximum=6.0),
    "hardswish": Activation("hardswish"),
    "hardsigmoid": Activation("hardsigmoid"),
    "silu": Activation("silu"),
    "sigmoid": Activation("sigmoid"),
    "tanh": Activation("tanh"),
}


def read(module: torch.fx.GraphModule) -> Graph:
    """Read an exported module, float or with quantize/dequantize pairs.

    Raises
    ------
    EngineError
        Naming the first operation that has no kernel here.
    """
    reader = Reader(module, input_of(module.graph))
    for node in module.graph.nodes:
        if node.op == "call_function":
            reader.visit(node)
    return reader.graph(result_of(module.graph))


class Reader(SequenceOps):
    """Reads a part of an exported module: visit its nodes from ``source`` on, in order, then ask for the graph."""

    def __init__(self, module: torch.fx.GraphModule, source: torch.fx.Node):
        self.module = module
        shape = tuple(int(size) for size in traced(source).shape[1:])
        if _is_line(source):  # channels and length: it comes in by planes, as an image of height 1 does
            self.input = Value((shape[0], 1, shape[1]))
            first = view_of(self.input).reshaped([BATCH, *shape])
        else:
            self.input = Value(shape)
            first = self.input if traced(source).dtype.is_floating_point else Ids(self.input)
        self.known: dict[Any, Any] = {source: first}
        self.free = free_nodes(module.graph)
        self.ops: list[Op] = []

    def visit(self, node: torch.fx.Node) -> None:
        """Take one operation in; :class:`EngineError` where no kernel takes it."""
        if node not in self.known:
            self.known[node] = self._call(node)

    def graph(self, result: torch.fx.Node) -> Graph:
        """What was read, ending with ``result``."""
        if not live(self.known[result]):
            raise EngineError("the native engine runs models whose output depends on their input")
        output = self._as_output(result, self.known[result])
        shape = seen(result, self.known[result]).sizes[1:]
        return Graph(self.input, output, self.ops, shape)

    def _value_of(self, node: torch.fx.Node) -> Any:
        """What a node stands for; constants are computed when they are first asked for."""
        if node not in self.known and node in self.free:
            constant = node.op == "get_attr"
            self.known[node] = attribute(self.module, node.target).detach() if constant else self._call(node)
        return self.known[node]

    def _call(self, node: torch.fx.Node) -> Any:
        name = operation(node)
        if name == "sym_size":
            return BATCH
        if name == "_assert_tensor_metadata":
            return None
        handler: Callable | None = getattr(self, f"_{name}", None)
        known = name in _IDENTITIES or name in _ACTIVATIONS or (handler is not None and not name.startswith("_"))
        if not known and node not in self.free:
            raise unknown(node)
        args, kwargs = self._arguments(node.args), self._arguments(node.kwargs)
        if not any(live(arg) or isinstance(arg, QuantizedWeight) for arg in _flat(args)):
            return self._fold(node, name, args, kwargs)
        if name in _IDENTITIES:
            return args[0]
        if name in _ACTIVATIONS:
            return self._activate(node, args[0], _ACTIVATIONS[name])
        if handler is None:
            raise unknown(node)
        if name not in self.TAKES_VIEWS:
            args = self._as_values(node, args)
        return handler(node, *args, **kwargs)

    def _arguments(self, argument: Any) -> Any:
        return torch.fx.node.map_arg(argument, self._value_of)

    def _fold(self, node: torch.fx.Node, name: str, args: tuple, kwargs: dict) -> Any:
        """An operation on constants alone is done now; int8 weights keep their bytes."""
        if name == "dequantize_per_channel":
            values, steps, zero_points, axis = args[:4]
            if axis == 0 and values.dtype == torch.int8 and not (zero_points is not None and zero_points.any()):
                return QuantizedWeight(values, steps)
        if name == "dequantize_groups":
            packed, steps, group_size, inputs = args
            return QuantizedWeight(unpacked_groups(packed, group_size).flatten(1)[:, :inputs], steps, 4, group_size)
        makes_memory = isinstance(node.target, torch._ops.OpOverload) and name != "expand"
        if makes_memory and any(isinstance(arg, int) and arg and arg % BATCH == 0 for arg in _flat(args)):
            raise unknown(node, "of the batch's size")
        return node.target(*args, **kwargs)

    def _add_op(self, node: torch.fx.Node, kind: str, inputs: list[Value], output: Value, **fields: Any) -> Value:
        layer = layer_of(node)
        self.ops.append(Op(kind, inputs, output, [layer] if layer else [], **fields))
        return output

    # Layers with weights

    def _conv2d(self, node, x, weight, bias=None, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1):
        if isinstance(padding, str):
            if padding == "same" and any((d * (k - 1)) % 2 for d, k in zip(dilation, _shape(weight)[2:], strict=True)):
                raise unknown(node, "with uneven 'same' padding")
            padding = (
                [0, 0]
                if padding == "valid"
                else [d * (k - 1) // 2 for d, k in zip(dilation, _shape(weight)[2:], strict=True)]
            )
        window = Window(tuple(_shape(weight)[2:]), _pair(stride), _pair(padding), _pair(dilation))
        height, width = _slid(x.shape[1:], window)
        return self._weighted(node, x, weight, bias, window, groups, (_shape(weight)[0], height, width))

    def _conv1d(self, node, x, weight, bias=None, stride=(1,), padding=(0,), dilation=(1,), groups=1):
        if isinstance(weight, QuantizedWeight):
            weight = QuantizedWeight(weight.values.unsqueeze(2), weight.steps)
        else:
            weight = weight.unsqueeze(2)
        padding = padding if isinstance(padding, str) else (0, padding[0])
        window = ((1, stride[0]), padding, (1, dilation[0]), groups)
        return self._on_line(node, x, lambda image: self._conv2d(node, image, weight, bias, *window))

    def _weighted(self, node, x, weight, bias, window, groups, shape, *, own_range=False):
        own_range = own_range and isinstance(weight, QuantizedWeight)
        quantized = own_range or (isinstance(weight, QuantizedWeight) and x.quant is not None)
        values = (
            weight.values if quantized else weight.floats() if isinstance(weight, QuantizedWeight) else weight.float()
        )
        values = values.reshape(*values.shape, *[1] * (4 - values.dim()))
        if x.channels_last_of and len(x.shape) == 1:
            channels, height, width = x.channels_last_of
            values = values.view(-1, channels, height, width).permute(0, 2, 3, 1).reshape(values.shape)
        weights = Weights(
            values.contiguous().numpy(),
            by_channel(bias, 0, values.shape[0]),
            weight.steps.float().numpy() if quantized else None,
            window,
            groups,
            own_range,
        )
        return self._add_op(node, "conv", [x], Value(tuple(shape)), weights=weights)

    def _batch_norm(self, node, x, *constants):
        if len(seen(node, x).dims) == 3:
            return self._on_line(node, x, lambda image: self._batch_norm_of(node, image, *constants))
        return self._batch_norm_of(node, self._as_value(node, x), *constants)

    def _batch_norm_of(self, node, x, weight, bias, mean, variance, training, momentum, eps, cudnn=False):
        if training:
            raise unknown(node, "in training mode")
        gain = torch.rsqrt(variance.double() + eps) * (1.0 if weight is None else weight.double())
        shift = (0.0 if bias is None else bias.double()) - mean.double() * gain
        maker = next((op for op in self.ops if op.output is x), None)
        first_user = node.args[0]
        if (
            maker is not None
            and maker.weights is not None
            and maker.weights.steps is None
            and len(first_user.users) == 1
        ):
            w = maker.weights
            w.weight = (torch.from_numpy(w.weight).double() * gain.view(-1, 1, 1, 1)).float().numpy()
            w.bias = (torch.from_numpy(w.bias).double() * gain + shift).float().numpy()
            maker.layers += [layer] if (layer := layer_of(node)) else []
            return x
        channels = x.shape[0]
        if len(x.shape) not in (1, 3) or x.channels_last_of:
            raise unknown(node, f"on inputs of shape [batch, {', '.join(map(str, x.shape))}]")
        alone = Weights(
            gain.float().view(channels, 1, 1, 1).numpy(), shift.float().numpy(), None, Window((1, 1)), channels
        )
        return self._add_op(node, "conv", [x], Value(x.shape), weights=alone)

    # Pooling

    def _max_pool2d(self, node, x, size, stride=(), padding=(0, 0), dilation=(1, 1), ceil_mode=False):
        if _pair(dilation) != (1, 1):
            raise unknown(node, "with dilation")
        return self._pool(node, x, Window(_pair(size), _pair(stride or size), _pair(padding)), ceil_mode, average=False)

    def _avg_pool2d(self, node, x, size, stride=(), padding=(0, 0), ceil_mode=False, count_padding=True, divisor=None):
        if divisor is not None or (ceil_mode and count_padding):
            raise unknown(node, "with a divisor of its own")
        window = Window(_pair(size), _pair(stride or size), _pair(padding))
        return self._pool(node, x, window, ceil_mode, average=True, count_padding=count_padding)

    def _adaptive_avg_pool2d(self, node, x, size):
        height, width = _pair(size)
        if x.shape[1] % height or x.shape[2] % width:
            raise unknown(node, f"from {x.shape[1]}×{x.shape[2]} to {height}×{width}")
        window = Window((x.shape[1] // height, x.shape[2] // width), (x.shape[1] // height, x.shape[2] // width))
        return self._pool(node, x, window, False, average=True)

    def _mean(self, node, x, dims=None, keepdim=False, dtype=None):
        if isinstance(x, View) and len(x.dims) == 3 and [d % 3 for d in dims or ()] == [2]:
            pooled = self._on_line(node, x, lambda image: self._mean(node, image, (2, 3), keepdim=True))
            return pooled if keepdim else self._reshape(node, pooled, pooled.sizes[:2])
        x = self._as_value(node, x)
        axes = sorted(d % (len(x.shape) + 1) for d in dims or ())
        if len(x.shape) == 2 and axes == [1]:
            return self._mean_of_rows(node, x, keepdim)
        if len(x.shape) != 3 or axes != [2, 3]:
            raise unknown(node, f"over dimensions {dims}")
        pooled = self._pool(node, x, Window(x.shape[1:], x.shape[1:]), False, average=True)
        return pooled if keepdim else self._flattened(node, pooled)

    def _pool(self, node, x, window, ceil_mode, *, average, count_padding=True):
        if len(x.shape) != 3:
            raise unknown(node, "on anything but images")
        height, width = _slid(x.shape[1:], window, ceil_mode)
        output = Value((x.shape[0], height, width), None if average else x.quant)
        return self._add_op(node, "pool", [x], output, pooling=Pooling(window, average, count_padding))

    # Values

    def _activate(self, node, x, activation):
        return self._mapped(node, "activate", x, activation=activation)

    def _hardtanh(self, node, x, minimum=-1.0, maximum=1.0):
        return self._activate(node, x, Activation(minimum=float(minimum), maximum=float(maximum)))

    def _clamp(self, node, x, minimum=None, maximum=None):
        low, high = (-math.inf if minimum is None else minimum), (math.inf if maximum is None else maximum)
        return self._activate(node, x, Activation(minimum=float(low), maximum=float(high)))

    def _gelu(self, node, x, *, approximate="none"):
        return self._activate(node, x, Activation("gelu" if approximate == "none" else "gelu_tanh"))

    def _gate(self, node, a, b):
        """One factor for each channel, times an image."""
        if a.shape[1:] == (1, 1):
            a, b = b, a
        if b.shape != (a.shape[0], 1, 1):
            raise unknown(node, f"of shapes {a.shape} and {b.shape}")
        return self._add_op(node, "multiply", [a, b], Value(a.shape))

    def _cat(self, node, values, dim=0):
        if not all(isinstance(value, Value) for value in values):
            raise unknown(node, "with a constant")
        if dim not in (1, -len(values[0].shape)) or len(values[0].shape) != 3:
            raise unknown(node, f"along dimension {dim}")
        channels = sum(v.shape[0] for v in values)
        same = values[0].quant if all(v.quant == values[0].quant for v in values) else None
        return self._add_op(node, "concat", list(values), Value((channels, *values[0].shape[1:]), same))

    # Shapes

    def _flattened(self, node, x):
        order = x.shape if x.shape[0] > 1 and x.shape[1] * x.shape[2] > 1 else None
        return self._add_op(node, "flatten", [x], Value((math.prod(x.shape),), x.quant, order))


def _is_line(node: torch.fx.Node) -> bool:
    """Whether a one-dimensional convolution reads it, quantized or not."""
    rounded = [user for user in node.users if "quantize_per_tensor" in operation(user)]
    return any(operation(user) == "conv1d" for user in node.users) or any(map(_is_line, rounded))


def _flat(arguments: Any) -> list:
    return [x for a in arguments for x in (_flat(a) if isinstance(a, (tuple, list)) else [a])]


def _shape(weight: Any) -> tuple[int, ...]:
    return tuple((weight.values if isinstance(weight, QuantizedWeight) else weight).shape)


def _pair(size: Any) -> tuple[int, int]:
    if isinstance(size, int):
        return size, size
    return (size[0], size[-1])


def _slid(size: tuple[int, ...], window: Window, ceil_mode: bool = False) -> tuple[int, int]:
    """Output height and width of a window sliding over ``size``."""
    result = []
    for n, k, s, p, d in zip(size, window.size, window.stride, window.padding, window.dilation, strict=True):
        span = n + 2 * p - d * (k - 1) - 1
        count = (-(-span // s) if ceil_mode else span // s) + 1
        if ceil_mode and (count - 1) * s >= n + p:  # a window must begin inside the image or its left padding
            count -= 1
        result.append(count)
    return result[0], result[1]
