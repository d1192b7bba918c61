"""From an ONNX graph to an fx graph of torch layers and functions.

``build`` walks the graph; ``layers``, ``functions``, ``arranging`` and ``sizes`` hold the operators; ``scope``
is what an operator sees of the graph. Written here because onnx2torch needs torchvision, which doesn't match the
CPU build of torch. Operators: https://onnx.ai/onnx/operators/.
"""
