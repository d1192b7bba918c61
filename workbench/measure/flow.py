"""Where each layer's output goes, watched in one call: also of models that can't be exported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.layer import INPUT, OUTPUT, Flow
from workbench.measure.tensors import MODEL, own_tensors
from workbench.measure.uses import dispatch_mode, entered
from workbench.plumbing.lazy import lazy

if TYPE_CHECKING:
    import torch

    from workbench.workload import Inputs
else:
    torch = lazy("torch")

_NAMES = {"scaled_dot_product": "attention"}
"""Parts of operations' names, and what they are called where outputs meet in them."""


def flow(module: torch.nn.Module, inputs: Inputs) -> Flow:
    """The layers that ``module`` calls for ``inputs``, each [batch, …], and the ways between them.

    A layer is a module with parameters or buffers of its own. An operation outside of layers is a node where outputs of
    several meet, and else belongs to the way.
    """
    ways = _Ways()
    layers = own_tensors(module).keys() - {MODEL}

    class Watch(dispatch_mode()):
        def __torch_dispatch__(self, function, types, arguments=(), options=None):
            options = options or {}
            result = function(*arguments, **options)
            ways.through(inside[-1], function, (arguments, options), result)
            return result

    with entered(module, layers) as inside, torch.no_grad(), Watch():
        ways.made_by(INPUT, inputs)
        ways.into(OUTPUT, module(*inputs))
    return ways.flow()


class _Ways:
    """Which node made each tensor that is alive, and the edges that follow from where they go."""

    def __init__(self) -> None:
        self._makers = torch.utils.weak.WeakTensorKeyDictionary()
        self._begun: dict[str, int] = {}
        self._joins: dict[str, str] = {}
        self._edges: dict[tuple[str, str], None] = {}

    def made_by(self, node: str, tensors: Any) -> None:
        self._begun.setdefault(node, len(self._begun))
        for tensor in _tensors(tensors):
            self._makers[tensor] = node

    def into(self, node: str, tensors: Any) -> None:
        self._begun.setdefault(node, len(self._begun))
        for maker in self._makers_of(tensors):
            if self._begun[maker] < self._begun[node]:
                self._edges[maker, node] = None

    def through(self, layer: str, function: Any, arguments: Any, result: Any) -> None:
        """An operation in the forward of ``layer``; of the model itself where it is in that of no layer."""
        makers = self._makers_of(arguments)
        if layer == MODEL and len(makers) < 2:
            for maker in makers:
                self.made_by(maker, result)
            return
        node = self._join(function) if layer == MODEL else layer
        self.into(node, arguments)
        self.made_by(node, result)

    def flow(self) -> Flow:
        return Flow(nodes=tuple(self._begun), joins=self._joins, edges=tuple(self._edges))

    def _makers_of(self, tensors: Any) -> list[str]:
        return list(dict.fromkeys(self._makers[each] for each in _tensors(tensors) if each in self._makers))

    def _join(self, function: Any) -> str:
        operation = function.overloadpacket.__name__.strip("_")
        operation = next((name for part, name in _NAMES.items() if part in operation), operation)
        name = f"({operation} {len(self._joins) + 1})"
        self._joins[name] = operation
        return name


def _tensors(values: Any) -> list[torch.Tensor]:
    return [value for value in torch.utils._pytree.tree_leaves(values) if isinstance(value, torch.Tensor)]
