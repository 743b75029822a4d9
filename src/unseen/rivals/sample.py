"""The reference side of a rival: events set apart for its settings, and the rest as reference."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from unseen.search.fitted import split_reference
from unseen.search.validate import Floats, Keys, check_disjoint, row_keys

__all__ = ["Sample"]


@dataclass(frozen=True)
class Sample:
    """Reference and settings events (n, d) in raw units with their `row_keys`; `expected` is N, perhaps `assumed`."""

    reference: Floats = field(repr=False)
    settings: Floats = field(repr=False)
    expected: float
    from_reference: bool
    keys: Keys = field(repr=False)
    settings_keys: Keys = field(repr=False)
    assumed: bool

    @classmethod
    def split(
        cls,
        reference: ArrayLike,
        expected: float | None,
        settings: ArrayLike | None,
        n_apart: int,
        rng: np.random.Generator,
    ) -> Sample:
        """Return validated events; without `settings` up to `n_apart` reference events are set apart."""
        split = split_reference(reference, None, expected, settings, n_apart, rng)
        return cls(
            split.reference,
            split.settings,
            split.expected,
            split.from_reference,
            row_keys(split.reference),
            row_keys(split.settings),
            split.assumed,
        )

    def check_new(self, name: str, keys: Keys) -> None:
        """Raise OverlapError if events with these `row_keys` are in the reference or fixed the settings."""
        check_disjoint(name, keys, "the reference", self.keys)
        check_disjoint(name, keys, "the settings", self.settings_keys)
