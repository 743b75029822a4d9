"""Settings of a test, frozen before data are seen: scale, widths and centres from simulated events set apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unseen.errors import NotEnoughEventsError
from unseen.search.features import FeatureMap, Scale, Widths, choose_widths, make_map
from unseen.search.validate import Floats

__all__ = ["Settings", "freeze", "set_apart"]

LARGEST_SHARE = 5  # at most one reference event in this many is set apart for the settings
MIN_REFERENCE = 10


@dataclass(frozen=True)
class Settings:
    """Scale, kernel maps (one for each width), and where they came from."""

    scale: Scale
    widths: tuple[float, ...]
    maps: tuple[FeatureMap, ...]
    n_settings: int

    @property
    def centers(self) -> Floats:
        """Centres (M, d) in standardised units."""
        centers: Floats = self.maps[0].centers.numpy()
        return centers


def set_apart(
    reference: Floats, weights: Floats, n_centers: int, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats, Floats]:
    """Split off n_centers random reference events, at most a fifth: (settings, their weights, reference, weights)."""
    n = len(reference)
    if n < MIN_REFERENCE:
        raise NotEnoughEventsError(f"reference has {n} events; at least {MIN_REFERENCE} are needed")
    taken = np.zeros(n, dtype=bool)
    taken[rng.choice(n, min(n_centers, n // LARGEST_SHARE), replace=False)] = True
    if weights[taken].sum() <= 0:
        raise NotEnoughEventsError(
            "all reference events set apart for the settings have zero weight; drop zero-weight events or pass settings"
        )
    return reference[taken], weights[taken], reference[~taken], weights[~taken]


def freeze(
    events: Floats,
    weights: Floats,
    widths: Widths,
    n_centers: int,
    penalty: float,
    cut: float,
    standardise: bool,
    rng: np.random.Generator,
) -> Settings:
    """Return settings from `events` (n, d); fewer events than `n_centers` means fewer centres, all of them."""
    scale = Scale.measure(events, weights) if standardise else Scale.identity(events.shape[1])
    z = scale(events)
    chosen = choose_widths(widths, z, rng)
    centers = z if len(z) <= n_centers else z[np.sort(rng.choice(len(z), n_centers, replace=False))]
    return Settings(scale, chosen, tuple(make_map(centers, s, penalty, cut) for s in chosen), len(events))
