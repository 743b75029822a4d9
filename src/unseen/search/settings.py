"""Settings of a test, frozen before data are seen: scale, widths and centres from simulated events set apart."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from unseen.errors import NotEnoughEventsError, ShapeError
from unseen.search.features import FeatureMap, make_map
from unseen.search.rank import choose_rank
from unseen.search.scale import Scale, Widths, choose_kernels
from unseen.search.validate import Floats

__all__ = ["Settings", "column_ranges", "freeze", "set_apart"]

LARGEST_SHARE = 5  # at most one reference event in this many is set apart for the settings
MIN_REFERENCE = 10


@dataclass(frozen=True)
class Settings:
    """Scale, centres (M, d) in standardised units, and one kernel map for each width of each embedding.

    `curvature` (m, d) and its weights (m,) are the events behind the fixed Hessian of the linear statistic. They are
    settings events, never the reference's: in toys the reference's events play data, and data that helped to fix their
    own Hessian have too small a t.
    """

    scale: Scale
    centers: Floats
    maps: tuple[FeatureMap, ...]
    n_settings: int
    curvature: Floats
    curvature_weights: Floats

    @property
    def widths(self) -> tuple[float, ...]:
        """Width of every map."""
        return tuple(m.sigma for m in self.maps)

    def truncate(self, z: Floats, weights: Floats, expected: float, penalty: float, tolerance: float) -> Settings:
        """Return the settings with the directions that matter against `penalty` on the reference z (n, d)."""
        maps = tuple(choose_rank(m, z, weights, expected, penalty, tolerance) for m in self.maps)
        return replace(self, maps=maps)


def set_apart(reference: Floats, weights: Floats, n_centers: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return which reference events (n,) to split off for the settings: n_centers random ones, at most a fifth."""
    n = len(reference)
    if n < MIN_REFERENCE:
        raise NotEnoughEventsError(f"reference has {n} events; at least {MIN_REFERENCE} are needed")
    taken = np.zeros(n, dtype=bool)
    taken[rng.choice(n, min(n_centers, n // LARGEST_SHARE), replace=False)] = True
    if weights[taken].sum() <= 0:
        raise NotEnoughEventsError(
            "the reference events set apart for the settings have no positive sum of weights; drop zero-weight events "
            "or pass settings"
        )
    return taken


def column_ranges(embeddings: tuple[int, ...] | None, n_features: int) -> list[tuple[int, int]]:
    """Return the columns of each embedding; ShapeError if their dimensions do not add up to the features."""
    sizes = embeddings or (n_features,)
    if sum(sizes) != n_features:
        raise ShapeError(f"embeddings of {sizes} dimensions need {sum(sizes)} features, the reference has {n_features}")
    ends = np.cumsum(sizes).tolist()
    return [(end - size, end) for end, size in zip(ends, sizes, strict=True)]


def freeze(
    events: Floats,
    weights: Floats,
    widths: Widths,
    n_centers: int,
    standardise: bool,
    embeddings: tuple[int, ...] | None,
    rng: np.random.Generator,
) -> Settings:
    """Return settings from `events` (n, d); fewer events than `n_centers` means fewer centres, all of them."""
    scale = Scale.measure(events, np.abs(weights)) if standardise else Scale.identity(events.shape[1])
    z = scale(events)
    columns = column_ranges(embeddings, events.shape[1])
    chosen = [(c, *kernel) for c in columns for kernel in choose_kernels(widths, z[:, c[0] : c[1]], rng)]
    central = np.ones(len(z), dtype=bool)
    if len(z) > n_centers:
        central[:] = False
        central[rng.choice(len(z), n_centers, replace=False)] = True
    maps = tuple(make_map(z[central], width, c, amplitude) for c, width, amplitude in chosen)
    # Events that are no centres tell more of a narrow kernel's curvature, where there are enough of them.
    others = (
        ~central if np.count_nonzero(~central) >= n_centers and weights[~central].sum() > 0 else np.ones_like(central)
    )
    return Settings(scale, z[central], maps, len(events), z[others], weights[others])
