"""The compiled engine on models of several inputs; one compilation for each, side by side."""

from __future__ import annotations

import pytest
import torch

from tests.engines.models import tolerance
from tests.engines.several_inputs import examples, variant
from workbench.engines.compiled import Compiled, packages
from workbench.errors import EngineError
from workbench.measure.fidelity import require_faithful

pytestmark = [
    pytest.mark.skipif(Compiled().unavailable() is not None, reason=str(Compiled().unavailable())),
    pytest.mark.timeout(900),  # three compilations, on a machine that may be busy with others
]
BATCH = 4
CASES = (("tokens and a mask", "fp32"), ("an image and its kind", "int8-static"), ("tokens", "fp16"))


@pytest.fixture(scope="module")
def runners(cache_directory):
    """The only compilations that these tests wait for."""
    builds = {case: Compiled().build(variant(*case), examples(case[0], BATCH), threads=1) for case in CASES}
    try:
        for build in builds.values():
            while not build.wait(1):
                pass
        return {case: Compiled().prepare(variant(*case), examples(case[0], BATCH), threads=1) for case in CASES}
    finally:
        for build in builds.values():
            build.kill()


@pytest.mark.parametrize(("name", "precision"), CASES)
def test_compiled_code_takes_several_inputs_of_any_dtype_and_batch(runners, name, precision):
    asked, made = variant(name, precision), runners[name, precision]
    says = asked.graph if asked.graph is not None else asked.module
    for batch in (BATCH, 1, 11):
        inputs = examples(name, batch, seed=batch)
        outputs, expected = made(*inputs), says(*inputs)
        assert outputs.dtype is torch.float32
        assert (outputs - expected).abs().max().item() <= tolerance(precision, expected)
    require_faithful(Compiled(), made, asked, examples(name, 16), batch=BATCH)


def test_compiled_code_refuses_other_inputs_in_one_line(runners):
    made, (ids, mask) = runners["tokens and a mask", "fp32"], examples("tokens and a mask", BATCH)
    with pytest.raises(EngineError, match="the model takes 2 inputs, not 1"):
        made(ids)
    with pytest.raises(EngineError, match="of 4, 3 examples"):
        made(ids, mask[:3])


def test_what_is_saved_takes_the_same_inputs(runners, tmp_path):
    made, inputs = runners["an image and its kind", "int8-static"], examples("an image and its kind", 3)
    [path] = made.save(tmp_path)
    outputs, loaded = made(*inputs), torch.export.load(path).module()(*inputs)
    assert (loaded - outputs).abs().max().item() <= tolerance("int8-static", outputs)


def test_inputs_of_another_dtype_are_another_package():
    ids = examples("tokens", BATCH)
    asked = variant("tokens", "fp32")
    assert packages.package_target(asked, ids, 1) != packages.package_target(asked, (ids[0].int(),), 1)
