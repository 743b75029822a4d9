"""Energy distance (Szekely and Rizzo, J. Stat. Plan. Inference 143 (2013) 1249; in physics Aslan and Zech 2005)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from unseen.rivals.base import Rival, Seed
from unseen.rivals.pairs import pair_means
from unseen.search.toys import Codes
from unseen.search.validate import Floats

__all__ = ["Energy"]


class Energy(Rival):
    """n_R n_D / (n_R + n_D) [ 2 E|x - y| - E|x - x'| - E|y - y'| ] in standardised units, over distinct pairs."""

    name: ClassVar[str] = "energy"
    columns = ("energy",)
    min_events: ClassVar[int] = 2
    batch: ClassVar[int] = 256  # each batch computes the distances once

    def _train(self, z: Floats, rng: np.random.Generator) -> None:
        pass  # the units are all that it needs

    def _attach(self, z: Floats) -> None:
        self._z = z

    def _evaluate(self, codes: Codes, expected: Floats, seeds: Sequence[Seed]) -> Floats:
        distance = pair_means(self._z, lambda squares: squares.sqrt_(), codes)
        return (distance.scale * (2.0 * distance.mixed - distance.reference - distance.data))[:, None]
