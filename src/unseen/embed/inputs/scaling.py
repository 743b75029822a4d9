"""The numbers that bring what an encoder is fed to zero mean and unit spread, learned from the training sample."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from unseen.errors import CorruptFileError

__all__ = ["UNSCALED_PAIRS", "PairScale", "Scaling"]

Row = tuple[float, ...]
PairScale = tuple[tuple[float, float], tuple[float, float]]
UNSCALED_PAIRS: PairScale = ((0.0, 0.0), (1.0, 1.0))


class Scaling(BaseModel):
    """Means and standard deviations of object features, event features and pair features (log m, delta R).

    mean, deviation               (collections, f)
    event_mean, event_deviation   (k,)
    pair_scale                    mean and deviation of (log m, delta R); (0, 1) where no encoder uses them
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    mean: tuple[Row, ...]
    deviation: tuple[Row, ...]
    event_mean: Row = ()
    event_deviation: Row = ()
    pair_scale: PairScale = UNSCALED_PAIRS

    @model_validator(mode="after")
    def _consistent(self) -> Scaling:
        widths = {len(row) for row in (*self.mean, *self.deviation)}
        if len(widths) != 1 or len(self.mean) != len(self.deviation):
            raise ValueError("mean and deviation are not tables of one shape (collections, features)")
        if len(self.event_mean) != len(self.event_deviation):
            raise ValueError(f"{len(self.event_mean)} event means for {len(self.event_deviation)} deviations")
        deviations = (*(value for row in self.deviation for value in row), *self.event_deviation, *self.pair_scale[1])
        if any(value <= 0 for value in deviations):
            raise ValueError("a deviation is not positive")
        return self

    @classmethod
    def parse(cls, content: Any, origin: str = "scaling") -> Scaling:
        """Build from a mapping as `model_dump` gives it; CorruptFileError that names the origin if it is not valid."""
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "scaling"
            raise CorruptFileError(f"{origin}: {where}: {first['msg']}") from error
