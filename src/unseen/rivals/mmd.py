"""Maximum mean discrepancy with a Gaussian kernel (Gretton et al., JMLR 13 (2012) 723)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from scipy.spatial.distance import pdist

from unseen.errors import NotEnoughEventsError
from unseen.rivals.base import Rival, Seed
from unseen.rivals.pairs import pair_means
from unseen.search.toys import Codes
from unseen.search.validate import Floats

__all__ = ["MMD"]

PAIRED_EVENTS = 2000  # training events whose distances fix the bandwidth


class MMD(Rival):
    """n_R n_D / (n_R + n_D) times the unbiased MMD^2, k(x, y) = exp(-|x - y|^2 / 2 sigma^2).

    sigma is the median distance of training events. Unbiased: no event is paired with itself, so that t is zero on
    average under the null and may be negative.
    """

    name: ClassVar[str] = "mmd"
    columns = ("mmd",)
    min_events: ClassVar[int] = 2
    batch: ClassVar[int] = 256  # each batch computes the kernel once

    def _train(self, z: Floats, rng: np.random.Generator) -> None:
        some = z if len(z) <= PAIRED_EVENTS else z[rng.choice(len(z), PAIRED_EVENTS, replace=False)]
        distances = pdist(some)
        distances = distances[distances > 0.0]
        if len(distances) == 0:
            raise NotEnoughEventsError(f"{len(z)} training events have no two distinct values; no bandwidth for mmd")
        self.sigma = float(np.median(distances))

    def _attach(self, z: Floats) -> None:
        self._z = z

    def _evaluate(self, codes: Codes, expected: Floats, seeds: Sequence[Seed]) -> Floats:
        precision = -0.5 / self.sigma**2
        k = pair_means(self._z, lambda squares: squares.mul_(precision).exp_(), codes)
        return (k.scale * (k.reference + k.data - 2.0 * k.mixed))[:, None]
