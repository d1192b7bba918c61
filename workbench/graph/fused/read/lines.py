"""Reading one-dimensional layers and group norms: a line [batch, channels, length] is an image of height 1."""

from __future__ import annotations

from workbench.graph.fused.ir import Value
from workbench.graph.fused.nodes import by_channel, unknown
from workbench.graph.fused.ops import GroupNorm
from workbench.graph.fused.read.operators import reads
from workbench.graph.fused.read.views import BATCH, pixels, seen, simple, view_of


class LineOps:
    """The part of the reader that knows lines."""

    def _as_image(self, node, x) -> Value | None:
        """The image of height 1 that a line is, where its channels lie side by side; ``None`` where they don't."""
        view = seen(node, x)
        if len(view.dims) != 3:
            return None
        channels, length = view.sizes[1:]
        image = simple(view.reshaped([BATCH, channels, 1, length]))
        if isinstance(image, Value) or pixels(image):
            return self._as_value(node, image)
        return None

    def _on_line(self, node, x, apply):
        """``apply`` to the image that a line is, seen as a line again."""
        view = seen(node, x)
        if len(view.dims) != 3:
            raise unknown(node, f"on inputs of shape [batch, {', '.join(map(str, view.sizes[1:]))}]")
        channels, length = view.sizes[1:]
        made = apply(self._as_value(node, view.reshaped([BATCH, channels, 1, length])))
        return view_of(made).reshaped([BATCH, made.shape[0], made.shape[1] * made.shape[2]])

    @reads("aten.max_pool1d.default", views=True)
    def _max_pool1d(self, node, x, size, stride=(), padding=(0,), dilation=(1,), ceil_mode=False):
        across = [(1, n[0]) for n in (size, stride or size)]
        window = (*across, (0, padding[0]), (1, dilation[0]), ceil_mode)
        return self._on_line(node, x, lambda image: self._max_pool2d(node, image, *window))

    @reads("aten.avg_pool1d.default", views=True)
    def _avg_pool1d(self, node, x, size, stride=(), padding=(0,), ceil_mode=False, count_padding=True):
        across = [(1, n[0]) for n in (size, stride or size)]
        window = (*across, (0, padding[0]), ceil_mode, count_padding)
        return self._on_line(node, x, lambda image: self._avg_pool2d(node, image, *window))

    @reads("aten.adaptive_avg_pool1d.default", views=True)
    def _adaptive_avg_pool1d(self, node, x, size):
        return self._on_line(node, x, lambda image: self._adaptive_avg_pool2d(node, image, (1, size[0])))

    @reads("aten.instance_norm.default", views=True)
    def _instance_norm(self, node, x, weight, bias, mean, variance, use_input_stats, momentum, eps, cudnn=False):
        if not use_input_stats:
            raise unknown(node, "with statistics of its own")
        return self._group_norm(node, x, seen(node, x).sizes[1], weight, bias, eps)

    @reads("aten.group_norm.default", views=True)
    def _group_norm(self, node, x, groups, weight=None, bias=None, eps=1e-5, cudnn=False):
        if len(seen(node, x).dims) == 3:
            return self._on_line(node, x, lambda image: self._group_norm(node, image, groups, weight, bias, eps))
        x = self._as_value(node, x)
        if len(x.shape) != 3:
            raise unknown(node, f"on inputs of shape [batch, {', '.join(map(str, x.shape))}]")
        gain, shift = by_channel(weight, 1, x.shape[0]), by_channel(bias, 0, x.shape[0])
        return self._add_op(node, GroupNorm, [x], Value(x.shape), gain=gain, shift=shift, epsilon=eps, groups=groups)
