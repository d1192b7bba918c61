from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from workbench import kernels, techniques
from workbench.commands import asked, cli
from workbench.recipe import Recipe


def parse(*arguments: str) -> Recipe:
    return asked.recipe(cli._parser().parse_args(["run", "fashion-student", *arguments]))


def test_flags_make_the_same_recipe_as_json():
    flags = parse(
        *("--prune", "0.3", "--prune-criterion", "l2"), *("--quantize", "int8"), *("--engine", "eager", "--batch", "8")
    )
    document = {
        "steps": [{"do": "prune", "amount": 0.3, "criterion": "l2"}, {"do": "quantize", "scheme": "int8-static"}],
        "place": {"engine": "eager", "batch": 8},
    }
    assert flags == Recipe.parse(document)


PARTS = [
    (
        "--distill fashion-student --distill-labels hard --distill-temperature 2 --distill-weight 0.5 "
        "--distill-epochs 3 --distill-learning-rate 0.02",
        {"do": "distill", "student": "fashion-student", "labels": "hard", "temperature": 2, "weight": 0.5, "epochs": 3}
        | {"learning_rate": 0.02},
    ),
    (
        "--prune 0.4 --prune-kind weights --prune-criterion random --prune-finetune-epochs 0 "
        "--prune-learning-rate 0.001",
        {"do": "prune", "amount": 0.4, "kind": "weights", "criterion": "random", "finetune_epochs": 0}
        | {"learning_rate": 0.001},
    ),
    (
        "--quantize int4-weights --quantize-group-size 64 --quantize-rounding nearest --quantize-calibration entropy "
        "--quantize-correct-biases false --quantize-epochs 2 --quantize-learning-rate 0.01 "
        "--quantize-calibration-samples 8 --quantize-granularity tensor --quantize-equalize true "
        '--quantize-overrides {"fc1":"fp32"}',
        {"do": "quantize", "scheme": "int4-weights", "group_size": 64, "calibration": "entropy"}
        | {"rounding": "nearest", "correct_biases": False, "epochs": 2, "learning_rate": 0.01}
        | {"calibration_samples": 8, "granularity": "tensor", "equalize": True}
        | {"overrides": {"fc1": "fp32"}},
    ),
]
AUTO = ("--quantize auto --quantize-budget 0.01", {"do": "quantize", "scheme": "auto", "budget": 0.01})
PLACE = "--engine native --device cuda:1 --threads 2 --batch 8"


@pytest.mark.parametrize("name", techniques.registered())
def test_each_option_of_a_technique_is_tried(name):
    tried = {field for _, step in [*PARTS, AUTO] if step["do"] == name for field in step}
    assert tried == techniques.find(name).model_fields.keys()


@pytest.mark.parametrize(("flags", "step"), [*PARTS, AUTO], ids=[*(step["do"] for _, step in PARTS), "auto"])
def test_each_option_of_a_technique_has_a_flag(flags, step):
    defaults = Recipe.parse(steps=[{"do": step["do"]}]).steps[0].model_dump()
    assert [name for name in step if name != "do" and step[name] == defaults[name]] == []  # or a flag could do nothing
    assert parse(*flags.split()) == Recipe.parse(steps=[step])


def test_a_layer_s_own_scheme_has_a_flag_that_may_be_given_several_times():
    flags = "--quantize int8 --quantize-layer conv1=fp32 --quantize-layer fc1=int4"
    step = {"do": "quantize", "overrides": {"conv1": "fp32", "fc1": "int4-weights"}}
    assert parse(*flags.split()) == Recipe.parse(steps=[step])
    assert parse("--quantize-layer", "fc1=int4").steps[0].overrides == {"fc1": "int4-weights"}


@pytest.mark.parametrize("given", ["conv1", "=fp32", "conv1="])
def test_a_flag_for_a_layer_without_name_or_scheme_is_refused_with_what_was_given(given, capsys):
    with pytest.raises(SystemExit):
        parse("--quantize-layer", given)
    assert f"{given!r} isn't of the form LAYER=VALUE" in capsys.readouterr().err


def test_flags_of_all_techniques_and_of_the_place_make_one_recipe():
    together = " ".join([PLACE, *(flags for flags, _ in reversed(PARTS))])  # their order doesn't matter
    place = {"engine": "native", "device": "cuda:1", "threads": 2, "batch": 8}
    expected = Recipe.parse(steps=[step for _, step in PARTS], place=place, seed=5)
    assert parse(*together.split(), "--seed", "5") == expected


def test_a_recipe_file_is_taken_as_it_is(tmp_path):
    recipe = Recipe.parse(steps=[{"do": "quantize"}], seed=3)
    (tmp_path / "recipe.json").write_text(recipe.to_json())
    assert parse("--recipe", str(tmp_path / "recipe.json")) == recipe


def test_run_prints_one_json_object_with_the_promised_names(tmp_path):
    command = [sys.executable, "-m", "workbench.commands.cli", "run", "fashion-student", "--quantize", "int8", "--json"]
    command += ["--engine", "eager", "--baseline", "eager", "--save", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert {"workload", "recipe", "baseline", "variant", "speedup", "quality_loss"} <= set(result)
    assert {"receipt", "environment"} <= set(result)
    for side in (result["baseline"], result["variant"]):
        assert {"latency_ms", "quality", "throughput", "size_bytes", "peak_memory_bytes", "engine", "device"} <= set(
            side
        )
        assert {"p50", "p90", "p95", "p99", "n"} <= set(side["latency_ms"])
        assert {"metric", "value", "low", "high", "n", "unit", "better"} <= set(side["quality"])
    for interval in (result["speedup"], result["quality_loss"]):
        assert {"value", "low", "high"} <= set(interval)
    models = {"model.pt2", "model.onnx"} | ({"native.safetensors"} if kernels.unavailable() is None else set())
    others = {"recipe.json", "receipt.json", "report.html", "inputs.npz", "run.py"}
    assert {path.name for path in tmp_path.iterdir()} == models | others
    assert Recipe.parse((tmp_path / "recipe.json").read_text()).precision == "int8-static"
    assert all(f"· wrote {tmp_path / name}\n" in done.stderr for name in models | others)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "fashion-cn"], "did you mean fashion-cnn"),
        (["run", "fashion-cnn", "--engine", "eagre"], "did you mean eager"),
        (["run", "fashion-cnn", "--quantize", "int9"], "did you mean int8 or"),
        (["run", "fashion-cnn", "--threads", "1024"], "1024 threads can't be used"),
        (["run", "fashion-cnn", "--weights", "w.safetensors"], "'module:factory' model only"),
        (["run", "fashion-cnn", "--recipe", "nowhere.json"], "no recipe file"),
        (["run", "fashion-cnn", "--device", "cuda:99"], "device cuda:99 can't be used: "),
    ],
)
def test_a_mistake_is_one_line_on_stderr_and_a_nonzero_exit(arguments, words, capfd):
    assert cli.main(arguments) != 0
    error = capfd.readouterr().err.strip()
    assert words in error
    assert len([line for line in error.splitlines() if not line.startswith("·")]) == 1


@pytest.mark.parametrize("arguments", [["run", "fashion-cn"], ["run", "fashion-cnn", "--engine", "eagre"]])
def test_debug_adds_the_traceback_to_the_line(arguments, capfd):
    assert cli.main([*arguments, "--debug"]) == 1
    said = [line for line in capfd.readouterr().err.strip().splitlines() if not line.startswith("·")]
    line, first, *_, last = said
    assert first == "Traceback (most recent call last):"
    assert line.removeprefix("workbench: ") in last


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "fashion-cnn", "--quantise", "int8"], "option --quantise is not known; did you mean --quantize?"),
        (["run", "fashion-cnn", "--zzz=1"], "option --zzz is not known; see workbench run --help"),
        (["run", "fashion-cnn", "more"], "'more' is one argument too many"),
        (["run", "fashion-cnn", "--batch", "x"], "argument --batch: invalid int value: 'x'"),
        (["run"], "the following arguments are required: workload"),
        (["rn"], "command 'rn' is not known; did you mean run"),
        (["list", "engine"], "kind 'engine' is not known; did you mean engines"),
        (["list"], "the following arguments are required: KIND"),
        (["app", "--port", "99999"], "argument --port: '99999' is no port; choose one from 1 to 65535"),
        (["lab", "--port", "-1"], "--port"),
    ],
)
def test_arguments_that_can_not_be_read_are_one_line_and_exit_code_2(arguments, words, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_help_says_that_an_option_alone_turns_its_technique_on(capsys):
    with pytest.raises(SystemExit):
        cli.main(["run", "--help"])
    assert "Any flag of a technique turns it on" in capsys.readouterr().out


def test_a_folder_that_can_not_be_written_is_refused_before_anything_runs(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert cli.main(["run", "fashion-cnn", "--save", str(tmp_path / "file" / "folder")]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"workbench: nothing can be saved in '{tmp_path}/file/folder' (Not a directory)")
    assert error.count("\n") == 1  # a run that had begun would have told of its progress


def test_a_run_that_fails_leaves_no_folder_for_what_it_was_to_save(tmp_path, capsys):
    assert cli.main(["run", "fashion-cnn", "--threads", "1024", "--save", str(tmp_path / "new" / "folder")]) == 1
    assert not (tmp_path / "new").exists()
    assert "1024 threads" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("workloads", "fashion-cnn"),
        ("techniques", "prune"),
        ("engines", "compiled"),
        ("metrics", "mean-iou"),
        ("losses", "mse"),
        ("devices", "cpu"),
    ],
)
def test_list_names_everything_there_is(what, expected, capsys):
    assert cli.main(["list", what, "--json"]) == 0
    assert expected in json.loads(capsys.readouterr().out)


def test_doctor_reports_the_machine(capsys):
    assert cli.main(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"^usable threads +\d+$", shown, re.MULTILINE)
    assert re.search(r"^memory +[\d.]+ GB$", shown, re.MULTILINE)
    assert re.search(r"^torch +\d", shown, re.MULTILINE)
    assert not re.search(r"None|[{\[]", shown)


def test_new_makes_a_notebook_and_never_overwrites_one(tmp_path, capsys):
    assert cli.main(["new", str(tmp_path / "mine")]) == 0
    assert (tmp_path / "mine" / "workbench.ipynb").exists()
    assert cli.main(["new", str(tmp_path / "mine")]) == 1


def test_a_taken_port_is_named_with_another_to_try(capsys):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert cli.main(["app", "--port", str(port)]) == 1
    assert f"PORT={port + 1} make app" in capsys.readouterr().err


MINE = """\
import torch
def make(): return torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
"""


def test_a_model_and_data_of_ones_own_are_distilled_pruned_and_quantized_from_the_command_line(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    random = np.random.default_rng(0)
    np.savez(tmp_path / "data.npz", inputs=random.random((60, 6), dtype="float32"), labels=np.arange(60) % 3)
    command = [
        sys.executable,
        "-m",
        "workbench.commands.cli",
        "run",
        "mine:make",
        "--data",
        "data.npz",
        "--baseline",
        "eager",
    ]
    command += ["--distill", "half-width", "--distill-epochs", "1", "--prune", "0.5", "--prune-finetune-epochs", "0"]
    command += ["--quantize", "int8"]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["workload"] == "make"
    first, last = (row["after"] for row in result["receipt"])
    assert first["weight_shape"] == [2, 6]  # 8 outputs, half as wide, and half of those
    assert {first["dtype"], last["dtype"]} == {"int8"}
