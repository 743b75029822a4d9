"""The section `search` of a configuration: the hypothesis test and its toys."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from unseen.errors import ConfigError, UnknownNameError
from unseen.search.normalisation import Normalisation
from unseen.search.null import MIN_TOYS
from unseen.search.scale import Widths, parse_widths, percentiles

__all__ = ["SearchConfig"]


def _several(widths: Widths) -> bool:
    values = parse_widths(widths)
    return len(percentiles(values) if isinstance(values, str) else values) > 1


class SearchConfig(BaseModel):
    """The hypothesis test (`unseen.KernelTest`)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    widths: str | float | tuple[float, ...] = Field(
        default="auto",
        description="Kernel widths in units of the standardised embedding; auto: six, from percentiles of the pairwise "
        "distances; percentile(90): one of them, or several with commas.",
    )
    n_centers: int = Field(default=1000, gt=0, description="Nystrom centres, M.")
    penalty: float = Field(default=1e-6, gt=0, description="lambda of the penalised loss.")
    statistic: Literal["converged", "one_step", "linear"] = Field(
        default="converged", description="converged fit, the published single Newton step, or the quadratic form."
    )
    normalisation: str = Field(
        default="constrained(0.05)",
        description="How well the expected yield is known: known, constrained(FRACTION) or free (shape only). Results "
        "are quoted with free beside it.",
    )
    calibration: Literal["auto", "toys", "linear", "asymptotic", "permutation"] = Field(
        default="auto", description="auto: refitted toys; for statistic linear the analytic null if its check passes."
    )
    combination: Literal["smallest_p", "mean_p", "fisher", "cauchy", "harmonic_mean"] = Field(
        default="smallest_p", description="How the p-values of the widths become one statistic."
    )
    embeddings: tuple[int, ...] | None = Field(
        default=None,
        description="Numbers of columns of several embeddings side by side, each with its own widths, all in one "
        "p-value; null: one. A run knows those of its folds and ensembles.",
    )
    rank_tolerance: float = Field(
        default=0.01,
        ge=0.0,
        lt=1.0,
        description="Kernel directions are dropped while they move t by less than this fraction of the null's spread; "
        "0 keeps all.",
    )
    memory_budget: float = Field(default=2.0, gt=0, description="GiB of kernel features held; beyond it recomputed.")
    precision: Literal["mixed", "float64"] = Field(default="mixed", description="How kernel features are stored.")
    device: Literal["cpu", "cuda", "auto"] = Field(default="cpu", description="Where fits are computed.")
    n_toys: int = Field(default=1000, ge=MIN_TOYS, description="Refitted toys; p resolves 1 / (n_toys + 1).")
    n_toys_beside: int = Field(default=200, ge=MIN_TOYS, description="Toys for the other normalisation, quoted beside.")
    toy_reference: Literal["redrawn", "fixed"] = Field(
        default="redrawn",
        description="Whether toys redraw the reference with the data or condition on the one at hand.",
    )

    @field_validator("widths")
    @classmethod
    def _positive(cls, widths: str | float | tuple[float, ...]) -> str | float | tuple[float, ...]:
        try:
            parse_widths(widths)
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return widths

    @field_validator("normalisation")
    @classmethod
    def _readable(cls, normalisation: str) -> str:
        try:
            Normalisation.parse(normalisation)
        except (ConfigError, UnknownNameError) as error:
            raise ValueError(str(error)) from error
        return normalisation

    @field_validator("embeddings")
    @classmethod
    def _columns(cls, embeddings: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if embeddings is not None and (not embeddings or min(embeddings) < 1):
            raise ValueError("name the number of columns of every embedding, each at least 1, e.g. [4, 6]")
        return embeddings

    @model_validator(mode="after")
    def _possible(self) -> SearchConfig:
        linear = ("linear",) if self.statistic == "converged" else ("linear", "asymptotic")
        if self.calibration in linear and self.statistic != "linear":
            raise ValueError(f"calibration '{self.calibration}' needs statistic 'linear', not '{self.statistic}'")
        return self

    def check_profiled(self, profiled: bool) -> None:
        """ConfigError if the test cannot be calibrated so with (`profiled`) or without nuisance parameters."""
        if self.calibration != "asymptotic":
            return
        if not profiled and self.statistic != "linear":
            raise ConfigError(
                f"calibration 'asymptotic' needs statistic 'linear', not '{self.statistic}', unless nuisance "
                "parameters are profiled (--ratio)"
            )
        if profiled and _several(self.widths):
            raise ConfigError(
                f"calibration 'asymptotic' of a profiled test is for one width, and widths is '{self.widths}'; give "
                "one, e.g. widths: percentile(90), or calibration: toys"
            )
