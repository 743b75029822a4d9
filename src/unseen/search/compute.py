"""Where and how the numbers of a test are computed: device, precision, and memory for kernel features."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from unseen.errors import ConfigError
from unseen.search.validate import check_name

__all__ = ["PRECISIONS", "Compute", "choose_device"]

# Features are always evaluated in float64 (spec section 2); this is how they are stored and multiplied.
PRECISIONS = {"mixed": torch.float32, "float64": torch.float64}
# On the Newton decrement, the distance to the minimum in standard deviations of the fit: t is off by at most about
# 2 sqrt(t) times this (seen: 3e-5 of the null's spread). float32 products cannot resolve much less than 1e-5.
TOLERANCES = {torch.float32: 3e-4, torch.float64: 1e-6}


@dataclass(frozen=True)
class Compute:
    """`budget` is the bytes of features that may be held at a time, `dtype` how they are stored, on `device`."""

    budget: float
    dtype: torch.dtype = torch.float32
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def tolerance(self) -> float:
        """Largest Newton decrement of a fit that counts as converged."""
        return TOLERANCES[self.dtype]

    @property
    def bytes(self) -> int:
        """Bytes of one stored number."""
        return self.dtype.itemsize


def choose_device(name: str) -> torch.device:
    """Return the device "cpu" or "cuda"; "auto" takes a GPU where there is one. Raises ConfigError if it is absent."""
    check_name("device", name, ("auto", "cpu", "cuda"))
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device='cuda' but torch sees no GPU; use device='cpu' or 'auto'")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")
