"""The lines of the benchmarks' tables: what `benchmarks/*.json` hold."""

from __future__ import annotations

import os
import platform
from typing import Any

import torch

from unseen.power.crossing import Crossing

__all__ = ["Row", "ends", "row"]

Row = dict[str, Any]


def row(name: str, value: float, unit: str, baseline: float | None = None) -> Row:
    """Return one line of a table; `ratio` is value over baseline."""
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"
    if torch.cuda.is_available():
        machine += f", {torch.cuda.get_device_name()}"
    ratio = None if baseline is None else float(value) / baseline
    return {"name": name, "value": float(value), "unit": unit, "baseline": baseline, "ratio": ratio, "machine": machine}


def ends(crossing: Crossing) -> str:
    """Return the interval of a number of signal events in words, or what is known of one that is open."""
    low, high = crossing.interval
    if low is None and high is None:
        return "interval open"
    if low is None or high is None:
        return f"up to {high:.1f}" if low is None else f"{low:.1f} or more"
    return f"{low:.1f} to {high:.1f}"
