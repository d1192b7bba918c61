"""A variant as an ONNX model, for every engine that reads one."""
