"""At which points nu of the robustness grid signals are injected, besides the data without one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from unseen.search.validate import Floats

__all__ = ["SIGNAL_POINTS"]


def everywhere(nu: Floats) -> bool:
    """Every point: power against each parameter, and where all move at once."""
    return True


def axes(nu: Floats) -> bool:
    """nu = 0 and the points where one parameter alone differs from 0."""
    return bool(np.count_nonzero(nu) <= 1)


def few(nu: Floats) -> bool:
    """nu = 0 and the combinations of all parameters."""
    return bool(np.count_nonzero(nu) != 1)


def nowhere(nu: Floats) -> bool:
    """No point: rates without a signal only."""
    return False


# Extending: a function of a point nu (k,), and one line here.
SIGNAL_POINTS: Mapping[str, Callable[[Floats], bool]] = {
    "all": everywhere,
    "axes": axes,
    "few": few,
    "none": nowhere,
}
