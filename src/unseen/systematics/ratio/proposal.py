"""Where in nu a ratio is learned: along every axis, and in combinations."""

from __future__ import annotations

import numpy as np

from unseen.errors import ConfigError
from unseen.systematics.ratio.monomials import Floats, n_monomials

__all__ = ["propose"]


def propose(k: int, n: int, rng: np.random.Generator, *, width: float = 3.0) -> Floats:
    """n values of k parameters (n, k) within [-width, width]: broad, so that polynomials are held at both ends.

    First every axis at -width, width, -width / 2 and width / 2, as far as n goes, then Gaussian combinations of
    standard deviation width / 2, cut off at the width.
    Errors: ConfigError (fewer values than monomials, which n cannot determine; width not positive).
    """
    if k < 1 or n < n_monomials(k) or not 0 < width < float("inf"):
        raise ConfigError(
            f"{n} values of nu, width {width:g}: {k} parameters have {n_monomials(max(k, 1))} terms, and need at least "
            "as many values and a positive width"
        )
    axes = np.concatenate([step * np.eye(k) + 0.0 for step in (-width, width, -width / 2, width / 2)])
    # Some combinations are always needed: cross terms are not seen along axes.
    crossed = k * (k - 1) // 2
    axes = axes[: max(n - max(crossed, n // 3 if k > 1 else 0), 0)]
    mixed = rng.normal(scale=width / 2, size=(n - len(axes), k)).clip(-width, width)
    return np.concatenate([axes, mixed])
