"""The learned log density ratio of a search, with everything that locates an excess (spec section 6)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from unseen.errors import ConfigError
from unseen.search.fitted import Fitted
from unseen.search.profile_data import coefficient_covariance as profiled_covariance
from unseen.search.profile_data import profiled_batch
from unseen.search.result import Statistic
from unseen.search.scorer import Scorer
from unseen.search.validate import Floats
from unseen.search.where import Region, coefficient_covariance, f_error, find_region

__all__ = ["Ratio"]


class Ratio:
    """f of one data set at every width; `best` is the width (an index) that is meant when none is given."""

    def __init__(self, fitted: Fitted, statistic: Statistic, best: int) -> None:
        self.fitted, self.statistic, self.best = fitted, statistic, best
        self._covariances: dict[int, Tensor] = {}

    def score(self, x: ArrayLike, width: int | None) -> Floats:
        """Return f (n,) of events x (n, d)."""
        k = self._index(width)
        phi = self.fitted.features(k, self.fitted.standardise("x", x))
        f: Floats = phi.project(self._coefficients(k))[0].double().cpu().numpy()
        return f

    def error(self, x: ArrayLike, width: int | None) -> Floats:
        """Return the standard deviation of f (n,) at events x (n, d)."""
        k = self._index(width)
        if k not in self._covariances:
            self._covariances[k] = self._covariance(k)
        return f_error(self.fitted.features(k, self.fitted.standardise("x", x)), self._covariances[k])

    def region(self, width: int | None) -> Region:
        """Return the region that drives t."""
        k, scale = self._index(width), self.fitted.settings.scale
        phi, b = self.fitted.reference_features(k)[0], self._coefficients(k)
        padded = torch.nn.functional.pad(b, (0, phi.n_beside))
        f_reference = phi.project(padded)[0].double().cpu().numpy()
        data = self.statistic.z * scale.std + scale.mean
        return find_region(f_reference, self._weights(k), self.statistic.f[k], data)

    def scorer(self, width: int | None) -> Scorer:
        """Return f without the test."""
        k = self._index(width)
        m, b = self.fitted.settings.maps[k], self.statistic.coefficients[k]
        intercept = float(b[-1]) if self.fitted.normalisation.intercept else 0.0
        a = m.projection.numpy() @ b[: m.rank]
        return Scorer(self.fitted.settings.scale, m.columns, m.centers.numpy(), m.sigma, a, intercept)

    def _covariance(self, k: int) -> Tensor:
        """Return the covariance of b (r, r)."""
        b, z = self._coefficients(k).double(), self.statistic.z
        profile, beside = self.statistic.profile, self.statistic.beside
        if profile is None or beside is None:
            return coefficient_covariance(self.fitted.data_batch(k, z, self.statistic.mode), b)
        fits = profiled_batch(self.fitted, k, z, beside, np.array(profile.auxiliary))
        return profiled_covariance(fits, torch.cat([b, torch.tensor([profile.nu_with_f[k]]).to(b)], dim=1))

    def _weights(self, k: int) -> Floats:
        """Return the reference's weights (n,), at tau's nu where nuisance parameters are profiled."""
        profile, nuisances, psi = self.statistic.profile, self.fitted.nuisances, self.fitted.beside
        if profile is None or nuisances is None or psi is None:
            return self.fitted.weights
        m = nuisances.monomials(torch.tensor([profile.nu_with_f[k]], dtype=torch.float64))[0].numpy()
        weights: Floats = self.fitted.weights * np.exp(psi @ m)
        return weights

    def _coefficients(self, k: int) -> Tensor:
        return torch.from_numpy(self.statistic.coefficients[k][None]).to(self.fitted.compute.device)

    def _index(self, width: int | None) -> int:
        k, n = self.best if width is None else int(width), len(self.fitted.settings.widths)
        if not 0 <= k < n:
            raise ConfigError(f"width is {width}; the test has widths 0 to {n - 1}")
        return k
