"""The typed settings of stage B."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, field_validator, model_validator

from unseen.embed.fine_tuning.heads import HEADS, HeadConfig, PolynomialConfig
from unseen.embed.fine_tuning.terms import METHODS
from unseen.embed.settings import TrainingConfig
from unseen.errors import NuisanceRangeError
from unseen.registry import lookup, parse_settings, resolve
from unseen.systematics.nuisance_set import LIMIT

__all__ = ["FineTuneConfig", "RefitConfig"]


class RefitConfig(BaseModel):
    """The last fit of the ratio, on the embedding as it then is."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    events: int = Field(default=100_000, gt=1, description="Most events to fit with.")
    copies: int = Field(default=16, gt=0, description="Values of nu for every event.")
    epochs: int = Field(default=6, gt=0, description="Passes over them.")
    patience: int | None = Field(
        default=None, gt=0, description="Stop after so many passes without a better held-out loss; null: never."
    )
    batch_size: int = Field(
        default=2048, gt=0, description="Pairs of rows per step, about: an event and all its copies are in one step."
    )
    lr: float = Field(default=6e-3, gt=0.0, description="Highest learning rate.")
    weight_decay: float = Field(default=0.1, ge=0.0, description="Weight decay of AdamW.")


class FineTuneConfig(BaseModel):
    """How to fine-tune an embedding so that it covaries with nuisance parameters (or is blind to them).

    What is not here (contrastive objective, labels, views, balance, optimiser, precision) is that of the model.

    >>> FineTuneConfig.parse({"method": "covariant", "head": "free", "alpha": 3}).alpha
    3.0
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    method: str = Field(
        default="covariant",
        description="covariant: log r(z; nu) is learned. invariant: z at nu is pulled to the nominal z. equivariant: "
        "nu is predicted from both. rs3l: events at nu, and re-simulated partners, are contrastive positives.",
    )
    head: SerializeAsAny[HeadConfig] = Field(
        default=PolynomialConfig(), description="What log r looks like: a name, or a mapping with `name` and settings."
    )
    alpha: float | None = Field(
        default=None,
        ge=0.0,
        description="Weight of the systematic term; null: 100 covariant, 30 invariant, 10 equivariant, 1 rs3l.",
    )
    beta: float = Field(default=0.0, ge=0.0, description="Weight of the distance to the embedding before.")
    width: float = Field(default=3.0, gt=0.0, description="Range of nu in training, in prior widths.")
    axes: float = Field(
        default=0.5, ge=0.0, le=1.0, description="Share of events that are moved by one parameter, the others by all."
    )
    head_epochs: int = Field(default=1, ge=0, description="First epochs in which only the heads learn.")
    epochs: int = Field(default=10, gt=0, description="Passes over the training sample.")
    batch_size: int = Field(default=1024, gt=1, description="Stored events per step.")
    lr: float = Field(default=1e-3, gt=0.0, description="Highest learning rate.")
    weight_decay: float = Field(default=1e-2, ge=0.0, description="Weight decay.")
    warmup: float = Field(default=0.05, ge=0.0, lt=1.0, description="Share of all steps with a linear warm-up.")
    gradient_clip: float | None = Field(default=1.0, gt=0.0, description="Largest norm of the gradient; null: any.")
    validation_fraction: float = Field(
        default=0.1, gt=0.0, lt=1.0, description="Share of the sample held out, for the losses and the closure."
    )
    early_stopping: int | None = Field(
        default=None, gt=0, description="Stop after this many epochs without a lower validation loss; keep the best."
    )
    device: Literal["auto", "cpu", "gpu"] = Field(default="auto", description="Where to train; auto prefers a GPU.")
    require_stored: bool = Field(
        default=True,
        description="Refuse samples of which every event passes the selection: none could migrate into it.",
    )
    refit: RefitConfig = Field(default=RefitConfig(), description="The last fit of the ratio.")

    @field_validator("head", mode="before")
    @classmethod
    def _head(cls, value: Any) -> Any:
        return resolve(value, HEADS, "head")

    @field_validator("method")
    @classmethod
    def _method(cls, value: str) -> str:
        lookup(value, METHODS, "method of fine-tuning")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> FineTuneConfig:
        if self.width > LIMIT:
            raise NuisanceRangeError(
                f"width {self.width:g} proposes nu beyond {LIMIT:g} prior widths, where no distortion is meant for use"
            )
        if self.head_epochs >= self.epochs:
            raise ValueError(f"head_epochs {self.head_epochs} leaves nothing of {self.epochs} epochs for the encoder")
        return self

    @property
    def weight(self) -> float:
        """alpha, or that of the method."""
        return METHODS[self.method].usual_weight if self.alpha is None else self.alpha

    def training(self, stage_a: TrainingConfig) -> TrainingConfig:
        """The settings of the loop: those of stage A, with what stage B sets in their place; one device."""
        names = ("epochs", "batch_size", "lr", "weight_decay", "warmup", "gradient_clip", "early_stopping", "device")
        own = {name: getattr(self, name) for name in (*names, "validation_fraction")}
        return stage_a.alone().model_copy(update={**own, "devices": 1, "nodes": 1})

    @classmethod
    def parse(cls, content: Mapping[str, Any], origin: str = "fine-tuning settings") -> FineTuneConfig:
        """Build from a mapping; ConfigError (or UnknownNameError) names the key, the value and the closest key."""
        return parse_settings(cls, content, origin)
