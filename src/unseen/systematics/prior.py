"""What is known about a nuisance parameter before the data: a Gaussian."""

from __future__ import annotations

import math

from pydantic import BaseModel, ConfigDict, model_validator

from unseen.errors import NuisanceError

__all__ = ["Prior"]


class Prior(BaseModel):
    """Gaussian of `mean` and `width` in units of nu; the unit Gaussian unless stated. Errors: NuisanceError."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: float = 0.0
    width: float = 1.0

    @model_validator(mode="after")
    def _proper(self) -> Prior:
        if not (math.isfinite(self.mean) and math.isfinite(self.width) and self.width > 0):
            raise NuisanceError(
                f"a prior needs a finite mean and a width above 0, got mean {self.mean:g} and width {self.width:g}; "
                "leave out a nuisance that is known exactly"
            )
        return self
