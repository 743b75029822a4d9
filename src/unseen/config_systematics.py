"""The section `systematics` of a run: the table of nuisances, how their ratio is learned, and when it is trusted."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SerializeAsAny, model_validator

from unseen.errors import UnseenError
from unseen.registry import resolve
from unseen.systematics import NUISANCES, NuisanceConfig, NuisanceSet
from unseen.systematics.normalisation import NormalisationConfig

__all__ = ["ClosureConfig", "RatioConfig", "RunSystematics", "is_overall"]


MOST_RANKED = 5  # parameters whose impact is measured without being asked for


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class RatioConfig(_Section):
    """How log r(z; nu), what the nuisances do to the embedded events, is learned (`unseen.fit_kernel_ratio`)."""

    pool: Literal["own", "train"] = Field(
        default="own", description="Which events: a pool of their own, or those that the embedding was trained on."
    )
    events: int = Field(default=10_000, gt=1, description="Size of the pool of their own, counted after the selection.")
    require_stored: bool = Field(
        default=True,
        description="Refuse samples of which every event passes the selection: none could come in.",
    )
    held_out: float = Field(default=0.3, gt=0.0, lt=1.0, description="Share of the events kept for the closure test.")
    n_nu: int | None = Field(
        default=None, gt=0, description="Values of nu that events are distorted at; null: several for every term."
    )
    width: float = Field(default=3.0, gt=0.0, le=5.0, description="Range of nu, in widths of the priors.")
    n_centers: int = Field(default=400, gt=0, description="Gaussian kernels.")
    rank: int = Field(default=100, gt=0, description="Principal components of them that are kept.")
    widths: tuple[float, ...] = Field(
        default=(0.5, 1.0, 2.0), min_length=1, description="Of the kernels, in median distances of the events."
    )
    penalty: float | Literal["auto"] = Field(
        default="auto", description="On the size of log r; auto: by the cross-entropy of held-out events."
    )


class ClosureConfig(_Section):
    """When the ratio is trusted: events at nu against nominal ones weighted by r(z; nu), on held-out events."""

    limit: float = Field(default=0.3, gt=0.0, description="Largest shift, in standard deviations of the null.")
    accept_failed: bool = Field(default=False, description="Search with a ratio whose closure test failed.")


def _row(value: Any) -> Any:
    try:
        return resolve(value, NUISANCES, "nuisance")
    except UnseenError as error:  # which pydantic would let through without the key's path
        raise ValueError(str(error)) from error


class RunSystematics(_Section):
    """Nuisance parameters that a run profiles in its search."""

    nuisances: tuple[Annotated[SerializeAsAny[NuisanceConfig], BeforeValidator(_row)], ...] = Field(
        description="Names of distortions, or mappings with `name` and settings."
    )
    ratio: RatioConfig = RatioConfig()
    closure: ClosureConfig = ClosureConfig()
    impact: bool | Literal["auto"] = Field(
        default="auto",
        description="Search once more with each parameter frozen, search.n_toys_beside toys each; auto: up to five.",
    )
    fine_tune: None = Field(default=None, description="Fine-tuning of the embedding; not part of a run yet.")
    yield_twice: bool = Field(
        default=False,
        description="Let an overall normalisation in the table stand beside search.normalisation constrained or free.",
    )

    @model_validator(mode="after")
    def _names(self) -> RunSystematics:
        if not self.nuisances:
            raise ValueError("nuisances: the table is empty; name one, or leave the section out")
        try:
            NuisanceSet(self.nuisances)
        except UnseenError as error:
            raise ValueError(str(error)) from error
        return self

    @property
    def nuisance_set(self) -> NuisanceSet:
        """The table as an object that distorts events."""
        return NuisanceSet(self.nuisances)

    @property
    def ranks_impact(self) -> bool:
        """Whether the search is repeated with each parameter frozen."""
        return len(self.nuisances) <= MOST_RANKED if self.impact == "auto" else self.impact

    @property
    def overall_normalisation(self) -> str | None:
        """The name of the parameter that scales the yield of every process, if the table has one."""
        return next((row.parameter for row in self.nuisances if is_overall(row)), None)


def is_overall(row: NuisanceConfig) -> bool:
    """Whether it scales all events alike, whatever their process."""
    return isinstance(row, NormalisationConfig) and not row.processes
