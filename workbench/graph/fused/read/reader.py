"""From an exported graph to the native engine's own: names resolved, constants folded, identities gone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from workbench.errors import EngineError
from workbench.graph import layer_of
from workbench.graph.fused.ir import Graph, Value
from workbench.graph.fused.nodes import (
    QUANTIZERS,
    attribute,
    batch_of,
    by_channel,
    counts_examples,
    free_nodes,
    gives_batch_size,
    inputs_of,
    is_dequantization,
    operator_of,
    result_of,
    shown,
    sizes_with_batch,
    takes_batch_for_a_number,
    traced,
    unknown,
    unneeded_nodes,
)
from workbench.graph.fused.ops import Activate, Activation, Concat, Conv, Flatten, Multiply, Op, Pool, TransposedConv
from workbench.graph.fused.read.attention import Mask, Scores, hides_scores
from workbench.graph.fused.read.constants import SIZES_ALONE, ConstantOps
from workbench.graph.fused.read.operators import OPERATORS, Operator, reads
from workbench.graph.fused.read.ranges import QuantizedWeight, by_output
from workbench.graph.fused.read.sequence import Ids, SequenceOps, live
from workbench.graph.fused.read.views import BATCH, View, seen, view_of
from workbench.graph.fused.read.writes import is_seen_otherwise, names_of
from workbench.kernels.records import Window
from workbench.plumbing.lazy import lazy

if TYPE_CHECKING:
    import numpy as np
    import sympy
    import torch
else:
    np = lazy("numpy")
    torch = lazy("torch")

_LINE_CONVOLUTIONS = ("aten.conv1d.default", "aten.conv1d.padding", "aten.conv_transpose1d.default")
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
    reader, unneeded = Reader(module), unneeded_nodes(module.graph)
    for source in inputs_of(module.graph):
        reader.take(source)
    for node in module.graph.nodes:
        if node.op == "call_function" and node not in unneeded:
            reader.visit(node)
    return reader.graph(result_of(module.graph))


class Reader(SequenceOps, ConstantOps):
    """Reads a part of an exported module: take what it depends on, visit its nodes in order, then ask for the graph."""

    def __init__(self, module: torch.fx.GraphModule):
        self.module = module
        self.inputs: list[Value] = []
        self.known: dict[torch.fx.Node, Any] = {}
        self.free = free_nodes(module.graph)
        self.batch: sympy.Expr | None = None
        self.ops: list[Op] = []
        self.numbers: set[torch.fx.Node] = set()
        """Those that give each example's own number in the batch."""

    def take(self, source: torch.fx.Node) -> None:
        """Make what ``source`` gives, [batch, …], an input of the program; all are of as many examples."""
        if self.inputs and batch_of(source) != self.batch:
            raise unknown(source, "of another number of examples")
        self.batch = batch_of(source)
        value, known = _input_of(source)
        self.inputs.append(value)
        self.known[source] = known

    def visit(self, node: torch.fx.Node) -> None:
        """Take one operation in; :class:`EngineError` where no kernel takes it."""
        if node not in self.known:
            with _unknown_where_it_fails(node):
                made = self._call(node)
            self.known |= dict.fromkeys([node, *names_of(node)], made)

    def graph(self, result: torch.fx.Node) -> Graph:
        """What was read, ending with ``result``."""
        if not live(self.known[result]):
            raise EngineError("the native engine runs models whose output depends on their input")
        with _unknown_where_it_fails(result):
            batch, *shape = seen(result, self.known[result]).sizes
            if batch != BATCH:
                raise unknown(result, "whose result doesn't begin with the batch")
            output = self._as_output(result, self.known[result])
        return Graph(self.inputs, output, self.ops, tuple(shape))

    def _value_of(self, node: torch.fx.Node) -> Any:
        """What a node stands for; constants are computed when they are first asked for."""
        if node.op == "get_attr" and node not in self.known:
            constant = attribute(self.module, node.target)
            self.known[node] = constant.detach() if isinstance(constant, torch.Tensor) else constant
        elif node in self.free:
            self.visit(node)
        return self.known[node]

    def _call(self, node: torch.fx.Node) -> Any:
        if gives_batch_size(node, self.batch):
            return BATCH
        if operator_of(node) == "aten._assert_tensor_metadata.default":  # as exported, so it holds
            return None
        if takes_batch_for_a_number(node) and not counts_examples(node, self.batch):
            raise unknown(node, "with the size of the batch for a number")
        if is_seen_otherwise(node):
            raise unknown(node, "of memory that is also seen otherwise")
        name = operator_of(node)
        depending = [used for used in node.all_input_nodes if any(map(live, _flat([self._value_of(used)])))]
        if not depending or (name in SIZES_ALONE and depending == [node.args[SIZES_ALONE[name]]]):
            return self._folded(node)
        if not self.numbers.isdisjoint(node.all_input_nodes):
            raise unknown(node, "with the number of each example")
        if name not in OPERATORS:
            raise unknown(node)
        return self._read(node, OPERATORS[name])

    def _read(self, node: torch.fx.Node, operator: Operator) -> Any:
        """An operation on what depends on the input, by its reader in the register."""
        args, kwargs = self._arguments(node.args), self._arguments(node.kwargs)
        if any(map(live, _flat([*args[operator.live :], *kwargs.values()]))):
            raise unknown(node, "with weights or settings that depend on the input")
        if not operator.takes_views:
            args = self._as_values(node, args)
        made = operator.read(self, node, *args, **kwargs)
        self._check(node, made)
        return made

    def _check(self, node: torch.fx.Node, made: Any) -> None:
        """Refuse what isn't of the dtype and sizes that the model has there, whatever led to it."""
        wanted = node.meta.get("val")
        if not isinstance(made, (Value, View, Scores)) or not isinstance(wanted, torch.Tensor):
            return
        if str(operator_of(node)).startswith("aten.") and wanted.dtype is not torch.float32:
            raise unknown(node, f"in {wanted.dtype}")
        if self.batch is None or isinstance(made, Scores):
            return
        sizes = sizes_with_batch(wanted, self.batch, BATCH)
        if sizes != seen(node, made).sizes:
            raise unknown(node, f"giving {list(wanted.shape)}")

    def _arguments(self, argument: Any) -> Any:
        return torch.fx.node.map_arg(argument, self._value_of)

    def _add_op(self, node: torch.fx.Node, kind: type[Op], inputs: list[Value], output: Value, **fields: Any) -> Value:
        layer = layer_of(node)
        self.ops.append(kind(inputs, output, layers=[layer] if layer else [], **fields))
        return output

    # Layers with weights

    @reads("aten.conv2d.default", "aten.conv2d.padding")
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

    @reads("aten.conv1d.default", "aten.conv1d.padding", views=True)
    def _conv1d(self, node, x, weight, bias=None, stride=(1,), padding=(0,), dilation=(1,), groups=1):
        weight = _as_image_weight(weight)
        padding = padding if isinstance(padding, str) else (0, padding[0])
        window = ((1, stride[0]), padding, (1, dilation[0]), groups)
        return self._on_line(node, x, lambda image: self._conv2d(node, image, weight, bias, *window))

    @reads("aten.conv_transpose2d.input")
    def _conv_transpose2d(
        self, node, x, weight, bias=None, stride=(1, 1), padding=(0, 0), more=(0, 0), groups=1, dilation=(1, 1)
    ):
        weight = by_output(weight, groups)
        window = Window(tuple(_shape(weight)[2:]), _pair(stride), _pair(padding), _pair(dilation))
        axes = zip(x.shape[1:], window.size, window.stride, window.padding, window.dilation, _pair(more), strict=True)
        sizes = [(n - 1) * s - 2 * p + d * (k - 1) + m + 1 for n, k, s, p, d, m in axes]
        return self._weighted(node, x, weight, bias, window, groups, (_shape(weight)[0], *sizes), kind=TransposedConv)

    @reads("aten.conv_transpose1d.default", views=True)
    def _conv_transpose1d(
        self, node, x, weight, bias=None, stride=(1,), padding=(0,), more=(0,), groups=1, dilation=(1,)
    ):
        window = ((1, stride[0]), (0, padding[0]), (0, more[0]), groups, (1, dilation[0]))
        weight = _as_image_weight(weight)
        return self._on_line(node, x, lambda image: self._conv_transpose2d(node, image, weight, bias, *window))

    def _weighted(self, node, x, weight, bias, window, groups, shape, *, own_range=False, kind=Conv):
        own_range = own_range and isinstance(weight, QuantizedWeight)
        quantized = own_range or (isinstance(weight, QuantizedWeight) and x.quant is not None)
        values = (
            weight.values if quantized else weight.floats() if isinstance(weight, QuantizedWeight) else weight.float()
        )
        values = values.reshape(*values.shape, *[1] * (4 - values.dim()))
        if x.channels_last_of and len(x.shape) == 1:
            channels, height, width = x.channels_last_of
            values = values.view(-1, channels, height, width).permute(0, 2, 3, 1).reshape(values.shape)
        return self._add_op(
            node, kind, [x], Value(tuple(shape)), weight=values.contiguous().numpy(),
            bias=by_channel(bias, 0, values.shape[0]), window=window, groups=groups,
            steps=weight.steps.float().numpy() if quantized else None, own_range=own_range,
        )  # fmt: skip

    @reads("aten.batch_norm.default", views=True)
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
        if isinstance(maker, Conv) and maker.steps is None and self._is_read_by_none_but(node, x):
            maker.weight = (torch.from_numpy(maker.weight).double() * gain.view(-1, 1, 1, 1)).float().numpy()
            maker.bias = (torch.from_numpy(maker.bias).double() * gain + shift).float().numpy()
            maker.layers += [layer] if (layer := layer_of(node)) else []
            return x
        channels = x.shape[0]
        if len(x.shape) not in (1, 3) or x.channels_last_of:
            raise unknown(node, f"on inputs of shape [batch, {', '.join(map(str, x.shape))}]")
        return self._add_op(
            node, Conv, [x], Value(x.shape), weight=gain.float().view(channels, 1, 1, 1).numpy(),
            bias=shift.float().numpy(), window=Window((1, 1)), groups=channels,
        )  # fmt: skip

    def _is_read_by_none_but(self, node: torch.fx.Node, value: Value) -> bool:
        names = {name for name, known in self.known.items() if getattr(known, "base", known) is value}
        return {user for name in names for user in name.users} - names == {node}

    # Pooling

    @reads("aten.max_pool2d.default")
    def _max_pool2d(self, node, x, size, stride=(), padding=(0, 0), dilation=(1, 1), ceil_mode=False):
        if _pair(dilation) != (1, 1):
            raise unknown(node, "with dilation")
        return self._pool(node, x, Window(_pair(size), _pair(stride or size), _pair(padding)), ceil_mode, average=False)

    @reads("aten.avg_pool2d.default")
    def _avg_pool2d(self, node, x, size, stride=(), padding=(0, 0), ceil_mode=False, count_padding=True, divisor=None):
        if divisor is not None or (ceil_mode and count_padding):
            raise unknown(node, "with a divisor of its own")
        window = Window(_pair(size), _pair(stride or size), _pair(padding))
        return self._pool(node, x, window, ceil_mode, average=True, count_padding=count_padding)

    @reads("aten.adaptive_avg_pool2d.default")
    def _adaptive_avg_pool2d(self, node, x, size):
        height, width = _pair(size)
        if x.shape[1] % height or x.shape[2] % width:
            raise unknown(node, f"from {x.shape[1]}×{x.shape[2]} to {height}×{width}")
        window = Window((x.shape[1] // height, x.shape[2] // width), (x.shape[1] // height, x.shape[2] // width))
        return self._pool(node, x, window, False, average=True)

    @reads("aten.mean.dim", views=True)
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
        return self._add_op(node, Pool, [x], output, window=window, average=average, count_padding=count_padding)

    # Values

    @reads(*(f"aten.{name}{place}.default" for name in _ACTIVATIONS for place in ("", "_")), views=True)
    def _activation(self, node, x):
        return self._activate(node, x, _ACTIVATIONS[shown(node).removeprefix("aten::").rstrip("_")])

    def _activate(self, node, x, activation):
        return self._mapped(node, Activate, x, activation=activation)

    @reads("aten.hardtanh.default", "aten.hardtanh_.default", views=True)
    def _hardtanh(self, node, x, minimum=-1.0, maximum=1.0):
        return self._activate(node, x, Activation(minimum=float(minimum), maximum=float(maximum)))

    @reads("aten.clamp.default", "aten.clamp_.default", "aten.clamp_min.default", "aten.clamp_min_.default", views=True)
    def _clamp(self, node, x, minimum=None, maximum=None):
        low, high = (-math.inf if minimum is None else minimum), (math.inf if maximum is None else maximum)
        return self._activate(node, x, Activation(minimum=float(low), maximum=float(high)))

    @reads("aten.gelu.default", "aten.gelu_.default", views=True)
    def _gelu(self, node, x, *, approximate="none"):
        return self._activate(node, x, Activation("gelu" if approximate == "none" else "gelu_tanh"))

    def _gate(self, node, a, b):
        """One factor for each channel, times an image."""
        if a.shape[1:] == (1, 1):
            a, b = b, a
        if b.shape != (a.shape[0], 1, 1):
            raise unknown(node, f"of shapes {a.shape} and {b.shape}")
        return self._add_op(node, Multiply, [a, b], Value(a.shape))

    @reads("aten.cat.default")
    def _cat(self, node, values, dim=0):
        if not all(isinstance(value, Value) for value in values):
            raise unknown(node, "with a constant")
        rank = len(values[0].shape)
        if dim % (rank + 1) != (2 if rank == 2 else 1) or any(value.channels_last_of for value in values):
            raise unknown(node, f"along dimension {dim}")
        channels = sum(v.image[2] for v in values)
        shape = (values[0].shape[0], channels) if rank == 2 else (channels, *values[0].shape[1:])
        same = values[0].quant if all(v.quant == values[0].quant for v in values) else None
        return self._add_op(node, Concat, list(values), Value(shape, same))

    # Shapes

    def _flattened(self, node, x):
        order = x.shape if x.shape[0] > 1 and x.shape[1] * x.shape[2] > 1 else None
        return self._add_op(node, Flatten, [x], Value((math.prod(x.shape),), x.quant, order))


@contextmanager
def _unknown_where_it_fails(node: torch.fx.Node) -> Iterator[None]:
    """Whatever a reader trips over is a use that it wasn't written for: there is no kernel for it."""
    try:
        yield
    except EngineError:
        raise
    except Exception as error:
        cause = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise unknown(node, f"as used here: {cause}") from error


def _input_of(source: torch.fx.Node) -> tuple[Value, Any]:
    """The value that an input is in memory, and what it stands for to those that read it."""
    shape = tuple(int(size) for size in traced(source).shape[1:])
    if hides_scores(source):
        masks, queries, keys = shape
        value = Value((masks * queries, keys))
        return value, Mask(value, shape, shows=traced(source).dtype is torch.bool)
    if _is_line(source):  # channels and length: it comes in by planes, as an image of height 1 does
        value = Value((shape[0], 1, shape[1]))
        return value, view_of(value).reshaped([BATCH, *shape])
    value = Value(shape or (1,))
    return value, value if traced(source).dtype.is_floating_point else Ids(value, whole=True)


def _is_line(node: torch.fx.Node) -> bool:
    """Whether a one-dimensional convolution reads it, quantized or not."""
    rounded = [user for user in node.users if operator_of(user) in QUANTIZERS or is_dequantization(user)]
    return any(operator_of(user) in _LINE_CONVOLUTIONS for user in node.users) or any(map(_is_line, rounded))


def _flat(arguments: Any) -> list:
    return [x for a in arguments for x in (_flat(a) if isinstance(a, (tuple, list)) else [a])]


def _shape(weight: Any) -> tuple[int, ...]:
    return tuple((weight.values if isinstance(weight, QuantizedWeight) else weight).shape)


def _as_image_weight(weight: Any) -> Any:
    """The weight of a one-dimensional convolution for an image of height 1."""
    if isinstance(weight, torch.Tensor):
        return weight.unsqueeze(2)
    return replace(weight, values=weight.values.unsqueeze(2))


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
