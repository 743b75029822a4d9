"""The kernel test: is the data distributed like the reference? (spec section 1-4, arXiv:2204.02317, 2408.12296)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from unseen.errors import ConfigError, CorruptFileError, NotFittedError
from unseen.search import archive
from unseen.search.calibration import CALIBRATIONS, MIN_TOYS, Null
from unseen.search.checks import check_comparable, observed_checks, repeat_checks, settings_checks
from unseen.search.combine import COMBINATIONS
from unseen.search.features import Widths, parse_widths
from unseen.search.fitted import Fitted, split_reference
from unseen.search.refit import toy_statistics
from unseen.search.result import SearchResult, Statistic
from unseen.search.settings import freeze
from unseen.search.statistic import NORMALISATIONS, STATISTICS
from unseen.search.toys import REFERENCES, plan_toys
from unseen.search.validate import (
    Floats,
    Keys,
    as_events,
    check_count,
    check_disjoint,
    check_name,
    check_positive,
    row_keys,
)

__all__ = ["KernelTest"]

GIB = 2.0**30


class KernelTest:
    """Kernel likelihood-ratio test of a data sample against a weighted reference sample.

    Parameters: `widths` "auto" (percentiles 1, 10, 25, 50, 75, 90, 99 of the settings events' pairwise distances), a
    number or a sequence (standardised units); `n_centers` Nystrom centres; `penalty` lambda; `normalisation` "known"
    (the expected yield is exact) or "free" (shape only); `statistic` "converged" or "one_step"; `combination` of the
    widths; `standardise` False to use the features as they are; `cut`: kernel directions with eigenvalues below
    cut * lambda * M are dropped; `memory_budget` in GiB up to which the kernel features of a set of events are held,
    and beyond which they are recomputed in blocks. It is no bound on all memory: a batch of toys needs more. At narrow
    widths it also decides where the solver starts: t is then the same to its tolerance, not to the last bit.
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
        cut: float = 1e-9,
        memory_budget: float = 4.0,
    ) -> None:
        self.widths: Widths = parse_widths(widths)
        self.n_centers = check_count("n_centers", n_centers, 1)
        self.penalty = check_positive("penalty", penalty)
        self.normalisation = check_name("normalisation", normalisation, NORMALISATIONS)
        self.seed = check_count("seed", seed, 0)
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
        rng = np.random.default_rng([self.seed])
        split = split_reference(reference, weights, expected, settings, self.n_centers, rng)
        apart, apart_w = split.settings, split.settings_weights
        frozen = freeze(apart, apart_w, self.widths, self.n_centers, self.penalty, self.cut, self.standardise, rng)
        self._fitted = Fitted(
            settings=frozen,
            z=frozen.scale(split.reference),
            weights=split.weights,
            expected=split.expected,
            keys=row_keys(split.reference),
            settings_keys=row_keys(apart),
            from_reference=split.from_reference,
            **self._fit_options(),
        )
        self._null, self._pool_keys, self._last = None, None, None
        return self

    def statistic(self, data: ArrayLike, mode: str | None = None) -> Statistic:
        """Return t and f of `data` (n, d) at every width; `mode` is the test's own statistic unless given."""
        fitted = self._need_fit()
        mode = self.mode if mode is None else check_name("statistic", mode, STATISTICS)
        z = fitted.standardise("data", data)
        fits = [fitted.fit(k, z, mode) for k in range(len(fitted.settings.widths))]
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
        fitted.check_new("pool", keys)
        n_toys, seed = check_count("n_toys", n_toys, MIN_TOYS), check_count("seed", seed, 0)
        n_data = None if n_data is None else check_count("n_data", n_data, 1)
        reference = self._reference_option(reference)
        plan = plan_toys(n_toys, fitted.expected, len(fitted.z), len(x), reference, seed, n_data)
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
            phi, factor = fitted.reference_features(k)
            t[:, k] = toy_statistics(
                plan,
                phi.join(fitted.features(k, z)),
                torch.from_numpy(fitted.weights),
                factor,
                mode=self.mode,
                normalisation=self.normalisation,
                penalty=self.penalty,
                tick=tick,
            )
        self._null = Null(t, self.mode, self.combination, name, reference, len(x), n_data)
        self._pool_keys = keys
        return self._null

    def search(self, data: ArrayLike) -> SearchResult:
        """Return the calibrated result for `data` (n, d); ConfigError if the toys' N_D are unlike theirs."""
        fitted, null = self._need_fit(), self._null
        if null is None or self._pool_keys is None:
            raise NotFittedError("search needs a null distribution; call calibrate(pool) first")
        x = as_events("data", data, fitted.z.shape[1])
        keys = row_keys(x)
        fitted.check_new("data", keys)
        check_disjoint("data", keys, "the pool", self._pool_keys)
        check_comparable(null, len(x), fitted.expected, self.normalisation)
        observed = self.statistic(x, mode=null.mode)
        p = null.p_value(observed.t)
        log_p = null.log_p_per_width(observed.t)
        self._last, self._best = observed, int(np.argmin(log_p))
        checks = settings_checks(fitted.settings, fitted.from_reference, self.n_centers)
        checks |= observed_checks(fitted.settings, fitted.z, fitted.settings.scale(x), fitted.expected, null)
        checks |= repeat_checks(fitted.keys, self._pool_keys)
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
        b = torch.from_numpy(self._last.coefficients[k])
        f: Floats = fitted.features(k, fitted.standardise("x", x)).project(b[:, None])[:, 0].numpy()
        return f

    def save(self, path: str | Path) -> None:
        """Write the whole test (settings, reference, null, last fit) as one .npz without pickled objects."""
        fitted = self._need_fit()
        arrays, header = archive.pack_fitted(fitted)
        null_arrays, null = archive.pack_null(self._null)
        last_arrays, last = archive.pack_last(self._last)
        arrays |= null_arrays | last_arrays
        if self._pool_keys is not None:
            arrays["pool_keys"] = self._pool_keys
        header |= {"options": self.options, "null": null, "last": last, "best": self._best}
        archive.write(Path(path), arrays, header)

    @classmethod
    def load(cls, path: str | Path) -> KernelTest:
        """Return a test that `save` wrote; it scores and searches as the saved one did."""
        arrays, header = archive.read(Path(path))
        try:
            test = cls(**header["options"])
            test._fitted = fitted = archive.unpack_fitted(arrays, header, **test._fit_options())
            test._null = archive.unpack_null(arrays, header["null"])
            test._last = archive.unpack_last(arrays, header["last"], fitted.settings.widths)
            test._pool_keys, test._best = arrays.get("pool_keys"), header["best"]
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptFileError(f"{path} is not a saved test: {error!r}") from error
        return test

    @property
    def options(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = ("widths", "n_centers", "penalty", "normalisation", "seed", "combination", "standardise", "cut")
        return {name: getattr(self, name) for name in (*names, "memory_budget")} | {"statistic": self.mode}

    def _fit_options(self) -> dict[str, Any]:
        """Return how the reference side fits."""
        return {"normalisation": self.normalisation, "penalty": self.penalty, "budget": self.memory_budget * GIB}

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
