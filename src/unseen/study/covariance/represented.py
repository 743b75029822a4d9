"""One representation of a study's events with everything that its covariance is measured on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from unseen.search.scale import Widths
from unseen.search.validate import Floats
from unseen.study.covariance.moved import At, Delta, nu_grid
from unseen.study.covariance.settings import CovarianceConfig

__all__ = ["Represented"]


@dataclass(frozen=True)
class Represented:
    """One representation of a study's events, and everything that is measured on it.

    `settings`, `reference`, `pool` (n, d) are nominal pools of equal weights; `judged` and each of `signals` give z of
    stored events at nu, `thinned` a part of the judged ones of equal weights, `injected` the signal events that are
    added to data, `delta` a ratio learned from others; `raw` is the pair of ratio and judged events for the raw inputs,
    None without. `learn` (background, signals) are events for ratios of signals, disjoint from the rest. `n_data`,
    `widths`, `n_centers` and `penalty` are those of the kernel test.
    """

    names: tuple[str, ...]
    settings: Floats
    reference: Floats
    pool: Floats
    delta: Delta
    judged: At
    thinned: At
    raw: tuple[Delta, At] | None
    signals: Mapping[str, At]
    injected: Mapping[str, At]
    learn: tuple[Floats, Mapping[str, Floats]]
    n_data: float
    widths: Widths
    n_centers: int
    penalty: float
    config: CovarianceConfig
    seed: int

    @property
    def grid(self) -> list[Floats]:
        """The points of closure and predictability."""
        config = self.config
        return nu_grid(len(self.names), config.values, config.combinations, self.seed)

    @property
    def zero(self) -> Floats:
        """nu = 0."""
        return np.zeros(len(self.names))
