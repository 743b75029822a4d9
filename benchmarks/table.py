"""The lines of the benchmarks' tables: what `benchmarks/*.json` hold."""

from __future__ import annotations

import os
import platform
from typing import Any

import torch

__all__ = ["Row", "row"]

Row = dict[str, Any]


def row(name: str, value: float, unit: str, baseline: float | None = None) -> Row:
    """Return one line of a table; `ratio` is value over baseline."""
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"
    if torch.cuda.is_available():
        machine += f", {torch.cuda.get_device_name()}"
    ratio = None if baseline is None else float(value) / baseline
    return {"name": name, "value": float(value), "unit": unit, "baseline": baseline, "ratio": ratio, "machine": machine}
