"""The typed section `systematics` of a study: which nuisance parameters, and what is measured of every embedding."""

from __future__ import annotations

import numpy as np
from pydantic import ConfigDict, Field, field_validator, model_validator

from unseen.errors import UnseenError
from unseen.search.null import MIN_TOYS
from unseen.search.validate import Floats, check_name
from unseen.study.covariance.moved import nu_grid
from unseen.study.covariance.signal_points import SIGNAL_POINTS
from unseen.study.covariance.treatments import TREATMENTS
from unseen.systematics import NuisanceSet, SystematicsConfig

__all__ = ["CovarianceConfig"]

LARGEST = 5.0  # prior widths beyond which `NuisanceSet.distort` refuses


class CovarianceConfig(SystematicsConfig):
    """The nuisance parameters of a study, the events set apart for them, and how covariance is measured."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    share: float = Field(
        default=0.5, gt=0.0, lt=1.0, description="Share of the background's generated events set apart, not selected."
    )
    learn: float = Field(default=0.5, gt=0.0, lt=1.0, description="Part of these that the ratio is learned from.")
    proposal: float = Field(default=1.5, gt=0.0, description="Width in nu of what the ratio is learned at.")
    limit: float = Field(default=3.0, gt=0.0, le=LARGEST, description="Largest |nu| there.")
    copies: int = Field(default=2, gt=0, description="Values of nu at which every event is learned from.")
    n_centers: int = Field(default=400, gt=0, description="Kernels of the ratio.")
    rank: int = Field(default=100, gt=0, description="Their principal components that are kept.")

    values: tuple[float, ...] = Field(default=(-2.0, -1.0, 1.0, 2.0), description="Of each nu alone, for closure.")
    combinations: int = Field(default=4, ge=0, description="Points with all nu at once, drawn from the priors.")
    auc: bool = Field(default=True, description="A classifier's AUC beside closure.")
    pull_points: int = Field(default=3, ge=0, description="Points of pulls: nu = 0 and combinations.")
    pull_events: float = Field(
        default=1000.0,
        ge=10.0,
        description="Events of a sample, on average; fewer where the pool is worth less than 100 samples.",
    )
    pull_samples: int = Field(default=1000, ge=10, description="Samples at each point.")
    information: bool = Field(default=True, description="Fisher information in z over that in the raw inputs.")
    overlap: bool = Field(default=True, description="Which nuisance parameter each signal looks like.")

    treatments: tuple[str, ...] = Field(default=tuple(TREATMENTS), description="Ways to treat nu; none: no robustness.")
    robust_values: tuple[float, ...] = Field(default=(-2.0, 0.0, 2.0), description="Of each nu alone, in the data.")
    n_signal: dict[str, float] | None = Field(
        default=None, description="Signal events expected in the data; null: three standard deviations of N each."
    )
    signal_points: str = Field(
        default="all",
        description="Where signals are injected: all, axes (nu = 0 and one parameter alone), few (nu = 0 and "
        "combinations), none.",
    )
    signal_toys: int = Field(default=100, ge=MIN_TOYS, description="Data sets at each point with each signal.")
    statistic: str = Field(default="converged", description="Of the treatments that profile nothing.")
    toys: int = Field(default=200, ge=MIN_TOYS, description="Data sets at each point without a signal.")
    null_toys: int = Field(default=500, ge=MIN_TOYS, description="Null toys of each treatment.")
    power_kept: bool = Field(
        default=False, description="Also N_3 with nu profiled and with nu known, both converged: minutes to hours."
    )
    before: dict[str, str] = Field(
        default={}, description="Entry -> the entry that its N_3 is divided by, e.g. the embedding before fine-tuning."
    )

    @field_validator("treatments")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            check_name("treatment", name, TREATMENTS)
        return names

    @field_validator("signal_points")
    @classmethod
    def _points(cls, name: str) -> str:
        return check_name("set of signal points", name, SIGNAL_POINTS)

    @field_validator("statistic")
    @classmethod
    def _statistic(cls, name: str) -> str:
        return check_name("statistic", name, ("converged", "linear", "one_step"))

    @model_validator(mode="after")
    def _usable(self) -> CovarianceConfig:
        if not self.nuisances:
            raise ValueError("nuisances is empty; name at least one, e.g. nuisances: [jet-scale]")
        try:
            NuisanceSet(self.nuisances).in_widths()
        except UnseenError as error:
            raise ValueError(f"nuisances: {error}") from error
        if not self.values or 0.0 in self.values or max(abs(v) for v in self.values) > self.limit:
            raise ValueError(f"values {self.values} must be different from 0 and within limit {self.limit:g}")
        if max((abs(v) for v in self.robust_values), default=0.0) > LARGEST:
            raise ValueError(f"robust_values {self.robust_values} must be within {LARGEST:g} prior widths")
        if self.treatments:
            self._check_robustness()
        return self

    @property
    def in_widths(self) -> NuisanceSet:
        """The nuisance parameters, nu in widths of their priors: so are all values above, pulls and thrown nu."""
        return NuisanceSet(self.nuisances).in_widths()

    def _check_robustness(self) -> None:
        grid, with_signal = self.robustness_grid(len(self.nuisances), 0)
        if not grid:
            raise ValueError("robustness has no point: give robust_values or combinations, or treatments: []")
        if not with_signal and self.signal_points != "none":
            raise ValueError(
                f"signal_points: {self.signal_points} is none of the {len(grid)} points of robustness, and no power "
                "would be measured: add 0 to robust_values, or take signal_points: all (none: rates without a signal)"
            )

    def robustness_grid(self, k: int, seed: int) -> tuple[list[Floats], list[int]]:
        """Return the points nu (k,) of robustness, and the indices of those that get signals."""
        grid = [np.zeros(k)] if 0.0 in self.robust_values else []
        grid += [value * np.eye(k)[i] for i in range(k) for value in self.robust_values if value != 0.0]
        grid += nu_grid(k, self.values, self.combinations, seed)[k * len(self.values) :]
        injects = SIGNAL_POINTS[self.signal_points]
        return grid, [i for i, nu in enumerate(grid) if injects(nu)]
