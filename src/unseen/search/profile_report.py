"""What a profiled fit says of the nuisance parameters."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Numbers", "Profile"]

Numbers = tuple[float, ...]


@dataclass(frozen=True)
class Profile:
    """What data say of the K nuisance parameters `names`, with auxiliary measurements `auxiliary`.

    `nu_hat` and `nu_error` are those of the reference hypothesis, Delta's fit: prior, data and the reference's finite
    statistics are in the error. `pull` is nu_hat - a over its standard deviation under the null, None for a free yield
    and for a parameter that the data say nothing of. `nu_with_f` (n_widths, K) are those of tau's fit, beside f. `tau`
    and `delta` (n_widths); t is their difference times `factor` (n_widths), which takes out that its mean grows with nu
    (`unseen.search.profile_growth`; empty where a version before this wrote it).
    """

    names: tuple[str, ...]
    auxiliary: Numbers
    nu_hat: Numbers
    nu_error: Numbers
    pull: tuple[float | None, ...]
    tau: Numbers
    delta: Numbers
    nu_with_f: tuple[Numbers, ...]
    factor: Numbers = ()

    def to_json(self) -> dict[str, Any]:
        """Return lists of plain values."""
        plain = {name: list(value) for name, value in asdict(self).items()}
        return plain | {"nu_with_f": [list(nu) for nu in self.nu_with_f]}

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Profile:
        """Return what `to_json` gave."""
        own: dict[str, Any] = {name: tuple(value) for name, value in raw.items()}
        return cls(**own | {"nu_with_f": tuple(tuple(row) for row in raw["nu_with_f"])})
