"""An ONNX graph while it is rewritten: who makes and who reads each value, and the constants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.plumbing.lazy import lazy

if TYPE_CHECKING:
    import numpy as np
    import onnx
else:
    onnx = lazy("onnx")


class OnnxGraph:
    """A copy of a model's graph, open to changes.

    ``producer`` and ``users`` say which node makes a value and which read it; after nodes were changed in place,
    ``index`` brings them up to date. ``shapes`` holds what ONNX infers of the model as it came, 0 for the batch.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = onnx.ModelProto()
        self.model.CopyFrom(model)
        self.values = {tensor.name: tensor for tensor in self.model.graph.initializer}
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
        self.shapes = {
            value.name: [axis.dim_value for axis in value.type.tensor_type.shape.dim]
            for value in (*inferred.input, *inferred.value_info, *inferred.output)
        }
        self.index()

    @property
    def nodes(self) -> Any:
        return self.model.graph.node

    def index(self) -> None:
        self.producer = {output: node for node in self.nodes for output in node.output}
        self.users: dict[str, list] = {}
        for node in self.nodes:
            for value in node.input:
                self.users.setdefault(value, []).append(node)

    def replace_nodes(self, nodes: list) -> None:
        nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]  # they live in the list
        del self.nodes[:]
        self.nodes.extend(nodes)
        self.index()

    def drop_unused(self) -> None:
        """Remove what nothing reads any more: nodes first, then constants."""
        outputs = {value.name for value in self.model.graph.output}
        while True:
            used = outputs | {value for node in self.nodes for value in node.input}
            kept = [node for node in self.nodes if used & set(node.output)]
            if len(kept) == len(self.nodes):
                break
            self.replace_nodes(kept)
        constants = [tensor for tensor in self.model.graph.initializer if tensor.name in used]
        constants = [onnx.TensorProto.FromString(tensor.SerializeToString()) for tensor in constants]
        del self.model.graph.initializer[:]
        self.model.graph.initializer.extend(constants)

    def array(self, name: str) -> np.ndarray:
        return onnx.numpy_helper.to_array(self.values[name])

    def constant(self, name: str, array: np.ndarray) -> str:
        """Add a constant; returns its name."""
        self.values[name] = onnx.numpy_helper.from_array(array, name)
        self.model.graph.initializer.append(self.values[name])
        return name


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """What a node declares, by name."""
    return {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}


def part(kind: str, inputs: list[str], output: str, whole: str, **settings: Any) -> onnx.NodeProto:
    """A node that is a part of what the node named ``whole`` did."""
    return onnx.helper.make_node(kind, inputs, [output], name=f"{whole}/{output}", **settings)
