"""`weights`, `initial-shower`, `final-shower`: what generators give as weights for nu = -1 and 1."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator
from torch import Tensor

from unseen.errors import NuisanceError
from unseen.systematics.base import Kind, NuisanceConfig
from unseen.systematics.batch import Batch
from unseen.systematics.interpolation import interpolate

__all__ = ["FinalShowerConfig", "InitialShowerConfig", "WeightsConfig", "both_sides"]


def both_sides(parameter: str, up: str, down: str | None, symmetric: bool) -> None:
    """NuisanceError unless exactly one of a column `down` and `symmetric` says what is at nu = -1."""
    if down is None and not symmetric:
        raise NuisanceError(
            f"nuisance '{parameter}': up '{up}' without down; name the column of down, or set `symmetric: true` for "
            "down = nominal^2 / up"
        )
    if down is not None and symmetric:
        raise NuisanceError(
            f"nuisance '{parameter}' has down '{down}' and is symmetric, which is down = nominal^2 / up: set "
            "`down: null`, or leave out `symmetric`"
        )


class WeightsConfig(NuisanceConfig):
    """Weights at nu = 1 and -1, over the nominal weight, from columns of the record.

    The logarithms are interpolated (`unseen.systematics.interpolate`), so every factor is positive, and exact at -1,
    0, 1: the exponential interpolation of HistFactory with a log-parabola inside.
    """

    kind: ClassVar[Kind] = "weight"
    about: ClassVar[str] = "weights of the generator"

    name: Literal["weights", "initial-shower", "final-shower"] = "weights"
    up: str = Field(description="Record column (n,) of the weight ratio at nu = 1.")
    down: str | None = Field(default=None, description="Record column of the weight ratio at nu = -1.")
    symmetric: bool = Field(default=False, description="Without down: take 1 / up.")

    @model_validator(mode="after")
    def _complete(self) -> WeightsConfig:
        both_sides(self.parameter, self.up, self.down, self.symmetric)
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Up and down."""
        return (self.up,) if self.down is None else (self.up, self.down)

    def distort(self, batch: Batch, nu: Tensor) -> Batch:
        """Weight every event. Ratios have to be positive: `NuisanceSet.distort` checks them."""
        up = batch.column(self.up, self.parameter).to(nu.dtype).log()
        down = -up if self.down is None else batch.column(self.down, self.parameter).to(nu.dtype).log()
        return batch.reweight(interpolate(nu, down, up))


class InitialShowerConfig(WeightsConfig):
    """Scale of the initial-state shower, halved and doubled, as Pythia's uncertainty bands give it."""

    about: ClassVar[str] = "renormalisation scale of the initial-state shower"

    name: Literal["initial-shower"] = "initial-shower"
    up: str = Field(default="isr_up", description="Record column (n,) of the weight ratio at nu = 1.")
    down: str | None = Field(default="isr_down", description="Record column of the weight ratio at nu = -1.")


class FinalShowerConfig(WeightsConfig):
    """Scale of the final-state shower, halved and doubled, as Pythia's uncertainty bands give it."""

    about: ClassVar[str] = "renormalisation scale of the final-state shower"

    name: Literal["final-shower"] = "final-shower"
    up: str = Field(default="fsr_up", description="Record column (n,) of the weight ratio at nu = 1.")
    down: str | None = Field(default="fsr_down", description="Record column of the weight ratio at nu = -1.")
