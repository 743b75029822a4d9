"""The kernel test: is the data distributed like the reference? (spec section 1-4, arXiv:2204.02317, 2408.12296)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from unseen.errors import ConfigError, CorruptFileError, NotFittedError, OverlapError
from unseen.search import archive
from unseen.search.assemble import assemble
from unseen.search.calibrate import Request, calibrated, choose_method
from unseen.search.checks import check_comparable
from unseen.search.combine import COMBINATIONS
from unseen.search.compute import PRECISIONS, Compute, choose_device
from unseen.search.fitted import Fitted, split_reference
from unseen.search.normalisation import Normalisation
from unseen.search.null import CALIBRATIONS, MIN_TOYS, Null
from unseen.search.observe import observe
from unseen.search.parallel import blockwise
from unseen.search.profile_nuisances import as_true_values, reference_columns
from unseen.search.profile_ratio import RatioLike, RatioSource
from unseen.search.pseudo import PseudoData, make_pseudo_data
from unseen.search.ratio import Ratio
from unseen.search.result import SearchResult, Statistic
from unseen.search.runner import Runner
from unseen.search.scale import Widths, parse_widths
from unseen.search.scorer import Scorer
from unseen.search.settings import freeze
from unseen.search.simulation import checked_simulation
from unseen.search.statistic import STATISTICS
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
from unseen.search.where import Region

__all__ = ["KernelTest"]

GIB = 2.0**30
EVENTS_PER_CENTER = 5  # set apart for the linear statistic, whose Hessian comes from those that are no centres


class KernelTest:
    """Kernel likelihood-ratio test of a data sample against a weighted reference sample.

    Parameters: `widths` "auto" (percentiles 1, 10, 50, 90 and 99 of the settings events' pairwise distances, and twice
    the last; the penalty falls with the square of the width, see `unseen.search.scale.choose_kernels`),
    "percentile(90)" for that one, a number or a sequence (standardised units); `n_centers` Nystrom centres;
    `penalty` lambda; `normalisation` "known" (the expected yield is exact), "constrained(SIGMA)" (known to a
    fraction SIGMA) or "free" (shape only); `statistic` "converged", "one_step" or "linear"; `combination` of the
    widths, a name in `COMBINATIONS`; `standardise` False to use the features as they are; `embeddings`: the numbers
    of columns of several embeddings of the same events that lie side by side, each with its own widths, all
    combined in one p-value; `rank_tolerance`: kernel directions are dropped while they move t by less than this
    fraction of the null's spread (0 keeps all).

    `memory_budget` in GiB up to which kernel features are held; beyond it they are recomputed in blocks. `precision`
    "mixed" stores features in float32 (t is off by less than 0.1 % of the null's spread, see docs/validation) or
    "float64"; `device` "cpu", "cuda" or "auto".
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
        embeddings: Sequence[int] | None = None,
        rank_tolerance: float = 0.01,
        memory_budget: float = 2.0,
        precision: str = "mixed",
        device: str = "cpu",
    ) -> None:
        self.widths: Widths = parse_widths(widths)
        self.n_centers = check_count("n_centers", n_centers, 1)
        self.penalty = check_positive("penalty", penalty)
        self._yield = Normalisation.parse(normalisation)
        self.normalisation = normalisation
        self.seed = check_count("seed", seed, 0)
        self.mode = check_name("statistic", statistic, STATISTICS)
        self.combination = check_name("combination", combination, COMBINATIONS)
        self.standardise = bool(standardise)
        self.embeddings = None if embeddings is None else tuple(check_count("embeddings", n, 1) for n in embeddings)
        self.rank_tolerance = float(rank_tolerance)
        if not 0.0 <= self.rank_tolerance < 1.0:
            raise ConfigError(f"rank_tolerance is {rank_tolerance!r}; expected a number from 0 to below 1")
        self.memory_budget = check_positive("memory_budget", memory_budget)
        self.precision = check_name("precision", precision, PRECISIONS)
        self.device = device
        self._compute = Compute(self.memory_budget * GIB, PRECISIONS[precision], choose_device(device))
        self._fitted: Fitted | None = None
        self._null: Null | None = None
        self._pool_keys: Keys | None = None
        self._ratio: Ratio | None = None
        self._delta: Callable[[Floats], RatioLike] | None = None

    @blockwise()
    def fit(
        self,
        reference: ArrayLike,
        weights: ArrayLike | None = None,
        expected: float | None = None,
        ratio: RatioSource | None = None,
        settings: ArrayLike | None = None,
        accept_failed_closure: bool = False,
    ) -> KernelTest:
        """Freeze the settings and take `reference` (n, d) with `weights` (n,), rescaled to sum to `expected`.

        `settings` (m, d) are simulated events set apart from everything else: centres, widths, scale and the linear
        statistic's Hessian come from them. Without them a random part of the reference (n_centers events, five times
        as many for the linear statistic, at most a fifth of it) is removed for this; `expected`, by default the sum of
        all weights, stays. Fewer settings events than n_centers means fewer centres.

        `ratio` are the coefficients delta(x) of log r(x; nu) of the reference's events, as `RatioCoefficients`, linear
        ones (n, k) or (linear, quadratic), or a function delta(x) that returns them: nuisance parameters nu are then
        profiled, and the yield is one of them unless it is known. Other events come with a `ratio` of their own, unless
        it is a function. A ratio with the attributes `names`, `limits` and `closure`, such as `unseen.DensityRatio`,
        names the parameters; a closure test that failed, or fails once it is scaled to the `expected` events, is a
        ClosureError unless `accept_failed_closure`. The result says where no closure was tested, and which fitted
        values are beyond the limits.
        """
        if ratio is not None and self.mode != "converged":
            raise ConfigError(f"nuisance parameters are profiled by statistic='converged', not '{self.mode}'")
        rng = np.random.default_rng([self.seed])
        signed = self.mode == "linear"  # a quadratic form needs no positive weights, only a positive Hessian
        n_apart = self.n_centers * (EVENTS_PER_CENTER if self.mode == "linear" else 1)
        split = split_reference(reference, weights, expected, settings, n_apart, rng, signed=signed)
        nuisances, beside = reference_columns(ratio, reference, split.rows, self._yield)
        if nuisances is not None:
            nuisances = nuisances.trusted(split.expected, accept_failed_closure)
        apart, apart_w = split.settings, split.settings_weights
        frozen = freeze(apart, apart_w, self.widths, self.n_centers, self.standardise, self.embeddings, rng)
        z = frozen.scale(split.reference)
        if self.rank_tolerance > 0.0:
            frozen = frozen.truncate(z, split.weights, split.expected, self.penalty, self.rank_tolerance)
        self._delta = ratio if callable(ratio) else None
        self._fitted = Fitted(
            settings=frozen,
            z=z,
            weights=split.weights,
            expected=split.expected,
            keys=row_keys(split.reference),
            settings_keys=row_keys(apart),
            from_reference=split.from_reference,
            normalisation=self._yield if nuisances is None else Normalisation(0.0),
            penalty=self.penalty,
            compute=self._compute,
            nuisances=nuisances,
            beside=beside,
            assumed=split.assumed,
        )
        self._null, self._pool_keys, self._ratio = None, None, None
        return self

    @blockwise()
    def statistic(
        self,
        data: ArrayLike,
        mode: str | None = None,
        ratio: RatioSource | None = None,
        auxiliary: ArrayLike | None = None,
    ) -> Statistic:
        """Return t and f of `data` (n, d) at every width; `mode` is the test's own statistic unless given.

        With profiled nuisance parameters: `ratio` are the data's coefficients delta(x), `auxiliary` (k,) the auxiliary
        measurements of nu, zero unless given.
        """
        fitted = self._need_fit()
        mode = self.mode if mode is None else check_name("statistic", mode, STATISTICS)
        return observe(fitted, as_events("data", data, fitted.z.shape[1]), mode, self._source(ratio), auxiliary)

    @blockwise()
    def calibrate(
        self,
        pool: ArrayLike | None,
        method: str = "auto",
        n_toys: int | None = None,
        seed: int = 1,
        reference: str = "auto",
        progress: Callable[[int, int], None] | None = None,
        n_data: int | None = None,
        weights: ArrayLike | None = None,
        runner: Runner | None = None,
        ratio: RatioSource | None = None,
        nu: ArrayLike | None = None,
    ) -> Null:
        """Find the null distribution of the test's statistic and keep it.

        `pool` (n, d) are simulated events used for nothing else, with `weights` (n,) as they come from the generator.
        `method`:

        - "toys": refits of toys from the pool, any statistic (300 by default);
        - "linear": toys of the linear statistic (20,000 by default);
        - "asymptotic": the analytic null of the linear statistic, checked with linear toys; without a pool (None) the
          reference stands for it and the check has the cumulants alone;
        - "permutation": labels of reference and data shuffled, any statistic; pass the data as `pool`. It conditions
          on N_D, so it tests shape only, and needs equal weights;
        - "auto": asymptotic if its check passes, else linear, for the linear statistic; toys for the others.

        `reference`: "redrawn" with the data in every toy (default where weights allow it) or "fixed"; see
        `unseen.search.toys`. `n_data` fixes the toys' N_D instead of throwing it: a test of shape alone, meant for
        normalisation="free". `progress(done, total)` is called after each batch. `runner`: workers that throw the
        toys, such as those of `unseen.workers`, to the same numbers; None for the threads of this process.

        With profiled nuisance parameters "toys" and, for one width and where its check passes, "asymptotic" are there.
        `ratio` are the pool's coefficients delta(x). Toys throw nu from its prior and the auxiliary measurements around
        it; `nu` (k,) holds the true values fixed, to compare null distributions.
        """
        name = method if method == "auto" else check_name("calibration", method, CALIBRATIONS)
        fitted = self._need_fit()
        choose_method(name, self.mode, 0 if fitted.nuisances is None else len(fitted.settings.widths))
        at = as_true_values(fitted.nuisances, nu)
        source = self._source(ratio)
        simulation, keys = checked_simulation(fitted, pool, weights, name, self.mode, reference, source)
        n_data = len(simulation.pool) if name == "permutation" else n_data
        request = Request(
            name,
            self.mode,
            self.combination,
            None if n_toys is None else check_count("n_toys", n_toys, MIN_TOYS),
            check_count("seed", seed, 0),
            None if n_data is None else check_count("n_data", n_data, 1),
            progress,
            runner,
            at,
        )
        self._null, self._pool_keys = calibrated(simulation, request), keys
        return self._null

    def pseudo_data(
        self,
        pool: ArrayLike,
        signals: Mapping[str, ArrayLike],
        weights: ArrayLike | None = None,
        reference: str = "auto",
        ratio: RatioSource | None = None,
        signal_ratios: Mapping[str, RatioSource] | None = None,
    ) -> PseudoData:
        """Return what gives t of toys with and without signal events, for a study of power.

        `pool`, `weights`, `reference` and `ratio` as for `calibrate`; `signals`: events (n, d) by name, used for
        nothing else, with `signal_ratios` by the same names.
        """
        fitted, source = self._need_fit(), self._source(ratio)
        simulation, pool_keys = checked_simulation(fitted, pool, weights, "toys", self.mode, reference, source)
        ratios = (
            signal_ratios if self._delta is None else dict.fromkeys(signals, self._delta) | dict(signal_ratios or {})
        )
        return make_pseudo_data(simulation, pool_keys, signals, self.mode, ratios)

    def _source(self, ratio: RatioSource | None) -> RatioSource | None:
        """Return where coefficients come from: `ratio`, or the function that the test was fitted with."""
        return self._delta if ratio is None else ratio

    @blockwise()
    def search(
        self, data: ArrayLike, ratio: RatioSource | None = None, auxiliary: ArrayLike | None = None
    ) -> SearchResult:
        """Return the calibrated result for `data` (n, d); ConfigError if the toys' N_D are unlike theirs.

        `ratio` and `auxiliary` as for `statistic`.
        """
        fitted, null = self._need_fit(), self._null
        if null is None or self._pool_keys is None:
            raise NotFittedError("search needs a null distribution; call calibrate(pool) first")
        x = as_events("data", data, fitted.z.shape[1])
        keys = row_keys(x)
        fitted.check_new("data", keys)
        if null.calibration != "permutation":
            check_disjoint("data", keys, "the pool", self._pool_keys)
        elif not np.array_equal(keys, self._pool_keys):
            raise OverlapError("permutations were calibrated with other data; pass the same data to both")
        check_comparable(null, len(x), fitted.expected, self._yield)
        observed = self.statistic(x, null.mode, ratio, auxiliary)
        result = assemble(
            fitted, null, observed, self._pool_keys, normalisation=self.normalisation, n_centers=self.n_centers
        )
        self._ratio = Ratio(fitted, observed, result.best_width)
        return result

    @blockwise()
    def score(self, x: ArrayLike, width: int | None = None) -> Floats:
        """Return f(x) (n,) of the last search, at its best width or at `width` (an index).

        With normalisation="free" f is the ratio of shapes: its integral over the reference matches unity.
        """
        return self._need_ratio().score(x, width)

    @blockwise()
    def score_error(self, x: ArrayLike, width: int | None = None) -> Floats:
        """Return the standard deviation of f(x) (n,) from the fluctuation of data and reference.

        It comes from the Hessian at the minimum and the spread of the gradient; the pull of the penalty towards f = 0
        is not in it.
        """
        return self._need_ratio().error(x, width)

    @blockwise()
    def region(self, width: int | None = None) -> Region:
        """Return the region that drives the t of the last search: where f is large and counts differ most."""
        return self._need_ratio().region(width)

    def scorer(self, width: int | None = None) -> Scorer:
        """Return f of the last search as a small object of its own, to be saved and used without the test."""
        return self._need_ratio().scorer(width)

    def _need_ratio(self) -> Ratio:
        self._need_fit()
        if self._ratio is None:
            raise NotFittedError("there is no fitted f; call search(data) first")
        return self._ratio

    def save(self, path: str | Path) -> None:
        """Write the whole test (settings, reference, null, last fit) as one .npz without pickled objects."""
        last = None if self._ratio is None else (self._ratio.statistic, self._ratio.best)
        arrays, header = archive.pack_test(self._need_fit(), self._null, self._pool_keys, last, self.options)
        archive.write(Path(path), arrays, header)

    @classmethod
    def load(cls, path: str | Path) -> KernelTest:
        """Return a test that `save` wrote; it scores and searches as the saved one did."""
        arrays, header = archive.read(Path(path))
        try:
            test = cls(**header["options"])
            test._fitted = fitted = archive.unpack_fitted(arrays, header, test._yield, test.penalty, test._compute)
            test._null = archive.unpack_null(arrays, header["null"])
            last = archive.unpack_last(arrays, header["last"], fitted.settings.widths)
            test._ratio = None if last is None else Ratio(fitted, last, header["best"])
            test._pool_keys = arrays.get("pool_keys")
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptFileError(f"{path} is not a saved test: {error!r}") from error
        return test

    @property
    def options(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = ("widths", "n_centers", "penalty", "normalisation", "seed", "combination", "standardise", "embeddings")
        more = ("rank_tolerance", "memory_budget", "precision", "device")
        return {name: getattr(self, name) for name in (*names, *more)} | {"statistic": self.mode}

    def _need_fit(self) -> Fitted:
        if self._fitted is None:
            raise NotFittedError("the test has no reference yet; call fit(reference) first")
        return self._fitted
