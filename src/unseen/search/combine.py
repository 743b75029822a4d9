"""Combining the per-width p-values into one statistic, larger for more anomalous data (arXiv:2408.12296).

A combination takes log p-values (n_samples, n_widths) and returns (n_samples,). Adding one is one function and one line
in COMBINATIONS; its own null comes from the same toys, so it needs no distribution theory.
"""

from __future__ import annotations

from collections.abc import Callable

from unseen.search.validate import Floats

__all__ = ["COMBINATIONS", "smallest_p"]


def smallest_p(log_p: Floats) -> Floats:
    """Return -log min_k p_k."""
    result: Floats = -log_p.min(axis=1)
    return result


COMBINATIONS: dict[str, Callable[[Floats], Floats]] = {"smallest_p": smallest_p}
