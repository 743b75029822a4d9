"""The null of one statistic of either sign: its p-value ranks it among the toys, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unseen.errors import ConfigError, ShapeError
from unseen.search.null import MIN_TOYS, Null
from unseen.search.pvalue import empirical_p
from unseen.search.validate import Floats

__all__ = ["RankNull"]


@dataclass(frozen=True)
class RankNull(Null):
    """A `Null` of one column, t (n_toys, 1), without the gamma distribution that joins widths.

    That needs positive statistics; a held-out likelihood ratio of two equal samples is negative almost always.
    """

    def __post_init__(self) -> None:
        if self.t.ndim != 2 or self.t.shape[1] != 1:
            raise ShapeError(f"null statistics have shape {self.t.shape}; expected (toys, 1)")
        if len(self.t) < MIN_TOYS:
            raise ConfigError(f"{len(self.t)} toys are too few for a null; at least {MIN_TOYS} are needed")
        if not self.t.var() > 0:
            raise ConfigError(f"the statistic {self.mode} is {self.t[0, 0]:g} in every toy; expect more events")

    def log_p_per_width(self, t: Floats) -> Floats:
        """Return log p of the rank of observed t (1,)."""
        log_p: Floats = np.log(np.array([empirical_p(float(t[0]), self.t[:, 0]).p]))
        return log_p
