"""Where what the workbench keeps for the user lies."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def data_directory() -> Path:
    """Where the user's history and this machine's figures live; ``WORKBENCH_DATA`` in the environment overrides it."""
    return Path(os.environ.get("WORKBENCH_DATA") or platformdirs.user_data_path("model-workbench", appauthor=False))
