"""What every engine, technique, precision and device must keep, also those that other packages bring."""

from __future__ import annotations

import copy
import re

import pytest
import torch
from torch import nn

from workbench import engines, precisions, techniques
from workbench.engines import Engine
from workbench.errors import RecipeError
from workbench.machine import devices
from workbench.measure.fidelity import require_faithful
from workbench.recipe import Place, Recipe
from workbench.techniques import Context, Technique
from workbench.variant import Variant
from workbench.workload import Data

ENGINES = list(engines.registered().values())
TECHNIQUES = list(techniques.registered().values())
PRECISIONS = list(precisions.registered().values())
KINDS = list(devices.kinds().values())
A_NAME = re.compile(r"[a-z][a-z0-9-]*")


def by_name(thing: object) -> str:
    return getattr(thing, "name", None) or getattr(thing, "kind", None) or getattr(thing, "__name__", "")


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 4)).eval()


def context(*, saturates: bool = False) -> Context:
    inputs = torch.rand(64, 16, generator=torch.Generator().manual_seed(1))
    return Context(train=Data(inputs, torch.arange(64) % 4), saturates=saturates)


def made_of(precision: str, engine: Engine) -> Variant:
    """A small model after whatever technique makes this precision, for this engine."""
    plain = Variant(model())
    if precisions.find(precision).is_plain:
        return plain
    for technique in TECHNIQUES:
        for option, field in technique.model_fields.items():
            for choice, asked in (field.json_schema_extra or {}).get("precisions", {}).items():
                if asked == precision:
                    return technique(**{option: choice}).apply(plain, context(saturates=engine.saturates()))
    raise AssertionError(f"no technique makes {precision}")


def runs(engine: Engine) -> list[str]:
    """What it names, and what is the same by the time it is multiplied."""
    return [each.name for each in PRECISIONS if (each.multiplied_as or each.name) in engine.precisions]


@pytest.mark.parametrize("engine", ENGINES, ids=by_name)
def test_an_engine_declares_what_others_need_to_know(engine: Engine):
    assert A_NAME.fullmatch(engine.name)
    assert engine.title
    assert set(engine.precisions) <= set(precisions.registered())
    assert set(engine.devices) <= set(devices.kinds())
    assert "fp32" in engine.precisions
    assert "torch" in engine.libraries
    assert engine.preference is None or isinstance(engine.preference, int)
    for export in engine.exports:
        compile("\n".join(export.code), export.name, "exec")
    assert engine.unavailable() is None or "\n" not in engine.unavailable()


def test_ranks_and_preferences_leave_no_tie():
    for ranks in ([engine.rank for engine in ENGINES], [e.preference for e in ENGINES if e.preference is not None]):
        assert len(set(ranks)) == len(ranks)
    assert sum(engine.is_reference for engine in ENGINES) == 1
    assert engines.reference().is_baseline


@pytest.mark.parametrize("engine", ENGINES, ids=by_name)
def test_an_engine_refuses_what_it_does_not_name_and_says_what_to_choose(engine: Engine):
    for precision in set(precisions.registered()) - set(runs(engine)):
        assert re.fullmatch(r"[^\n]+; [^\n]+", engine.refuses(precision, engine.devices[0]))
    for kind in set(devices.kinds()) - set(engine.devices):
        assert f"choose device {engine.devices[0]}" in engine.refuses("fp32", kind)
    assert engine.why_not("fp32", "nowhere")
    with pytest.raises(RecipeError, match="precision"):
        engine.refuses("fp31", engine.devices[0]) or pytest.fail("an unknown precision was taken")


@pytest.mark.parametrize(
    ("engine", "precision"),
    [(each, name) for each in ENGINES if not each.slow_to_prepare for name in runs(each)],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_a_runner_computes_what_its_variant_says_for_any_batch(engine: Engine, precision: str):
    if reason := engine.why_not(precision, "cpu"):
        pytest.skip(reason)
    variant = made_of(precision, engine)
    examples = context().train.inputs[0]
    runner = engine.prepare(variant, examples[:4], threads=1)
    try:
        require_faithful(engine, runner, variant, examples, batch=4)
        for batch in (1, 4, 7):
            outputs = runner(examples[:batch])
            assert outputs.dtype is torch.float32
            assert outputs.shape == (batch, 4)
        assert set(runner.kernels) <= {name for name, _ in variant.module.named_modules()}
        assert {kernel.reality for kernel in runner.kernels.values()} <= {"real", "simulated", "unchanged"}
        assert all(kernel.reason for kernel in runner.kernels.values() if kernel.reality != "real")
    finally:
        runner.close()


def test_each_precision_is_one_of_three_kinds_and_has_names_of_its_own():
    assert [precision.name for precision in PRECISIONS if precision.is_plain] == ["fp32"]
    names = [name for precision in PRECISIONS for name in (precision.name, *precision.aliases)]
    assert len(set(names)) == len(names)
    for precision in PRECISIONS:
        assert A_NAME.fullmatch(precision.name)
        assert precision.help
        assert precision.dtype
        assert not (precision.cast and precision.weights)
        assert precision.weights or not precision.activations
        assert 0 < precision.rounding < 0.1
        assert not precision.multiplied_as or precisions.find(precision.multiplied_as).dtype == precision.dtype
        assert bool(precision.instructions) == bool(precision.without_them)
        assert getattr(torch, precision.cast or "float32").is_floating_point


@pytest.mark.parametrize("kind", KINDS, ids=by_name)
def test_a_device_says_which_there_are_or_why_there_is_none(kind: devices.Device):
    found = kind.found()
    assert found
    for each in found:
        assert each.keys() == {"name", "title", "unavailable"}
        assert devices.kind_of(each["name"]) is kind
        assert Place(device=each["name"]).device == each["name"]


@pytest.mark.parametrize("technique", TECHNIQUES, ids=by_name)
def test_a_technique_declares_its_options(technique: type[Technique]):
    assert A_NAME.fullmatch(technique.model_fields["do"].default)
    assert technique.title
    assert technique.__doc__.splitlines()[0].endswith(".")
    assert technique.works_on in ("module", "graph")
    assert technique.main_option in technique.model_fields
    assert not technique.deciding_option or technique.choices(technique.deciding_option)
    for name, field in technique.model_fields.items():
        assert name == "do" or (field.description and "\n" not in field.description)
    step = technique()
    assert technique.model_validate(step.model_dump(mode="json")) == step
    assert Recipe.parse(steps=[step.model_dump(mode="json")]).steps == (step,)
    assert step.summary()
    assert "\n" not in technique.family + step.now()
    assert "\n" not in step.label()


@pytest.mark.parametrize("technique", TECHNIQUES, ids=by_name)
def test_a_technique_leaves_the_variant_it_is_given_as_it_was(technique: type[Technique]):
    plain = Variant(model())
    before = copy.deepcopy(plain.module.state_dict())
    form = techniques.Form.of(context().train.inputs, (4,))
    choices = technique.choices(technique.deciding_option) if technique.deciding_option else ()
    steps = [technique(**{technique.deciding_option: choice}) for choice in choices] or [technique()]
    step = next(step for step in steps if not step.blocked(plain.module, form) and not step.searches())
    changed = step.apply(plain, context())
    assert changed is not plain
    assert plain.graph is None
    for name, tensor in plain.module.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert changed.precision == (step.precision or "fp32")


@pytest.mark.parametrize("technique", TECHNIQUES, ids=by_name)
def test_what_a_search_is_to_choose_is_no_precision_yet_and_can_t_be_applied(technique: type[Technique]):
    option = technique.deciding_option
    for choice in technique.choices(option) if option else ():
        step = technique(**{option: choice})
        if step.searches():
            assert not step.training_epochs()
            assert not step.precisions
            assert Recipe.parse(steps=[step.model_dump(mode="json")]).steps == (step,)
            with pytest.raises(RecipeError, match=r"^[^\n]+; [^\n]+$"):
                step.apply(Variant(model()), context())
