"""The kernel test: is the data distributed like the reference? (spec section 1-4, arXiv:2204.02317, 2408.12296)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from unseen.errors import ConfigError, NotFittedError, WeightError
from unseen.search import archive
from unseen.search.calibration import CALIBRATIONS, MIN_TOYS, Null
from unseen.search.checks import observed_checks, settings_checks
from unseen.search.combine import COMBINATIONS
from unseen.search.features import Features
from unseen.search.precondition import Shared
from unseen.search.refit import toy_statistics
from unseen.search.result import SearchResult, Statistic
from unseen.search.settings import Settings, freeze, set_apart
from unseen.search.statistic import (
    NORMALISATIONS,
    STATISTICS,
    Fit,
    chord_factor,
    fit_batch,
    make_batch,
    require_convergence,
)
from unseen.search.toys import REFERENCES, plan_toys
from unseen.search.validate import (
    Floats,
    Keys,
    as_events,
    as_weights,
    check_disjoint,
    check_name,
    check_positive,
    row_keys,
)

__all__ = ["KernelTest"]

GIB = 2.0**30
Widths = str | float | Sequence[float]


@dataclass(frozen=True)
class Fitted:
    """The reference side of a test: settings, reference in standardised units, weights that sum to `expected`."""

    settings: Settings
    z: Floats
    weights: Floats
    expected: float
    keys: Keys
    from_reference: bool

    @property
    def uniform(self) -> bool:
        """True when all events weigh the same, to rounding."""
        return bool(np.ptp(self.weights) <= 1e-9 * self.weights.max())


class KernelTest:
    """Kernel likelihood-ratio test of a data sample against a weighted reference sample.

    Parameters: `widths` "auto" (percentiles 1, 10, 25, 50, 75, 90, 99 of the settings events' pairwise distances), a
    number or a sequence (standardised units); `n_centers` Nystrom centres; `penalty` lambda; `normalisation` "known"
    (the expected yield is exact) or "free" (shape only); `statistic` "converged" or "one_step"; `combination` of the
    widths; `standardise` False to use the features as they are; `cut`: kernel directions with eigenvalues below
    cut * lambda * M are dropped; `memory_budget` in GiB for kernel features, which changes speed and not results.
    """

    def __init__(
        self,
        widths: Widths = "auto",
        n_centers: int = 1000,
        penalty: float = 1e-6,
        normalisation: str = "known",
        seed: int = 0,
        statistic: str = "converged",
        *,
        combination: str = "smallest_p",
        standardise: bool = True,
        cut: float = 1e-4,
        memory_budget: float = 4.0,
    ) -> None:
        if isinstance(n_centers, bool) or int(n_centers) != n_centers or n_centers < 1:
            raise ConfigError(f"n_centers is {n_centers!r}; expected an integer of at least 1")
        if int(seed) != seed or seed < 0:
            raise ConfigError(f"seed is {seed!r}; expected an integer of at least 0")
        if isinstance(widths, str) and widths != "auto":
            raise ConfigError(f"widths is '{widths}'; expected 'auto', a number or a list of numbers")
        self.widths: Widths = widths if isinstance(widths, str | int | float) else tuple(map(float, widths))
        self.n_centers = int(n_centers)
        self.penalty = check_positive("penalty", penalty)
        self.normalisation = check_name("normalisation", normalisation, NORMALISATIONS)
        self.seed = int(seed)
        self.mode = check_name("statistic", statistic, STATISTICS)
        self.combination = check_name("combination", combination, COMBINATIONS)
        self.standardise = bool(standardise)
        self.cut = check_positive("cut", cut)
        self.memory_budget = check_positive("memory_budget", memory_budget)
        self._fitted: Fitted | None = None
        self._null: Null | None = None
        self._pool_keys: Keys | None = None
        self._last: Statistic | None = None
        self._best = 0
        self._reference_cache: dict[int, tuple[Features, Tensor]] = {}

    def fit(
        self,
        reference: ArrayLike,
        weights: ArrayLike | None = None,
        expected: float | None = None,
        ratio: object | None = None,
        settings: ArrayLike | None = None,
    ) -> KernelTest:
        """Freeze the settings and take `reference` (n, d) with `weights` (n,), rescaled to sum to `expected`.

        `settings` (m, d) are simulated events set apart from everything else. Without them a random part of the
        reference (n_centers events, at most a fifth of it) is removed for this; `expected`, by default the sum of all
        weights, stays. Fewer settings events than n_centers means fewer centres.
        """
        if ratio is not None:
            raise ConfigError("ratio (profiled nuisance parameters) is not supported by this version; pass None")
        x = as_events("reference", reference)
        w = as_weights("weights", weights, len(x))
        total = float(w.sum()) if expected is None else check_positive("expected", expected)
        rng = np.random.default_rng([self.seed])
        if settings is None:
            apart, apart_w, x, w = set_apart(x, w, self.n_centers, rng)
        else:
            apart = as_events("settings", settings, x.shape[1])
            apart_w = np.ones(len(apart))
        keys = row_keys(x)
        if settings is not None:
            check_disjoint("settings", row_keys(apart), "the reference", keys)
        if w.sum() <= 0:
            raise WeightError("the reference weights left after setting events apart sum to zero")
        frozen = freeze(apart, apart_w, self.widths, self.n_centers, self.penalty, self.cut, self.standardise, rng)
        weights_n = w * (total / w.sum())
        self._fitted = Fitted(frozen, frozen.scale(x), weights_n, total, keys, settings is None)
        self._null, self._pool_keys, self._last = None, None, None
        self._reference_cache = {}
        return self

    def statistic(self, data: ArrayLike, mode: str | None = None) -> Statistic:
        """Return t and f of `data` (n, d) at every width; `mode` is the test's own statistic unless given."""
        fitted = self._need_fit()
        mode = self.mode if mode is None else check_name("statistic", mode, STATISTICS)
        z = fitted.settings.scale(as_events("data", data, fitted.z.shape[1]))
        fits = [self._fit_data(k, z, mode) for k in range(len(fitted.settings.widths))]
        return Statistic(
            t=np.array([float(fit.t) for fit in fits]),
            f=np.stack([fit.f[len(fitted.z) :, 0].numpy() for fit in fits]),
            converged=all(bool(fit.converged) for fit in fits),
            n_data=len(z),
            mode=mode,
            widths=fitted.settings.widths,
            coefficients=tuple(fit.b[:, 0].numpy() for fit in fits),
        )

    def calibrate(
        self,
        pool: ArrayLike,
        method: str = "auto",
        n_toys: int = 300,
        seed: int = 1,
        reference: str = "auto",
        progress: Callable[[int, int], None] | None = None,
        n_data: int | None = None,
    ) -> Null:
        """Refit `n_toys` toys from `pool` (n, d), simulated events used for nothing else, and keep their null.

        `reference`: "redrawn" with the data in every toy (default for equal weights) or "fixed" (default for a weighted
        reference); see `unseen.search.toys`. `n_data` fixes the toys' N_D instead of throwing it: a test of shape
        alone, meant for normalisation="free". `progress(done, total)` is called after each batch.
        """
        fitted = self._need_fit()
        name = "toys" if method == "auto" else check_name("calibration", method, CALIBRATIONS)
        x = as_events("pool", pool, fitted.z.shape[1])
        keys = row_keys(x)
        check_disjoint("pool", keys, "the reference", fitted.keys)
        if n_toys < MIN_TOYS:
            raise ConfigError(f"n_toys is {n_toys}; a null needs at least {MIN_TOYS}")
        reference = self._reference_option(reference)
        plan = plan_toys(int(n_toys), fitted.expected, len(fitted.z), len(x), reference, int(seed), n_data)
        z = fitted.settings.scale(x)
        n_widths = len(fitted.settings.widths)
        t = np.empty((plan.n_toys, n_widths))
        done = 0

        def tick(count: int) -> None:
            nonlocal done
            done += count
            if progress is not None:
                progress(done, plan.n_toys * n_widths)

        for k in range(n_widths):
            phi, factor = self._reference_features(k)
            t[:, k] = toy_statistics(
                plan,
                phi.join(self._features(k, z)),
                torch.from_numpy(fitted.weights),
                factor,
                mode=self.mode,
                normalisation=self.normalisation,
                penalty=self.penalty,
                tick=tick,
            )
        self._null = Null(t, self.mode, self.combination, name, reference, len(x))
        self._pool_keys = np.unique(keys)
        return self._null

    def search(self, data: ArrayLike) -> SearchResult:
        """Return the calibrated result for `data` (n, d)."""
        fitted, null = self._need_fit(), self._null
        if null is None or self._pool_keys is None:
            raise NotFittedError("search needs a null distribution; call calibrate(pool) first")
        x = as_events("data", data, fitted.z.shape[1])
        keys = row_keys(x)
        check_disjoint("data", keys, "the reference", fitted.keys)
        check_disjoint("data", keys, "the pool", self._pool_keys)
        observed = self.statistic(x, mode=null.mode)
        p = null.p_value(observed.t)
        log_p = null.log_p_per_width(observed.t)
        self._last, self._best = observed, int(np.argmin(log_p))
        checks = settings_checks(fitted.settings, fitted.from_reference, self.n_centers)
        checks |= observed_checks(fitted.settings, fitted.z, fitted.settings.scale(x), fitted.expected, null)
        return SearchResult(
            p_value=p.p,
            z=p.z,
            z_interval=p.z_interval,
            p_interval=p.interval,
            p_resolution=p.resolution,
            at_resolution=p.at_resolution,
            calibration=null.calibration,
            statistic=null.mode,
            normalisation=self.normalisation,
            combination=null.combination,
            t=tuple(float(v) for v in observed.t),
            widths=observed.widths,
            p_per_width=tuple(float(v) for v in np.exp(log_p)),
            best_width=self._best,
            converged=observed.converged,
            n_reference=len(fitted.z),
            n_data=observed.n_data,
            expected=fitted.expected,
            n_toys=null.n_toys,
            checks=checks,
        )

    def score(self, x: ArrayLike, width: int | None = None) -> Floats:
        """Return f(x) (n,) of the last search, at its best width or at `width` (an index).

        With normalisation="free" f is the ratio of shapes: its integral over the reference matches unity.
        """
        fitted = self._need_fit()
        if self._last is None:
            raise NotFittedError("score needs a fitted f; call search(data) first")
        k = self._best if width is None else int(width)
        if not 0 <= k < len(fitted.settings.widths):
            raise ConfigError(f"width is {width}; the test has widths 0 to {len(fitted.settings.widths) - 1}")
        z = fitted.settings.scale(as_events("x", x, fitted.z.shape[1]))
        b = torch.from_numpy(self._last.coefficients[k])
        f: Floats = self._features(k, z).project(b[:, None])[:, 0].numpy()
        return f

    def save(self, path: str | Path) -> None:
        """Write the whole test (settings, reference, null, last fit) as one .npz without pickled objects."""
        fitted = self._need_fit()
        arrays, settings = archive.pack_settings(fitted.settings)
        null_arrays, null = archive.pack_null(self._null)
        last_arrays, last = archive.pack_last(self._last)
        arrays |= {"z": fitted.z, "weights": fitted.weights, "keys": fitted.keys, **null_arrays, **last_arrays}
        if self._pool_keys is not None:
            arrays["pool_keys"] = self._pool_keys
        header = {
            "options": self.options,
            "settings": settings,
            "expected": fitted.expected,
            "from_reference": fitted.from_reference,
            "null": null,
            "last": last,
            "best": self._best,
        }
        archive.write(Path(path), arrays, header)

    @classmethod
    def load(cls, path: str | Path) -> KernelTest:
        """Return a test that `save` wrote; it scores and searches as the saved one did."""
        arrays, header = archive.read(Path(path))
        test = cls(**header["options"])
        settings = archive.unpack_settings(arrays, header["settings"])
        test._fitted = Fitted(
            settings, arrays["z"], arrays["weights"], header["expected"], arrays["keys"], header["from_reference"]
        )
        test._null = archive.unpack_null(arrays, header["null"])
        test._last = archive.unpack_last(arrays, header["last"], settings.widths)
        test._pool_keys, test._best = arrays.get("pool_keys"), header["best"]
        return test

    @property
    def options(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = ("widths", "n_centers", "penalty", "normalisation", "seed", "combination", "standardise", "cut")
        return {name: getattr(self, name) for name in (*names, "memory_budget")} | {"statistic": self.mode}

    def _need_fit(self) -> Fitted:
        if self._fitted is None:
            raise NotFittedError("the test has no reference yet; call fit(reference) first")
        return self._fitted

    def _reference_option(self, reference: str) -> str:
        """Return "redrawn" or "fixed"; a weighted reference cannot be redrawn from a pool without weights."""
        uniform = self._need_fit().uniform
        if reference == "auto":
            return "redrawn" if uniform else "fixed"
        if check_name("reference option", reference, REFERENCES) == "redrawn" and not uniform:
            raise ConfigError(
                "reference='redrawn' needs equal weights, this reference is weighted; use reference='fixed', or "
                "unweight the reference"
            )
        return reference

    def _features(self, k: int, z: Floats) -> Features:
        """Return the features of standardised events at width k."""
        free = self.normalisation == "free"
        return Features(self._need_fit().settings.maps[k], z, intercept=free, budget=self.memory_budget * GIB)

    def _reference_features(self, k: int) -> tuple[Features, Tensor]:
        """Return the reference's features and the factor of H0 at width k, kept while they fit in the budget."""
        if k in self._reference_cache:
            return self._reference_cache[k]
        fitted = self._need_fit()
        phi = self._features(k, fitted.z)
        weights = torch.from_numpy(fitted.weights)
        factor = chord_factor(phi, weights, len(fitted.z) + fitted.expected, self.penalty)
        held = sum(8.0 * len(p) * p.rank for p, _ in self._reference_cache.values())
        if held + 8.0 * len(phi) * phi.rank <= 0.5 * self.memory_budget * GIB:
            self._reference_cache[k] = (phi, factor)
        return phi, factor

    def _fit_data(self, k: int, z: Floats, mode: str) -> Fit:
        """Return the fit of one data set at width k."""
        fitted = self._need_fit()
        phi, factor = self._reference_features(k)
        n = len(fitted.z)
        reference = torch.zeros(n + len(z), 1, dtype=torch.float64)
        data = torch.zeros_like(reference)
        reference[:n, 0] = torch.from_numpy(fitted.weights)
        data[n:] = 1.0
        batch = make_batch(phi.join(self._features(k, z)), reference, data, self.normalisation, self.penalty)
        fit = fit_batch(batch, Shared(factor), mode, polish=True)
        require_convergence(fit, f"the data at width {fitted.settings.widths[k]:.4g}")
        return fit
