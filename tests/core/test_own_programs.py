"""``wb.run`` from where people write code: scripts without a main guard and prompts."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import torch
import workbench as wb

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 3)

    def forward(self, x):
        return self.layer(x)

data = (torch.rand(60, 4), torch.arange(60) % 3)
result = wb.run(wb.Workload(Net(), data=data), place={"engine": "eager", "threads": 1}, baseline="eager").result()
print("workload:", result.workload)
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """A script and a prompt, started together: most of their time goes into imports."""
    folder = tmp_path_factory.mktemp("programs")
    (folder / "script.py").write_text(CODE)
    prompt = CODE.replace("\n\n    def", "\n    def")  # at a prompt an empty line ends the class
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    started = {
        "script": subprocess.Popen([sys.executable, "script.py"], cwd=folder, text=True, **pipes),
        "prompt": subprocess.Popen([sys.executable, "-i", "-q"], cwd=folder, text=True, **pipes),
    }
    started["prompt"].stdin.write(prompt)
    started["prompt"].stdin.flush()
    return {name: process.communicate() for name, process in started.items()}


def test_a_script_without_a_main_guard_runs_a_class_of_its_own(programs):
    output, error = programs["script"]
    assert output.count("workload: Net") == 1, error  # a worker that ran the script again would print it too


def test_a_prompt_runs_a_class_that_was_typed_there(programs):
    output, error = programs["prompt"]
    assert "workload: Net" in output, error
