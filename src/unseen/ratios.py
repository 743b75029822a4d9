"""Density ratios that come beside arrays: an .npz of coefficients, or a folder that `DensityRatio.save` wrote."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from unseen.arrays import FloatArray, read_arrays
from unseen.errors import ConfigError, CorruptFileError, ShapeError, did_you_mean
from unseen.search import RatioCoefficients
from unseen.search.profile_ratio import coefficients_for
from unseen.search.profile_trust import Trust
from unseen.systematics import DensityRatio

__all__ = ["auxiliary_values", "ratios_of"]

LINEAR, QUADRATIC = "linear", "quadratic"


def ratios_of(path: Path, samples: Mapping[str, FloatArray]) -> dict[str, RatioCoefficients]:
    """Return the coefficients of log r(x; nu) of every sample (n, d) by name, e.g. reference, data and pool.

    A file has arrays `NAME_linear` (n, k) and perhaps `NAME_quadratic` (n, k, k) for each of them, and perhaps `names`
    (k,) and `limits` (k, 2) of the nuisance parameters; a folder is a ratio that is evaluated on the samples.
    Errors: MissingFileError, CorruptFileError (an array is missing), ShapeError (lengths), ConfigError, NonFiniteError,
    and those of `DensityRatio.load`.
    """
    if path.is_dir():
        ratio = DensityRatio.load(path)
        return {name: coefficients_for(f"the {name}", ratio, x) for name, x in samples.items()}
    arrays = read_arrays(path)
    _check_arrays(path, arrays, samples)
    return {name: _coefficients(path, arrays, name, len(x)) for name, x in samples.items()}


def auxiliary_values(ratio: RatioCoefficients, auxiliary: Mapping[str, float] | None) -> FloatArray | None:
    """Auxiliary measurements (k,) from those named, zero for the others.

    Errors: ConfigError (no such parameter), NuisanceRangeError (where the ratio was not fitted: a wrong unit?).
    """
    if auxiliary is None:
        return None
    for name in auxiliary:
        if name not in ratio.names:
            raise ConfigError(f"auxiliary: no nuisance parameter '{name}'{did_you_mean(name, ratio.names)}")
    values = [auxiliary.get(name, 0.0) for name in ratio.names]
    ratio.trust.check_auxiliary(ratio.names, values)
    return np.array(values)


def _check_arrays(path: Path, arrays: Mapping[str, FloatArray], samples: Mapping[str, FloatArray]) -> None:
    known = ["names", "limits", *(f"{name}_{kind}" for name in samples for kind in (LINEAR, QUADRATIC))]
    for name in samples:
        if f"{name}_{LINEAR}" not in arrays:
            raise CorruptFileError(
                f"{path} has no array '{name}_{LINEAR}' with the coefficients of the {name}; it has {sorted(arrays)}"
            )
    for name in arrays:
        if name not in known:
            pool = name.startswith("pool_") and "pool" not in samples
            hint = ": give the pool too, or drop it" if pool else did_you_mean(name, known)
            raise ConfigError(f"{path} has an array '{name}' that no sample of this search needs{hint}")


def _coefficients(path: Path, arrays: Mapping[str, FloatArray], name: str, n: int) -> RatioCoefficients:
    for kind in (LINEAR, QUADRATIC):
        values = arrays.get(f"{name}_{kind}")
        if values is not None and (values.ndim == 0 or len(values) != n):
            raise ShapeError(
                f"{path}: {name}_{kind} has shape {values.shape}, the {name} has {n} events; expected one row for each"
            )
    names = tuple(str(each) for each in np.atleast_1d(arrays["names"])) if "names" in arrays else ()
    trust = Trust.checked(arrays.get("limits"))
    return RatioCoefficients(
        arrays[f"{name}_{LINEAR}"], arrays.get(f"{name}_{QUADRATIC}"), names, f"{path}: {name}", trust
    )
