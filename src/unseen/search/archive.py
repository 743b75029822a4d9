"""Saving a test as one .npz of plain arrays and one JSON text: reading it runs no code."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unseen.errors import CorruptFileError, MissingFileError
from unseen.search.analytic import AnalyticNull
from unseen.search.compute import Compute
from unseen.search.features import FeatureMap
from unseen.search.fitted import Fitted
from unseen.search.normalisation import Normalisation
from unseen.search.null import Null
from unseen.search.profile_nuisances import Nuisances
from unseen.search.profile_report import Profile
from unseen.search.profile_trust import Trust
from unseen.search.result import Statistic
from unseen.search.scale import Scale
from unseen.search.settings import Settings
from unseen.search.validate import Keys

__all__ = [
    "Arrays",
    "pack_test",
    "read",
    "unpack_fitted",
    "unpack_last",
    "unpack_null",
    "write",
]

VERSION = 3
Arrays = dict[str, NDArray[Any]]


def write(path: Path, arrays: Arrays, header: dict[str, Any]) -> None:
    """Write atomically: a half-written archive is never left under `path`."""
    text = np.frombuffer(json.dumps({"version": VERSION, **header}).encode(), dtype=np.uint8)
    content: dict[str, Any] = {"header": text, **arrays}
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            np.savez(file, **content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read(path: Path) -> tuple[Arrays, dict[str, Any]]:
    """Return the arrays and header that `write` wrote; raise MissingFileError or CorruptFileError."""
    if not path.is_file():
        raise MissingFileError(f"no saved test at {path}")
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        header = json.loads(arrays.pop("header").tobytes().decode())
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise CorruptFileError(f"{path} is not a saved test: {error}") from error
    version = header.get("version") if isinstance(header, dict) else None
    if version != VERSION:
        raise CorruptFileError(f"{path} has format version {version}; this version reads {VERSION}")
    return arrays, header


def pack_fitted(fitted: Fitted) -> tuple[Arrays, dict[str, Any]]:
    """Return the arrays and header of the reference side of a test."""
    settings = fitted.settings
    arrays: Arrays = {name: getattr(fitted, name) for name in ("z", "weights", "keys", "settings_keys")}
    arrays |= {"mean": settings.scale.mean, "std": settings.scale.std, "centers": settings.centers}
    arrays |= {"curvature": settings.curvature, "curvature_weights": settings.curvature_weights}
    if fitted.beside is not None:
        arrays["beside"] = fitted.beside
    for k, m in enumerate(settings.maps):
        arrays |= {f"map_centers_{k}": m.centers.numpy(), f"projection_{k}": m.projection.numpy()}
    return arrays, {
        "widths": settings.widths,
        "columns": [m.columns for m in settings.maps],
        "n_settings": settings.n_settings,
        "constant": settings.scale.constant,
        "expected": fitted.expected,
        "assumed": fitted.assumed,
        "from_reference": fitted.from_reference,
        "nuisances": _pack_nuisances(fitted.nuisances),
        "growth": [] if fitted.nuisances is None else [_growth(fitted, k) for k in range(len(settings.maps))],
    }


def _growth(fitted: Fitted, k: int) -> list[float]:
    growth = fitted.growth(k)
    return [] if growth is None else growth.tolist()


def _pack_nuisances(nuisances: Nuisances | None) -> list[Any] | None:
    return None if nuisances is None else [list(nuisances.given), nuisances.quadratic, nuisances.trust.to_json()]


def unpack_fitted(
    arrays: Arrays, header: dict[str, Any], normalisation: Normalisation, penalty: float, compute: Compute
) -> Fitted:
    """Return the reference side that `pack_fitted` packed."""
    centers = arrays["centers"]
    maps = tuple(
        FeatureMap(
            torch.from_numpy(arrays[f"map_centers_{k}"]),
            float(sigma),
            torch.from_numpy(arrays[f"projection_{k}"]),
            tuple(columns),
        )
        for k, (sigma, columns) in enumerate(zip(header["widths"], header["columns"], strict=True))
    )
    scale = Scale(arrays["mean"], arrays["std"], header["constant"])
    parts: dict[str, Any] = {name: arrays[name] for name in ("z", "weights", "keys", "settings_keys")}
    profiled = header.get("nuisances")
    if profiled is not None:  # their yield replaces the normalisation
        given, quadratic, *trust = profiled
        nuisances = Nuisances(tuple(given), quadratic, normalisation, *(Trust.checked(**each) for each in trust))
        parts |= {"nuisances": nuisances, "beside": arrays["beside"]}
        normalisation = Normalisation(0.0)
        # A null of before t was corrected for its growth is one of what was not.
        growth = header.get("growth") or [[0.0] * nuisances.size] * len(maps)
        parts["_growths"] = {k: torch.tensor(values, dtype=torch.float64) for k, values in enumerate(growth)}
    return Fitted(
        settings=Settings(scale, centers, maps, header["n_settings"], arrays["curvature"], arrays["curvature_weights"]),
        expected=header["expected"],
        assumed=header.get("assumed", False),
        from_reference=header["from_reference"],
        normalisation=normalisation,
        penalty=penalty,
        compute=compute,
        **parts,
    )


def pack_null(null: Null | None) -> tuple[Arrays, dict[str, Any] | None]:
    """Return the arrays and header of a null, if there is one."""
    if null is None:
        return {}, None
    names = ("mode", "combination", "calibration", "reference", "n_pool", "n_data", "reason", "checks")
    arrays: Arrays = {"null_t": null.t}
    header: dict[str, Any] = {name: getattr(null, name) for name in names}
    groups = {"analytic": null.analytic} | {f"half_{i}": half for i, half in enumerate(null.halves)}
    for name, nulls in groups.items():
        for k, analytic in enumerate(nulls):
            arrays |= {f"{name}_weights_{k}": analytic.weights, f"{name}_shifts_{k}": analytic.shifts}
        header[name] = [(analytic.offset, analytic.variance_excess) for analytic in nulls]
    return arrays, header


def unpack_null(arrays: Arrays, header: dict[str, Any] | None) -> Null | None:
    """Return the null that `pack_null` packed."""
    if header is None:
        return None
    header = dict(header)
    groups = {name: header.pop(name, None) for name in ("analytic", "half_0", "half_1")}
    nulls = {
        name: tuple(
            AnalyticNull(arrays[f"{name}_weights_{k}"], arrays[f"{name}_shifts_{k}"], *numbers)
            for k, numbers in enumerate(group)
        )
        for name, group in groups.items()
        if group is not None
    }
    halves = tuple(nulls[name] for name in ("half_0", "half_1") if name in nulls)
    return Null(arrays["null_t"], analytic=nulls["analytic"], halves=halves, **header)


def pack_test(
    fitted: Fitted,
    null: Null | None,
    pool_keys: Keys | None,
    last: tuple[Statistic, int] | None,
    options: dict[str, Any],
) -> tuple[Arrays, dict[str, Any]]:
    """Return the arrays and header of a test; `last` are the last search's fit and its best width."""
    arrays, header = pack_fitted(fitted)
    null_arrays, null_header = pack_null(null)
    last_arrays, last_header = pack_last(None if last is None else last[0])
    arrays |= null_arrays | last_arrays | ({} if pool_keys is None else {"pool_keys": pool_keys})
    best = None if last is None else last[1]
    return arrays, header | {"options": options, "null": null_header, "last": last_header, "best": best}


def pack_last(last: Statistic | None) -> tuple[Arrays, dict[str, Any] | None]:
    """Return the arrays and header of the last search's fit, if there was one."""
    if last is None:
        return {}, None
    arrays: Arrays = {"last_t": last.t, "last_f": last.f, "last_linear": last.linear, "last_z": last.z}
    arrays |= {f"last_b_{k}": b for k, b in enumerate(last.coefficients)}
    header: dict[str, Any] = {"n_data": last.n_data, "mode": last.mode, "converged": last.converged}
    if last.profile is not None and last.beside is not None:
        arrays["last_beside"] = last.beside
        header["profile"] = last.profile.to_json()
    return arrays, header


def unpack_last(arrays: Arrays, header: dict[str, Any] | None, widths: tuple[float, ...]) -> Statistic | None:
    """Return the fit that `pack_last` packed."""
    if header is None:
        return None
    b = tuple(arrays[f"last_b_{k}"] for k in range(len(widths)))
    own: dict[str, Any] = {name: arrays[f"last_{name}"] for name in ("t", "f", "linear", "z")}
    if "profile" in header:
        header = header | {"profile": Profile.from_json(header["profile"])}
        own["beside"] = arrays["last_beside"]
    return Statistic(**own, widths=widths, coefficients=b, **header)
