"""The reference side of a test, frozen before data are seen: settings, weighted reference, and fits against them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from unseen.errors import NegativeWeightError, WeightError
from unseen.search.compute import Compute
from unseen.search.definite import IndefiniteError
from unseen.search.features import ROWS_PER_BLOCK, Features, planned_bytes
from unseen.search.loss import Batch, make_batch
from unseen.search.moments import second_moments
from unseen.search.normalisation import Normalisation
from unseen.search.precondition import Shared
from unseen.search.profile_fit import joint_factor
from unseen.search.profile_growth import mean_growth
from unseen.search.profile_nuisances import Nuisances
from unseen.search.runner import Runner
from unseen.search.settings import Settings, set_apart
from unseen.search.statistic import Fit, LinearForm, fit_batch, require_convergence, shared_factor
from unseen.search.toys import Index
from unseen.search.validate import Floats, Keys, as_events, as_weights, check_disjoint, check_positive, row_keys

__all__ = ["Fitted", "Split", "split_reference"]


@dataclass(frozen=True)
class Split:
    """Events (n, d) and weights of the reference and of the settings; the reference weights sum to `expected`.

    `rows` (n,) are those that the reference's events have in what was handed in; `assumed` says that `expected` was not
    given.
    """

    reference: Floats
    weights: Floats
    expected: float
    settings: Floats
    settings_weights: Floats
    from_reference: bool
    rows: Index
    assumed: bool


def split_reference(
    reference: ArrayLike,
    weights: ArrayLike | None,
    expected: float | None,
    settings: ArrayLike | None,
    n_centers: int,
    rng: np.random.Generator,
    *,
    signed: bool = False,
) -> Split:
    """Return validated reference and settings events; without `settings` some reference events are set apart.

    `signed` allows negative weights.
    """
    x = as_events("reference", reference)
    w = as_weights("weights", weights, len(x), signed=signed)
    total = float(w.sum()) if expected is None else check_positive("expected", expected)
    if settings is None:
        taken = set_apart(x, w, n_centers, rng)
        apart, apart_w, x, w = x[taken], w[taken], x[~taken], w[~taken]
        rows = np.flatnonzero(~taken)
    else:
        rows = np.arange(len(x))
        apart = as_events("settings", settings, x.shape[1])
        apart_w = np.ones(len(apart))
        check_disjoint("settings", row_keys(apart), "the reference", row_keys(x))
    if w.sum() <= 0:
        raise WeightError("the reference weights left after setting events apart sum to zero")
    return Split(x, w * (total / w.sum()), total, apart, apart_w, settings is None, rows, expected is None)


@dataclass(frozen=True)
class Fitted:
    """Settings, reference z (n, d) in standardised units, weights (n,) that sum to `expected`, and how to fit.

    `keys` and `settings_keys` are the `row_keys` of reference and settings events. Features of the reference are kept
    while they fit in half of the memory budget.

    `assumed`: `expected` was not given and is the sum of the reference's weights as they came.

    With `nuisances` to profile, `beside` (n, p) are their columns psi; the yield is one of them, and `normalisation` is
    "known".
    """

    settings: Settings
    z: Floats
    weights: Floats
    expected: float
    keys: Keys
    settings_keys: Keys
    from_reference: bool
    normalisation: Normalisation
    penalty: float
    compute: Compute
    nuisances: Nuisances | None = None
    beside: Floats | None = None
    assumed: bool = False
    _held: dict[int, tuple[Features, Tensor]] = field(default_factory=dict, repr=False, compare=False)
    _planned: dict[int, tuple[float, float]] = field(default_factory=dict, repr=False, compare=False)
    _chords: dict[int, Tensor] = field(default_factory=dict, repr=False, compare=False)
    _forms: dict[int, LinearForm] = field(default_factory=dict, repr=False, compare=False)
    _growths: dict[int, Tensor] = field(default_factory=dict, repr=False, compare=False)

    @property
    def uniform(self) -> bool:
        """True when all events weigh the same, to rounding."""
        return bool(np.ptp(self.weights) <= 1e-9 * np.abs(self.weights).max())

    def check_new(self, name: str, keys: Keys) -> None:
        """Raise OverlapError if events with these `row_keys` are in the reference or fixed the settings."""
        check_disjoint(name, keys, "the reference", self.keys)
        check_disjoint(name, keys, "the settings", self.settings_keys)

    def standardise(self, name: str, x: ArrayLike) -> Floats:
        """Return validated events (n, d) in standardised units."""
        return self.settings.scale(as_events(name, x, self.z.shape[1]))

    def features(self, k: int, z: Floats, held: float = 0, beside: Floats | None = None) -> Features:
        """Return the features of standardised events at map k; `held` bytes of the budget are taken already."""
        m, compute = self.settings.maps[k], self._compute_within(k, held)
        return Features(m, z, compute, intercept=self.normalisation.intercept, beside=beside)

    @property
    def _n_more(self) -> int:
        """Number of columns that are not the kernel's."""
        return int(self.normalisation.intercept) + (0 if self.nuisances is None else self.nuisances.n_columns)

    def _compute_within(self, k: int, held: float) -> Compute:
        """Return how to compute features at map k beside `held` bytes of others."""
        return replace(self.compute, budget=max(self.compute.budget - held, self._smallest_budget(k)))

    def _smallest_budget(self, k: int) -> float:
        """Return what one block needs, but no more than the whole budget."""
        m = self.settings.maps[k]
        return min(self.compute.budget, 8.0 * ROWS_PER_BLOCK * (len(m.centers) + m.rank + max(1, self._n_more)))

    def tensor(self, values: Floats) -> Tensor:
        """Return `values` in the stored precision, on the device."""
        return torch.from_numpy(values).to(self.compute.device, self.compute.dtype)

    def reference_features(self, k: int) -> tuple[Features, Tensor]:
        """Return the reference's features at map k, and the factor of their H0, which guides the fits."""
        if k in self._held:
            return self._held[k]
        taken = sum(phi.held_bytes for phi, _ in self._held.values())
        phi = self.features(k, self.z, taken, self.beside)
        if k not in self._chords:
            self._chords[k] = self._chord(k, phi.second_moment(self.tensor(self.weights)))
        if taken + phi.held_bytes <= 0.5 * self.compute.budget:
            self._held[k] = (phi, self._chords[k])
        return phi, self._chords[k]

    def _chord(self, k: int, moment: Tensor) -> Tensor:
        """Return the factor of H0 from the reference's second moment; with psi, of twice H0 and its border."""
        n = len(self.z) + self.expected
        if self.nuisances is not None:
            return joint_factor(moment, 2.0 * n * self.penalty, self.nuisances.n_columns)
        try:
            return shared_factor(moment, n, self.penalty, self.normalisation)
        except IndefiniteError:
            return self.form(k).factor  # negative weights: nothing is fitted to them

    def growth(self, k: int) -> Tensor | None:
        """Return how log E[t] grows with nu (K,) at map k, None where nothing is profiled."""
        if self.nuisances is None or self.beside is None:
            return None
        if k not in self._growths:
            phi, _ = self.reference_features(k)
            ridge = 2.0 * (len(self.z) + self.expected) * self.penalty
            self._growths[k] = mean_growth(phi, self.beside, self.weights, self.nuisances, ridge)
        return self._growths[k]

    def prepare(self, runner: Runner) -> None:
        """Find the factors and forms of all maps, the reference's second moments on the workers of `runner`."""
        maps = self.settings.maps
        missing = [k for k in range(len(maps)) if k not in self._chords]
        if self.nuisances is not None:
            for k in range(len(maps)):
                self.growth(k)
        elif missing:
            moments = second_moments(
                [maps[k] for k in missing], self.z, self.weights, self.compute, self.normalisation.intercept, runner
            )
            self._chords.update((k, self._chord(k, moment)) for k, moment in zip(missing, moments, strict=True))
        for k in range(len(maps)):
            self.form(k)

    def planned_budget(self, k: int) -> float:
        """Return the memory in which this process would compute the reference's features at map k, and plan for them.

        It is what those of earlier maps leave. Which features are held decides how toys are fitted, to the last bits:
        workers that compute them are told, so that they fit as this process does.
        """
        if k in self._held:
            return self._held[k][0].compute.budget
        if k in self._planned:
            return self._planned[k][0]
        here = {i: phi.held_bytes for i, (phi, _) in self._held.items()}
        taken = sum(here.values()) + sum(held for i, (_, held) in self._planned.items() if i not in here)
        m, compute = self.settings.maps[k], self._compute_within(k, taken)
        held = planned_bytes(m, len(self.z), compute, self._n_more)
        if taken + held <= 0.5 * self.compute.budget:
            self._planned[k] = (compute.budget, held)
        return compute.budget

    def alone(self, k: int, budget: float) -> Fitted:
        """Return the same with the features of map k and no other, computed in `budget`; see `planned_budget`."""
        own = self.without_features()
        compute = replace(self.compute, budget=budget)
        intercept = self.normalisation.intercept
        phi = Features(self.settings.maps[k], self.z, compute, intercept=intercept, beside=self.beside)
        own._held[k] = (phi, self._chords[k])
        return own

    def without_features(self) -> Fitted:
        """Return the same with the factors and forms that are known, but no features: what is worth sending."""
        return replace(
            self,
            _held={},
            _planned={},
            _chords=dict(self._chords),
            _forms=dict(self._forms),
            _growths=dict(self._growths),
        )

    def form(self, k: int) -> LinearForm:
        """Return the linear form at map k: H0 of the settings events, scaled to the expected number.

        Raises NegativeWeightError if their weights leave H0 without a minimum.
        """
        if k not in self._forms:
            weights = self.settings.curvature_weights
            phi = self.features(k, self.settings.curvature)
            moment = phi.second_moment(self.tensor(weights * (self.expected / weights.sum())))
            n = len(self.z) + self.expected
            try:
                factor = shared_factor(moment, n, self.penalty, self.normalisation)
            except IndefiniteError as error:
                raise NegativeWeightError(
                    "negative weights leave the Hessian without a minimum; resample them with unseen.positive_weights, "
                    "raise the penalty, or pass settings events without weights"
                ) from error
            self._forms[k] = LinearForm(factor, n * self.penalty, self.normalisation.intercept)
        return self._forms[k]

    def data_batch(self, k: int, z: Floats, mode: str, beside: Floats | None = None) -> Batch:
        """Return the loss of one data set of standardised events at map k."""
        phi, _ = self.reference_features(k)
        n = len(self.z)
        code = torch.full((1, n + len(z)), -1, dtype=torch.int8, device=self.compute.device)
        code[:, :n] = 1
        weights = torch.from_numpy(np.concatenate([self.weights, np.zeros(len(z))])).to(self.compute.device)
        return make_batch(
            phi.join(self.features(k, z, phi.held_bytes, beside)),
            code,
            weights,
            torch.tensor([self.expected], dtype=torch.float64, device=self.compute.device),
            self.normalisation,
            self.penalty,
            quadratic=mode == "one_step",
        )

    def fit(self, k: int, z: Floats, mode: str) -> tuple[Fit, Floats]:
        """Return the fit of one data set of standardised events at map k and f (n,) at these events.

        The linear statistic is no fit: f is that of the converged one where weights allow it. Raises ConvergenceError
        if the fit fails.
        """
        fitted_mode = "converged" if mode == "linear" and bool((self.weights >= 0).all()) else mode
        batch = self.data_batch(k, z, fitted_mode)
        chord = self.reference_features(k)[1]
        fit = fit_batch(batch, Shared(chord), self.form(k), fitted_mode, polish=True)
        require_convergence(fit, f"the data at width {self.settings.widths[k]:.4g}")
        f: Floats = batch.phi.project(fit.b)[0, len(self.z) :].double().cpu().numpy()
        return (replace(fit, t=fit.linear) if mode == "linear" else fit), f
