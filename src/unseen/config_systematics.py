"""The section `systematics` of a run: the table of nuisances, how their ratio is learned, and when it is trusted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializeAsAny,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from unseen.embed.fine_tuning.settings import FineTuneConfig
from unseen.embed.settings import TrainingConfig
from unseen.errors import UnseenError
from unseen.registry import resolve
from unseen.search.profile_nuisances import YIELD
from unseen.systematics import NUISANCES, NuisanceConfig, NuisanceSet
from unseen.systematics.normalisation import NormalisationConfig
from unseen.systematics.ratio.closure import FEWEST_SELECTED
from unseen.systematics.ratio.monomials import n_monomials

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

    @model_validator(mode="after")
    def _testable(self) -> RatioConfig:
        held, needed = self.events * self.held_out, 2 * FEWEST_SELECTED  # fewer may be selected at some nu
        if self.pool == "own" and held < needed:
            raise ValueError(
                f"events {self.events} with held_out {self.held_out:g} leaves {held:.0f} for the closure test, which "
                f"needs {needed}: raise events (ten times the data or more), or held_out"
            )
        return self


class ClosureConfig(_Section):
    """When the ratio is trusted: events at nu against nominal ones weighted by r(z; nu), on held-out events."""

    limit: float = Field(default=0.3, gt=0.0, description="Largest shift, in standard deviations of the null.")
    accept_failed: bool = Field(default=False, description="Search with a ratio whose closure test failed.")


def _row(value: Any) -> Any:
    try:
        return resolve(value, NUISANCES, "nuisance")
    except UnseenError as error:  # which pydantic would let through without the key's path
        raise ValueError(str(error)) from error


def _with_place(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    try:
        return handler(value)
    except UnseenError as error:
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
    fine_tune: Annotated[FineTuneConfig | None, WrapValidator(_with_place)] = Field(
        default=None,
        description="Fine-tune the embedding for the nuisances before it is used; null: use it as trained.",
    )
    yield_twice: bool = Field(
        default=False,
        description="Let an overall normalisation in the table stand beside search.normalisation constrained or free.",
    )

    @model_validator(mode="after")
    def _names(self) -> RunSystematics:
        if not self.nuisances:
            raise ValueError("nuisances: the table is empty; name one, or leave the section out")
        try:
            NuisanceSet(self.nuisances).in_widths()
        except UnseenError as error:
            raise ValueError(str(error)) from error
        if YIELD in self.nuisance_set.names:
            raise ValueError(
                f"nuisances: '{YIELD}' is what search.normalisation calls its own parameter, in the search or the one "
                "beside it: give this one another label"
            )
        return self

    @model_validator(mode="after")
    def _learnable(self) -> RunSystematics:
        k, n = len(self.moving), self.ratio.n_nu
        if k and n is not None and n < n_monomials(k):
            raise ValueError(
                f"ratio.n_nu: {n} values of nu cannot tell apart the {n_monomials(k)} terms of log r with {k} nuisance "
                f"parameters: give {n_monomials(k)} or more, better several for every term, or leave it out"
            )
        return self

    @model_validator(mode="after")
    def _tunable(self) -> RunSystematics:
        if self.fine_tune is None:
            return self
        if not self.moving:
            raise ValueError("fine_tune: an overall normalisation moves no event, and the table has nothing else")
        if self.ratio.pool == "train":
            raise ValueError(
                "fine_tune learns from the training events, so with ratio.pool 'train' the ratio would be learned and "
                "judged on events that the embedding was fitted to: set ratio.pool to 'own'"
            )
        return self

    def check_training(self, training: TrainingConfig) -> None:
        """ValueError if what these settings train cannot be fine-tuned."""
        if self.fine_tune is not None and training.several:
            one = training.alone()
            keys = [f"train.{key}" for key in ("folds", "ensemble") if getattr(training, key) != getattr(one, key)]
            raise ValueError(
                f"systematics.fine_tune fine-tunes one model, and {' and '.join(keys)} train several: leave "
                f"{'them' if len(keys) > 1 else 'it'} out, or set systematics.fine_tune to null"
            )

    def check_auxiliary(self, auxiliary: Mapping[str, float]) -> None:
        """ValueError if a named auxiliary measurement is where the ratio will not have been learned."""
        for row in self.nuisances:
            reach, value = self.ratio.width * row.prior.width, auxiliary.get(row.parameter, 0.0)
            if abs(value) > reach:
                raise ValueError(
                    f"data.auxiliary: '{row.parameter}' is {value:g}, and what it does is learned from {-reach:g} to "
                    f"{reach:g}, {self.ratio.width:g} widths of its prior: raise systematics.ratio.width (up to 5), or "
                    "look at the unit of nu"
                )

    @property
    def moving(self) -> tuple[NuisanceConfig, ...]:
        """The nuisances whose effect has to be learned: all but an overall normalisation, which is known."""
        return tuple(row for row in self.nuisances if not is_overall(row))

    @property
    def nuisance_set(self) -> NuisanceSet:
        """The table as an object that distorts events, nu in its own units, those of `data.nu`."""
        return NuisanceSet(self.nuisances)

    @property
    def in_widths(self) -> NuisanceSet:
        """The same with nu in widths of the priors, as fine-tuning, density ratio and search have it."""
        return self.nuisance_set.in_widths()

    @property
    def learned(self) -> NuisanceSet:
        """Those of `moving`, nu in widths of the priors."""
        return NuisanceSet(self.moving).in_widths()

    @property
    def widths(self) -> dict[str, float]:
        """The widths of the priors, in the units of `data.nu` and `data.auxiliary`."""
        return {row.parameter: row.prior.width for row in self.nuisances}

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
