from __future__ import annotations

import dataclasses
import shutil

import pytest
import torch

from workbench import models
from workbench.core.placing import completions
from workbench.core.saving import require_room
from workbench.core.shelf import Shelf
from workbench.errors import WorkbenchError
from workbench.recipe import Recipe
from workbench.techniques import Context
from workbench.workload import Workload


def test_a_disk_with_too_little_room_is_one_line_with_both_sizes(tmp_path):
    workload = models.load(Workload(torch.nn.Linear(4, 3), data=(torch.rand(60, 4), torch.arange(60) % 3)))
    recipe = completions(Recipe.parse(place={"engine": "eager", "threads": 1}))[0]
    prepared = Shelf(0).prepared(workload, recipe, Context(train=workload.train))
    require_room(tmp_path, prepared)
    too_large = dataclasses.replace(prepared, size_bytes=shutil.disk_usage(tmp_path).total)
    words = r"has [\d,.]+ [kMG]B left and saving the model needs [\d,.]+ GB; free some space or choose another folder"
    with pytest.raises(WorkbenchError, match=rf"^{tmp_path} {words}$"):
        require_room(tmp_path, too_large)
