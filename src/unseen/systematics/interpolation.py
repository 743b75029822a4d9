"""Between what is known at nu = -1, 0 and 1, and beyond."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["interpolate"]


def interpolate(nu: Tensor, down: Tensor, up: Tensor) -> Tensor:
    """Change at nu from the changes at nu = -1 (`down`) and +1 (`up`); 0 at 0, shapes broadcast.

    The parabola through the three points for -1 <= nu <= 1, its tangents outside: continuous with its first derivative.
    This is `code2` of HistFactory (CERN-OPEN-2012-016, Sec. 4.1).
    """
    slope, curve = (up - down) / 2, (up + down) / 2
    inside = nu.clamp(-1.0, 1.0)
    # The tangent at the edge goes on for what is left of nu.
    return inside * (slope + curve * inside) + (nu - inside) * (slope + 2 * curve * torch.sign(inside))
