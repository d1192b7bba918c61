"""From an ONNX graph to an fx graph of torch layers and functions.

``build`` walks the graph; ``scope`` is what an operator sees of it, and the register of operators; each of
``families`` holds some. ``sizes`` has those on sizes, ``definitions`` spells out what ONNX defines by other
operators. Written here because onnx2torch needs torchvision, which doesn't match the CPU build of torch.
Operators: https://onnx.ai/onnx/operators/.
"""
