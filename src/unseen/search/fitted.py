"""The reference side of a test, frozen before data are seen: settings, weighted reference, and fits against them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from unseen.errors import WeightError
from unseen.search.features import Features
from unseen.search.precondition import Shared
from unseen.search.settings import Settings, set_apart
from unseen.search.statistic import Fit, chord_factor, fit_batch, make_batch, require_convergence
from unseen.search.validate import Floats, Keys, as_events, as_weights, check_disjoint, check_positive, row_keys

__all__ = ["Fitted", "Split", "split_reference"]


@dataclass(frozen=True)
class Split:
    """Events (n, d) and weights of the reference and of the settings; the reference weights sum to `expected`."""

    reference: Floats
    weights: Floats
    expected: float
    settings: Floats
    settings_weights: Floats
    from_reference: bool


def split_reference(
    reference: ArrayLike,
    weights: ArrayLike | None,
    expected: float | None,
    settings: ArrayLike | None,
    n_centers: int,
    rng: np.random.Generator,
) -> Split:
    """Return validated reference and settings events; without `settings` some reference events are set apart."""
    x = as_events("reference", reference)
    w = as_weights("weights", weights, len(x))
    total = float(w.sum()) if expected is None else check_positive("expected", expected)
    if settings is None:
        apart, apart_w, x, w = set_apart(x, w, n_centers, rng)
    else:
        apart = as_events("settings", settings, x.shape[1])
        apart_w = np.ones(len(apart))
        check_disjoint("settings", row_keys(apart), "the reference", row_keys(x))
    if w.sum() <= 0:
        raise WeightError("the reference weights left after setting events apart sum to zero")
    return Split(x, w * (total / w.sum()), total, apart, apart_w, settings is None)


@dataclass(frozen=True)
class Fitted:
    """Settings, reference z (n, d) in standardised units, weights (n,) that sum to `expected`, and how to fit.

    `keys` and `settings_keys` are the `row_keys` of reference and settings events; `budget` is the bytes of features
    that may be held. Features of the reference are kept while they fit in half of it.
    """

    settings: Settings
    z: Floats
    weights: Floats
    expected: float
    keys: Keys
    settings_keys: Keys
    from_reference: bool
    normalisation: str
    penalty: float
    budget: float
    _held: dict[int, tuple[Features, Tensor]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def uniform(self) -> bool:
        """True when all events weigh the same, to rounding."""
        return bool(np.ptp(self.weights) <= 1e-9 * self.weights.max())

    def check_new(self, name: str, keys: Keys) -> None:
        """Raise OverlapError if events with these `row_keys` are in the reference or fixed the settings."""
        check_disjoint(name, keys, "the reference", self.keys)
        check_disjoint(name, keys, "the settings", self.settings_keys)

    def standardise(self, name: str, x: ArrayLike) -> Floats:
        """Return validated events (n, d) in standardised units."""
        return self.settings.scale(as_events(name, x, self.z.shape[1]))

    def features(self, k: int, z: Floats) -> Features:
        """Return the features of standardised events at width k."""
        return Features(self.settings.maps[k], z, intercept=self.normalisation == "free", budget=self.budget)

    def reference_features(self, k: int) -> tuple[Features, Tensor]:
        """Return the reference's features and the factor of H0 at width k."""
        if k in self._held:
            return self._held[k]
        phi = self.features(k, self.z)
        factor = chord_factor(phi, torch.from_numpy(self.weights), len(self.z) + self.expected, self.penalty)
        held = sum(8.0 * len(p) * p.rank for p, _ in self._held.values())
        if held + 8.0 * len(phi) * phi.rank <= 0.5 * self.budget:
            self._held[k] = (phi, factor)
        return phi, factor

    def fit(self, k: int, z: Floats, mode: str) -> Fit:
        """Return the fit of one data set of standardised events at width k; raise ConvergenceError if it fails."""
        phi, factor = self.reference_features(k)
        n = len(self.z)
        reference = torch.zeros(n + len(z), 1, dtype=torch.float64)
        data = torch.zeros_like(reference)
        reference[:n, 0] = torch.from_numpy(self.weights)
        data[n:] = 1.0
        batch = make_batch(phi.join(self.features(k, z)), reference, data, self.normalisation, self.penalty)
        fit = fit_batch(batch, Shared(factor), mode, polish=True)
        require_convergence(fit, f"the data at width {self.settings.widths[k]:.4g}")
        return fit
