"""What a reader needs to trust a result: numbers that go into `SearchResult.checks`."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from unseen.errors import ConfigError
from unseen.search.normalisation import Normalisation
from unseen.search.null import Null
from unseen.search.settings import Settings
from unseen.search.validate import Floats, Keys, repeats

__all__ = ["check_comparable", "observed_checks", "repeat_checks", "settings_checks"]

REFERENCE_SAMPLE = 20_000  # reference events that say how far from a centre is usual
FAR_FROM_EXPECTED = (0.3, 5.0)  # relative, and in standard deviations


def check_comparable(null: Null, n_data: int, expected: float, normalisation: Normalisation) -> None:
    """Raise ConfigError if N_D of the data is not one that the toys stand for.

    With free normalisation t does not compare N_D with the expectation, but more data events give a larger t: null data
    of twice the expected yield had p <= 0.05 in 15 % of cases. With known normalisation such a yield is an anomaly.
    """
    advice = f"calibrate with n_data={n_data} for a p-value given that number"
    if null.n_data not in (None, n_data):
        raise ConfigError(f"all toys have {null.n_data} data events (n_data of calibrate), the data {n_data}: {advice}")
    off = abs(n_data - expected)
    relative, sigmas = FAR_FROM_EXPECTED
    if normalisation.free and null.n_data is None and off > max(relative * expected, sigmas * np.sqrt(expected)):
        raise ConfigError(
            f"normalisation='free' was calibrated for {expected:g} expected events, the data have {n_data}: {advice}"
        )


def settings_checks(settings: Settings, from_reference: bool, n_centers: int) -> dict[str, Any]:
    """Return what the settings are made of: numbers of events and centres, and the rank of every width."""
    return {
        "n_settings": settings.n_settings,
        "settings_from_reference": from_reference,
        "n_centers": len(settings.centers),
        "fewer_centers_than_asked": len(settings.centers) < n_centers,
        "rank": [m.rank for m in settings.maps],
        "constant_features": settings.scale.constant,
    }


def observed_checks(settings: Settings, reference: Floats, data: Floats, expected: float, null: Null) -> dict[str, Any]:
    """Return checks of the data against the reference (both standardised) and of the toys behind the null.

    far_outside: fraction of data events farther from every centre than any reference event (of a subsample); the
    kernel is nearly blind there. pool_overlap: N over the events that the toys' data are drawn from; ask
    for 0.05 where the reference is fixed.
    yield_pull: (N_D - N) / sqrt(N).
    """
    tree = cKDTree(settings.centers)
    step = max(1, len(reference) // REFERENCE_SAMPLE)
    usual = np.max(tree.query(reference[::step])[0])
    drawn_from = null.n_pool + (len(reference) if null.reference == "redrawn" else 0)
    return {
        "far_outside": float(np.mean(np.asarray(tree.query(data)[0]) > usual)),
        "yield_pull": (len(data) - expected) / float(np.sqrt(expected)),
        "toy_reference": null.reference,
        "n_pool": null.n_pool,
        "pool_overlap": expected / drawn_from,
    }


def repeat_checks(reference: Keys, pool: Keys) -> dict[str, Any]:
    """Return the fractions of reference and pool events that occur more than once in their sample.

    Coarse features repeat by themselves. Copied events (a bootstrap, oversampling) are a fault that cannot be told from
    that: a toy may hold one copy as data and one as reference, which data never do, so that p is wrong.
    """
    return {
        "repeated_reference": repeats(reference[0]) / reference.shape[1],
        "repeated_pool": repeats(pool[0]) / max(pool.shape[1], 1),  # the analytic null may have no pool
    }
