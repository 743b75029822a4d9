"""The learned log density ratio f as an object of its own: small, without the reference, fast on new events."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from unseen.errors import CorruptFileError, MissingFileError
from unseen.search.features import gaussian_kernel
from unseen.search.scale import Scale
from unseen.search.validate import Floats, as_events

__all__ = ["Scorer"]

EVENTS_PER_BLOCK = 16_384


@dataclass(frozen=True)
class Scorer:
    """f(x) = intercept + sum_m a_m k(x, c_m), float64.

    `scale` standardises events (n, d), `columns` are those that the kernel sees, `centers` (M, columns) are in
    standardised units, `coefficients` a (M,).
    """

    scale: Scale = field(repr=False)
    columns: tuple[int, int]
    centers: Floats = field(repr=False)
    sigma: float
    coefficients: Floats = field(repr=False)
    intercept: float

    def __call__(self, x: ArrayLike) -> Floats:
        """Return f (n,) of events (n, d). Errors: ShapeError, NonFiniteError."""
        z = self.scale(as_events("x", x, len(self.scale.mean)))[:, self.columns[0] : self.columns[1]]
        centers, a = torch.from_numpy(self.centers), torch.from_numpy(self.coefficients)
        f = np.empty(len(z))
        for start in range(0, len(z), EVENTS_PER_BLOCK):
            rows = slice(start, start + EVENTS_PER_BLOCK)
            events = torch.from_numpy(np.ascontiguousarray(z[rows]))
            f[rows] = (gaussian_kernel(events, centers, self.sigma) @ a + self.intercept).numpy()
        return f

    def save(self, path: str | Path) -> None:
        """Write one .npz of plain arrays; a half-written file is never left under `path`."""
        path = Path(path)
        part = path.with_name(path.name + ".part")
        arrays: dict[str, Any] = {
            "mean": self.scale.mean,
            "std": self.scale.std,
            "columns": np.array(self.columns),
            "centers": self.centers,
            "coefficients": self.coefficients,
            "numbers": np.array([self.sigma, self.intercept]),
        }
        try:
            with part.open("wb") as file:
                np.savez(file, **arrays)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | Path) -> Scorer:
        """Return the scorer that `save` wrote; reading it runs no code. Errors: MissingFileError, CorruptFileError."""
        path = Path(path)
        if not path.is_file():
            raise MissingFileError(f"no scorer at {path}")
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                a = {name: file[name] for name in file.files}
            first, last = (int(v) for v in a["columns"])
            sigma, intercept = (float(v) for v in a["numbers"])
            return cls(Scale(a["mean"], a["std"]), (first, last), a["centers"], sigma, a["coefficients"], intercept)
        except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise CorruptFileError(f"{path} is not a scorer: {error}") from error
