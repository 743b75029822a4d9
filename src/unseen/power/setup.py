"""From the settings of a search to the kernel test and the scan of a study of its power."""

from __future__ import annotations

import numpy as np

from unseen.config import SearchConfig
from unseen.power.contender import Contender
from unseen.power.kernel import kernel_contender
from unseen.power.plan import Scan
from unseen.power.rival import Samples
from unseen.search.profile_ratio import RatioSource
from unseen.searching import kernel_test
from unseen.seeds import small_seed

__all__ = ["fitted_kernel", "scan_of", "smallest_pool"]

MARGIN_SIGMA = 6.0
LINEAR_CHUNK, CHUNK = 2000, 100  # toys that are computed together


def smallest_pool(n_data: float) -> int:
    """Return how many events toys with Poisson(`n_data`) events need beside the reference."""
    return int(np.ceil(n_data + MARGIN_SIGMA * np.sqrt(n_data)))


def fitted_kernel(settings: SearchConfig, samples: Samples, seed: int, ratio: RatioSource | None = None) -> Contender:
    """Return the kernel test that `settings` describe, fitted and calibrated on `samples`.

    `ratio`, a function of events, makes it profile nuisance parameters.
    """
    test = kernel_test(settings, small_seed(seed, "search"))
    test.fit(samples.reference, expected=samples.expected, settings=samples.settings, ratio=ratio)
    return kernel_contender(
        test,
        samples.pool,
        samples.signals,
        calibration=settings.calibration,
        reference=settings.toy_reference,
        seed=small_seed(seed, "toys"),
    )


def scan_of(
    settings: SearchConfig,
    signals: tuple[str, ...],
    injections: tuple[int, ...],
    n_data: float,
    n_toys: int,
    n_null: int,
    seed: int,
) -> Scan:
    """Return the scan of a test with these settings; a test of shape alone has a fixed number of background events."""
    fixed = round(n_data) if settings.normalisation == "free" else None
    chunk = LINEAR_CHUNK if settings.statistic == "linear" else CHUNK
    return Scan(signals, injections, n_toys, n_null, seed, fixed, chunk)
