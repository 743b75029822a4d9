"""Cholesky factors, and the error of a matrix that has none."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["IndefiniteError", "cholesky"]


class IndefiniteError(ArithmeticError):
    """A matrix is not positive definite. Callers know why, and say so or do without."""


def cholesky(matrix: Tensor) -> Tensor:
    """Return the lower factors (..., r, r) of symmetric matrices. Raises IndefiniteError if any has none."""
    factor, failed = torch.linalg.cholesky_ex(matrix)
    if bool((failed != 0).any()):
        raise IndefiniteError
    lower: Tensor = factor
    return lower
