"""Reference events by process: names, colours and line styles that all figures share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unseen.report.inputs import Floats, ReportInputs
from unseen.report.style import PROCESS_COLOURS

__all__ = ["Group", "groups"]

LINES = ("-", "--", "-.", ":")
MARKERS = "osD^vPX*"


@dataclass(frozen=True, eq=False)
class Group:
    """The reference events of one process: rows as a mask (n_R,), the expected yield, and how it is drawn."""

    name: str
    mask: NDArray[np.bool_]
    expected: float
    colour: str
    line: str
    marker: str


def groups(inputs: ReportInputs) -> list[Group]:
    """Processes of the reference from the largest yield down; what does not get a colour is `other`."""
    weight = inputs.weight_reference
    if inputs.reference is None:
        return [_group("reference", np.ones(len(weight), np.bool_), weight, 0)]
    label, names = inputs.reference.label, inputs.reference.label_names
    used = [code for code in range(len(names)) if (label == code).any()]
    used.sort(key=lambda code: (-float(weight[label == code].sum()), names[code]))
    most = len(PROCESS_COLOURS)
    kept = used if len(used) <= most else used[: most - 1]
    result = [_group(names[code], label == code, weight, i) for i, code in enumerate(kept)]
    if len(kept) < len(used):
        result.append(_group("other", np.isin(label, used[most - 1 :]), weight, most - 1))
    return result


def _group(name: str, mask: NDArray[np.bool_], weight: Floats, i: int) -> Group:
    return Group(name, mask, float(weight[mask].sum()), PROCESS_COLOURS[i], LINES[i % len(LINES)], MARKERS[i])
