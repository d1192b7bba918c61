"""NVIDIA's GPUs, and AMD's where torch is built for them."""

from __future__ import annotations

from workbench.machine.devices._base import Device


class Cuda(Device):
    """As many as torch sees."""

    kind = "cuda"
    numbered = True
    rank = 10

    def found(self) -> list[dict[str, str | None]]:
        import torch

        if not torch.cuda.is_available():
            why = "no CUDA device found" if torch.version.cuda else "this torch is built without CUDA"
            return [{"name": "cuda:0", "title": "CUDA", "unavailable": why}]
        names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
        return [{"name": f"cuda:{index}", "title": name, "unavailable": None} for index, name in enumerate(names)]

    def synchronize(self, name: str) -> None:
        import torch

        torch.cuda.synchronize(name)
