"""How many of ONNX's own node tests does the importer compute right?

    python -m benchmarks.onnx_operators --list wrong crashed

Each of the tests that come with the package ``onnx`` is a small model with inputs and the outputs expected. A test is
right, refused (in one clear line), wrong (it ran and gave other numbers, shapes or types) or crashed (any other error).
"""

from __future__ import annotations

import argparse
import warnings
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from workbench.errors import WorkbenchError
from workbench.models.onnx_import.build import build
from workbench.models.onnx_import.dtypes import tensor_of
from workbench.plumbing.words import one_line

OUTCOMES = ("right", "refused", "wrong", "crashed")
FAMILIES = {
    "elementwise": "Abs Acos Acosh Add And Asin Asinh Atan Atanh BitCast BitShift BitwiseAnd BitwiseNot BitwiseOr "
    "BitwiseXor Cast CastLike Ceil Clip Cos Cosh Div Equal Erf Exp Floor Greater GreaterOrEqual IsInf IsNaN Less "
    "LessOrEqual Log Max Mean Min Mod Mul Neg Not Or Pow Reciprocal Round Sign Sin Sinh Sqrt Sub Sum Tan Tanh Where "
    "Xor",
    "activations": "Celu Elu Gelu HardSigmoid HardSwish Hardmax LeakyRelu LogSoftmax Mish PRelu Relu Selu Shrink "
    "Sigmoid Softmax Softplus Softsign Swish SwiGLU ThresholdedRelu",
    "reductions": "ArgMax ArgMin CumProd CumSum ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean "
    "ReduceMin ReduceProd ReduceSum ReduceSumSquare TopK",
    "shapes": "CenterCropPad Concat ConstantOfShape Constant DepthToSpace Dropout Expand EyeLike Flatten Identity Pad "
    "Range Reshape ReverseSequence Shape Size Slice SpaceToDepth Split Squeeze Tile Transpose Trilu Unsqueeze",
    "gathering and scattering": "Compress Gather GatherElements GatherND NonZero OneHot Scatter ScatterElements "
    "ScatterND TensorScatter Unique",
    "convolution, pooling": "AveragePool Col2Im Conv ConvTranspose DeformConv GlobalAveragePool GlobalMaxPool LpPool "
    "MaxPool MaxUnpool CausalConvWithState",
    "products": "Det Einsum Gemm MatMul",
    "normalization": "BatchNormalization GroupNormalization InstanceNormalization LRN LayerNormalization "
    "LpNormalization MeanVarianceNormalization RMSNormalization",
    "attention": "Attention FlexAttention LinearAttention RotaryEmbedding",
    "recurrent": "GRU LSTM RNN",
    "quantization": "ConvInteger DequantizeLinear DynamicQuantizeLinear MatMulInteger QLinearConv QLinearMatMul "
    "QuantizeLinear",
    "images": "AffineGrid GridSample ImageDecoder NonMaxSuppression Resize RoiAlign Upsample",
    "losses": "NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss",
    "signals": "BlackmanWindow DFT HammingWindow HannWindow MelWeightMatrix STFT",
}


@dataclass(frozen=True)
class Result:
    """What became of one test; ``reason`` is empty where it is right."""

    name: str
    operator: str
    outcome: str
    reason: str = ""


def measure(as_workloads: bool = False) -> list[Result]:
    """Run all node tests.

    ``as_workloads``: those with inputs alone that are tensors, imported as a workload's file is: all inputs but the
    first are constants, as weights are, and the batch is freed.
    """
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        cases = collect_testcases(None)
        if not as_workloads:
            return [_result(case) for case in cases]
        return [_result(_with_constants(case), for_workload=True) for case in cases if _can_have_constants(case)]


def table(results: list[Result]) -> str:
    """The counts by family as a Markdown table."""
    lines = ["| operators | right | refused | wrong | crashed |", "|---|---|---|---|---|"]
    families = [(family, set(names.split())) for family, names in FAMILIES.items()]
    known = set().union(*(names for _, names in families))
    rest = {each.operator for each in results} - known
    for family, names in [*families, ("sequences, strings, control flow, training, random numbers, others", rest)]:
        lines.append(_line(family, [each for each in results if each.operator in names]))
    return "\n".join([*lines, _line("all", results)])


def _line(label: str, results: list[Result]) -> str:
    counts = Counter(each.outcome for each in results)
    return f"| {label} | " + " | ".join(f"{counts[outcome]:,}" for outcome in OUTCOMES) + " |"


def _can_have_constants(case: Any) -> bool:
    entries, given = case.model.graph.input, case.data_sets[0][0]
    tensors = all(isinstance(each, (np.ndarray, onnx.TensorProto)) for each in given)
    return len(case.data_sets) == 1 and 0 < len(entries) == len(given) and tensors and "_expanded" not in case.name


def _with_constants(case: Any) -> Any:
    model = onnx.ModelProto.FromString(case.model.SerializeToString())
    names = [entry.name for entry in model.graph.input]
    del model.graph.input[1:]
    (given, expected), *_ = case.data_sets
    for name, value in zip(names[1:], given[1:], strict=True):
        tensor = model.graph.initializer.add()
        tensor.CopyFrom(value if isinstance(value, onnx.TensorProto) else numpy_helper.from_array(value))
        tensor.name = name
    return replace(case, model=model, data_sets=[(given[:1], expected)])


def _result(case: Any, for_workload: bool = False) -> Result:
    operator = _operator(case)
    try:
        module = build(case.model, "the model", for_workload=for_workload).eval()
        problems = [_problem(case, module, *data) for data in case.data_sets]
    except WorkbenchError as error:
        clear = "\n" not in str(error)
        return Result(case.name, operator, "refused" if clear else "crashed", str(error))
    except Exception as error:
        return Result(case.name, operator, "crashed", f"{type(error).__name__}: {one_line(error)}")
    problem = next(filter(None, problems), "")
    return Result(case.name, operator, "wrong" if problem else "right", problem)


def _operator(case: Any) -> str:
    """What the test is of: its one operator; for one spelled out by others, the operator its name begins with."""
    nodes = case.model.graph.node
    if len(nodes) == 1:
        return nodes[0].op_type
    spelled = case.name.removeprefix("test_").replace("_", "").lower()
    names = {name for names in FAMILIES.values() for name in names.split()} | {node.op_type for node in nodes}
    short = {"nllloss": "NegativeLogLikelihoodLoss", "sce": "SoftmaxCrossEntropyLoss"} | {
        name.lower(): name for name in names
    }
    found = max((key for key in short if spelled.startswith(key)), key=len, default="")
    return short[found] if found else nodes[-1].op_type


def _problem(case: Any, module: torch.nn.Module, inputs: list, expected: list) -> str:
    """How the module's outputs differ from those expected; empty where they don't."""
    with torch.no_grad():
        outputs = module(*(tensor_of(_array(each)) for each in inputs if each is not None))
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    if len(outputs) != len(expected):
        return f"{len(outputs)} outputs instead of {len(expected)}"
    for number, (got, value) in enumerate(zip(outputs, expected, strict=True)):
        wanted = tensor_of(_array(value))
        if got.dtype != wanted.dtype or got.shape != wanted.shape:
            return f"output {number} is {got.dtype} {list(got.shape)} instead of {wanted.dtype} {list(wanted.shape)}"
        difference = _difference(got, wanted, case.rtol, case.atol)
        if difference:
            return f"output {number} {difference}"
    return ""


def _difference(got: torch.Tensor, wanted: torch.Tensor, rtol: float, atol: float) -> str:
    if not wanted.is_floating_point():
        return "" if torch.equal(got, wanted) else "has other values"
    rounding = torch.finfo(wanted.dtype).eps
    if wanted.dtype == torch.bfloat16:
        rtol = max(rtol, 2 * rounding)  # as ONNX's own runner of these tests has it
    got, wanted = got.double(), wanted.double()
    largest = wanted[wanted.isfinite()].abs().amax().item() if wanted.isfinite().any() else 0.0
    atol = max(atol, rounding * largest)  # sums in another order, also those that cancel to 0
    if torch.allclose(got, wanted, rtol=rtol, atol=atol, equal_nan=True):
        return ""
    return f"differs by up to {(got - wanted).abs().nan_to_num().max():.3g}"


def _array(value: Any) -> np.ndarray:
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.asarray(value)


def main() -> None:
    """Print the counts; with ``--list``, also the tests of these outcomes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", nargs="*", choices=OUTCOMES, default=[])
    listed = parser.parse_args().list
    results = measure()
    for each in results:
        if each.outcome in listed:
            print(f"{each.outcome}: {each.name} ({each.operator}): {each.reason}")
    print(table(results))


if __name__ == "__main__":
    main()
