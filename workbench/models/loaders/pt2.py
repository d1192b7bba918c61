"""A ``.pt2`` file (``torch.export.save``), loaded without running code from it."""

from __future__ import annotations

import ast
import io
import json
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.export.unflatten import InterpreterModule
from torch.utils._sympy import functions as symbolic

from workbench.errors import WorkloadError
from workbench.machine.memory import COPIES_OF_MODEL, refuse_beyond_memory
from workbench.models._recompose import recompose
from workbench.models._relayer import restore_layers
from workbench.models.calling import OUTPUT_NAMES, with_parameters
from workbench.models.loaders._base import FileLoader
from workbench.plumbing.words import one_line
from workbench.workload import fits

_SYMBOLIC_NAMES = {"Symbol", "Integer", "Rational", "Float", "Add", "Mul", "Pow", "Max", "Min", *symbolic.__all__}
_SYMBOLIC_NODES = (
    ast.Expression, ast.Call, ast.Name, ast.Load, ast.Constant, ast.keyword, ast.BinOp, ast.UnaryOp, ast.Compare,
    ast.operator, ast.unaryop, ast.cmpop,
)  # fmt: skip


class Pt2(FileLoader):
    """What ``torch.export.save`` writes."""

    title = "a .pt2 file"
    suffix = ".pt2"

    def read(self, path: Path) -> torch.nn.Module:
        """Load the exported program and give it back its modules and layers; the result takes its tensors one by one.

        Raises
        ------
        WorkloadError
            If it is no such file, would run code while it loads, is too large for memory, takes anything but tensors
            with a free batch dimension, or was exported in training mode.
        """
        _refuse_code(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                program = torch.export.load(path)
            except Exception as error:  # the reader raises many unrelated kinds
                reason = one_line(error)
                raise WorkloadError(f"{path} can't be read: {reason}; save it again with torch.export.save") from error
            examples = _inputs(program, path)
            _refuse_training(program, path)
            recompose(program)
            module = torch.export.unflatten(program)
        names = [str(name) for name in program.graph_signature.user_inputs]
        module.meta[OUTPUT_NAMES] = _output_names(program)
        module.__class__ = with_parameters(Exported, Exported.forward, names)
        module.features = tuple(
            tuple(length if isinstance(length, int) else None for length in example.shape[1:]) for example in examples
        )
        for part in module.modules():
            if isinstance(part, InterpreterModule):
                part._run_with_interpreter = False  # but the code made from its graph, as below
        restore_layers(module)
        return module.eval()


class Exported(torch.export.UnflattenedModule):
    """Takes its tensors by name: a forward of ``*args`` can't be exported again with a free batch.

    It runs the code made from its graph and nothing else. Torch's own forward checks its inputs and walks the graph
    node by node at every call, which a small model would be timed for.

    ``features`` are the lengths of each input without its batch, None where the file leaves one open.
    """

    features: tuple[tuple[int | None, ...], ...]

    def forward(self, *inputs: torch.Tensor) -> Any:
        """What the exported module gave: a tensor, or a tuple of several."""
        outputs = type(self.graph_module).forward(self, *inputs)
        return outputs[0] if len(outputs) == 1 else outputs

    def require(self, *inputs: torch.Tensor) -> None:
        """Raise :class:`WorkloadError` where the file was exported for other inputs."""
        found = [list(each.shape[1:]) for each in inputs]
        if len(found) != len(self.features) or not all(map(fits, found, self.features)):
            expected = " and ".join(
                f"[{', '.join(['N', *('any' if length is None else str(length) for length in lengths)])}]"
                for lengths in self.features
            )
            raise WorkloadError(
                f"the model was exported for inputs of shape {expected} and the data have "
                f"{' and '.join(map(str, found))} each; give inputs of that shape"
            )


def _inputs(program: torch.export.ExportedProgram, path: Path) -> list[torch.Tensor]:
    """The examples of the inputs, which are tensors with a free batch dimension."""
    nodes = {node.name: node for node in program.graph.find_nodes(op="placeholder")}
    examples = [nodes[name].meta["val"] if name in nodes else name for name in program.graph_signature.user_inputs]
    for example in examples:
        if not isinstance(example, torch.Tensor):
            raise WorkloadError(
                f"{path} takes {example!r} beside tensors; export a model that takes tensors [N, …] alone"
            )
        if not example.dim() or not isinstance(example.shape[0], torch.SymInt):
            count = example.shape[0] if example.dim() else "no"
            raise WorkloadError(
                f"{path} takes exactly {count} example(s) at a time; export it again with "
                "dynamic_shapes=({0: torch.export.Dim.DYNAMIC},)"
            )
    if not examples:
        raise WorkloadError(f"{path} takes no inputs; export a model that takes tensors [N, …]")
    return examples


def _output_names(program: torch.export.ExportedProgram) -> tuple[str, ...]:
    """The keys of the dictionary of tensors that the model gave; none where it gave something else."""
    spec = program.call_spec.out_spec
    plain = spec is not None and spec.type is dict and spec.num_leaves == spec.num_children
    return tuple(map(str, spec.context)) if plain else ()


def _refuse_training(program: torch.export.ExportedProgram, path: Path) -> None:
    """In training mode, batch norms go by each batch's own statistics and dropout is on: these are other numbers."""
    for node in program.graph.nodes:
        schema = getattr(node.target, "_schema", None)
        names = [argument.name for argument in schema.arguments] if schema else []
        given = dict(zip(names, node.args, strict=False)) | node.kwargs
        statistics_of_its_own = "running_mean" in names and given.get("running_mean") is None
        if (given.get("training") is True or given.get("train") is True) and not statistics_of_its_own:
            raise WorkloadError(
                f"{path} was exported in training mode, its {schema.name.removeprefix('aten::')} says; "
                "export it again after model.eval()"
            )


def _refuse_code(path: Path) -> None:
    """Look through the archive for what torch.export.load would unpickle, evaluate or execute."""
    if not zipfile.is_zipfile(path):
        raise WorkloadError(f"{path} is not a .pt2 file: it is no zip archive; save the model with torch.export.save")
    with zipfile.ZipFile(path) as archive:
        entries = {_inside(name): name for name in archive.namelist()}
        if "archive_format" not in entries:
            raise WorkloadError(f"{path} is not a .pt2 file of this kind; save it again with torch.export.save")
        refuse_beyond_memory(f"the model {path}", COPIES_OF_MODEL * sum(info.file_size for info in archive.infolist()))
        for entry, name in entries.items():
            if entry.startswith("data/aotinductor/"):
                _refuse(path, "holds compiled code")
            elif entry.endswith(".pt"):
                _check_pickle(path, entry, archive.read(name))
            elif entry.endswith(".json"):
                _check_json(path, json.loads(archive.read(name)))


def _inside(name: str) -> str:
    """The name of an archive's entry below the folder that everything in it lies in."""
    return name.partition("/")[2]


def _check_pickle(path: Path, entry: str, content: bytes) -> None:
    if not content:
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.load(io.BytesIO(content), weights_only=True)
    except Exception:  # whatever the restricted unpickler stumbles over is more than tensors
        _refuse(path, f"holds in {entry} a pickle of more than tensors")


def _check_json(path: Path, document: Any) -> None:
    for key, value in _fields(document):
        if key == "use_pickle" and value:
            _refuse(path, "holds pickled weights")
        elif key == "path_name" and str(value).startswith(("custom_obj", "opaque_obj")):
            _refuse(path, "holds pickled objects")
        elif key == "expr_str" and not _is_symbolic(str(value)):
            _refuse(path, f"holds the shape expression {value!r}")


def _fields(document: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(document, dict):
        for key, value in document.items():
            yield key, value
            yield from _fields(value)
    elif isinstance(document, list):
        for value in document:
            yield from _fields(value)


def _is_symbolic(expression: str) -> bool:
    """Whether an expression is built of symbols, numbers and torch's functions for shapes alone."""
    try:
        tree = ast.parse(expression, mode="eval")
    except SyntaxError:
        return False
    for node in ast.walk(tree):
        if not isinstance(node, _SYMBOLIC_NODES):
            return False
        if isinstance(node, ast.Call) and not (isinstance(node.func, ast.Name) and node.func.id in _SYMBOLIC_NAMES):
            return False
    return all(name.isidentifier() for name in _symbols(tree))


def _symbols(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _refuse(path: Path, what: str) -> None:
    raise WorkloadError(f"{path} {what}, which could run code when it is loaded; save it again with torch.export.save")
