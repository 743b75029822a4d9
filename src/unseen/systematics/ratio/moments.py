"""A fast closure test: moments of kernel features at nu against those of nominal events weighted by r(z; nu).

For n_data events the sums of 1 + `rank` features psi, the first of which is 1, differ by n_data b on average, with the
covariance n_data C, C = E_nu[psi psi'] per nominal event. Of the statistic (difference)' (n_data C)^-1 (difference), a
chi-squared with 1 + rank degrees of freedom if r is right, the mean is then above the null mean by

    shift = n_data b' C^-1 b / sqrt(2 (1 + rank))     null standard deviations.

The search's own test may see more: its closure (spec systematics, section 3) is made with that test.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import chi2

from unseen.errors import ConfigError, ShapeError
from unseen.seeds import generator
from unseen.systematics.ratio.closure import CLOSURE_LIMIT, Closure
from unseen.systematics.ratio.density_ratio import DensityRatio
from unseen.systematics.ratio.feature_map import make_features
from unseen.systematics.ratio.monomials import Floats
from unseen.systematics.ratio.samples import Block, RatioSamples

__all__ = ["moment_closure"]


def moment_closure(
    ratio: DensityRatio,
    samples: RatioSamples,
    *,
    n_data: float,
    limit: float = CLOSURE_LIMIT,
    n_centers: int = 200,
    rank: int = 20,
    width: float = 1.0,
    seed: int = 0,
) -> Closure:
    """The closure at the nu of every block of `samples`: events that the ratio was not fitted on.

    * n_data: number of data events in the search, at nu = 0, for which a shift is given
    * rank, width, n_centers: kernel features, the width in units of the median distance
    * samples that know which rows are the same event resolve much smaller shifts; `RatioSamples.split` holds some out
    * the result's p_value: of an exact ratio showing differences as large as those of these samples

    Errors: ShapeError (another number of features or parameters, blocks with several nu), ConfigError,
    NuisanceRangeError.
    """
    if not (0 < n_data < float("inf") and limit > 0):
        raise ConfigError(f"n_data {n_data} and limit {limit} have to be positive")
    if any(np.ndim(block.nu) != 1 for block in samples.blocks):
        raise ShapeError("closure is tested at one nu for each block; a block has another nu for every event")
    rng = generator(seed, "closure")
    features = make_features(samples.z, samples.weights, samples.pool, n_centers, rank, (width,), rng)

    def psi(z: Floats) -> Floats:
        found: Floats = features(torch.from_numpy(z)).numpy()
        return found

    nominal = psi(samples.z)
    found = []
    for block in samples.blocks:
        nu = np.asarray(block.nu)
        weights = samples.weights * np.exp(ratio.log_ratio(samples.z, nu))
        found.append((*_shift(samples, block, nominal, weights, psi, n_data), tuple(nu)))
    shift, error, p_value, unweighted, nu = zip(*found, strict=True)
    return Closure("moments", nu, shift, error, float(n_data), unweighted, p_value, float(limit))


def _shift(
    samples: RatioSamples,
    block: Block,
    nominal: Floats,
    weights: Floats,
    psi: Callable[[Floats], Floats],
    n_data: float,
) -> tuple[float, float, float, float]:
    """Shift, its error, the p-value of exact closure, and the shift without r."""
    moved, w = psi(np.asarray(block.z)), np.asarray(block.weights)
    total = samples.weights.sum()
    inverse = np.linalg.pinv((moved.T * w) @ moved / total, hermitian=True)
    scale = n_data / np.sqrt(2.0 * len(inverse))
    results = []
    for each in (weights, samples.weights):
        change = _changes(samples, block, w[:, None] * moved, each[:, None] * nominal) / total
        b = change.sum(axis=0)
        noise = change.T @ change  # of a Poisson number of events: not centred
        spread = inverse @ noise
        distance = float(b @ inverse @ b)
        shift = scale * (distance - float(np.trace(spread)))  # without what the noise in b adds
        own = float(np.trace(spread @ spread))  # the noise in b is in b @ spread @ inverse @ b too
        variance = 4.0 * max(float(b @ spread @ inverse @ b) - own, 0.0) + 2.0 * own
        p_value = float(chi2.sf(b @ np.linalg.pinv(noise, hermitian=True) @ b, len(b)))
        results.append((shift, scale * np.sqrt(variance), p_value))
    return *results[0], results[1][0]


def _changes(samples: RatioSamples, block: Block, moved: Floats, nominal: Floats) -> Floats:
    """What each event adds to the difference of sums (n, 1 + rank): one row for both of its copies, where known."""
    if samples.event is None or block.event is None:
        return np.concatenate([moved, -nominal])
    ids: NDArray[np.int64] = np.concatenate([np.asarray(block.event), samples.event])
    known, row = np.unique(ids, return_inverse=True)
    result = np.zeros((len(known), moved.shape[1]))
    np.add.at(result, row, np.concatenate([moved, -nominal]))
    return result
