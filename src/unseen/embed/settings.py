"""The typed settings of a training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializeAsAny,
    ValidationInfo,
    field_validator,
    model_validator,
)

from unseen.embed.data import Balance
from unseen.embed.encoders import ENCODERS, EncoderConfig, MlpConfig
from unseen.embed.expand import Expansion
from unseen.embed.families import Families, combinations
from unseen.embed.inputs import INPUTS, InputsConfig, PlainConfig
from unseen.embed.labels import LABELS, LabelConfig, ProcessConfig
from unseen.embed.objectives import OBJECTIVES, ObjectiveConfig, SupConConfig
from unseen.embed.optimisers import OPTIMISERS, AdamWConfig, OptimiserConfig
from unseen.events import Schema
from unseen.events.normalisation import Normalisation
from unseen.registry import NamedConfig, parse_settings, resolve
from unseen.views import NamedView, refuse_partners

__all__ = ["TrainingConfig"]

# Fields that are a name, or a mapping with `name`: the classes of their settings by name, and what to call one.
CHOICES: dict[str, tuple[Mapping[str, type[NamedConfig]], str]] = {
    "encoder": (ENCODERS, "encoder"),
    "objective": (OBJECTIVES, "objective"),
    "labels": (LABELS, "label encoding"),
    "inputs": (INPUTS, "inputs"),
    "optimiser": (OPTIMISERS, "optimiser"),
}


class TrainingConfig(BaseModel):
    """How to train an embedding. The defaults suit 5,000 to 100,000 events on two CPU cores.

    >>> TrainingConfig.parse({"encoder": {"name": "mlp", "dim": 6}, "objective": "supcon", "epochs": 20}).encoder.dim
    6
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    encoder: SerializeAsAny[EncoderConfig] = Field(
        default=MlpConfig(), description="A name, or a mapping with `name` and the settings of that encoder."
    )
    objective: SerializeAsAny[ObjectiveConfig] = Field(
        default=SupConConfig(), description="A name, or a mapping with `name` and the settings of that objective."
    )
    labels: SerializeAsAny[LabelConfig] = Field(
        default=ProcessConfig(), description="What the classes are: a name, or a mapping with `name` and its settings."
    )
    views: tuple[NamedView, ...] = Field(
        default=(), description="Random transformations of every event, one after the other: names or mappings."
    )
    n_views: int | None = Field(
        default=None, gt=0, description="Views of every event in a batch; null: as many as the objective needs."
    )
    anomalies: tuple[NamedView, ...] = Field(
        default=(), description="Transformations that make a copy of every event anomalous, for `anomclr`."
    )
    inputs: SerializeAsAny[InputsConfig] = Field(
        default=PlainConfig(), description="What the encoder is fed: a name, or a mapping with `name` and its settings."
    )
    families: tuple[tuple[tuple[NamedView, ...], ...], ...] = Field(
        default=(),
        description="Families of anomalies, for `exposure`: axes of alternatives, each a list of transformations "
        "(empty for none); every combination is a family.",
    )
    log_pt: bool = Field(default=True, description="Feed log(1 + pt/GeV) instead of pt.")
    balance: Balance = Field(
        default="sampler",
        description="natural: classes as frequent as in the sample. sampler: batches drawn with equal shares. "
        "weights: natural batches, loss weighted to equal shares.",
    )
    balance_power: float = Field(
        default=0.0, ge=0.0, le=1.0, description="Shares go as class frequency to this power: 0 equal, 1 natural."
    )
    event_weights: bool = Field(default=True, description="Use the weights of the events in the loss.")
    epochs: int = Field(default=30, gt=0, description="Passes over the training sample.")
    batch_size: int = Field(default=512, gt=1, description="Events per step; the last batches are evened out.")
    optimiser: SerializeAsAny[OptimiserConfig] = Field(
        default=AdamWConfig(), description="A name, or a mapping with `name` and the settings of that optimiser."
    )
    lr: float = Field(default=3e-3, gt=0.0, description="Highest learning rate.")
    weight_decay: float = Field(default=1e-2, ge=0.0, description="Weight decay; decoupled in AdamW.")
    warmup: float = Field(default=0.05, ge=0.0, lt=1.0, description="Share of all steps with a linear warm-up.")
    lr_floor: float = Field(default=0.01, ge=0.0, le=1.0, description="Last learning rate of the cosine, over `lr`.")
    gradient_clip: float | None = Field(default=1.0, gt=0.0, description="Largest norm of the gradient; null: any.")
    validation_fraction: float = Field(
        default=0.1, ge=0.0, lt=1.0, description="Share of the sample held out for the validation loss."
    )
    early_stopping: int | None = Field(
        default=None,
        gt=0,
        description="Stop after this many epochs without a lower validation loss, and keep the best epoch's weights.",
    )
    precision: Literal["32", "bf16"] = Field(default="32", description="Arithmetic of the encoder; losses use 32 bits.")
    device: Literal["auto", "cpu", "gpu"] = Field(default="auto", description="Where to train; auto prefers a GPU.")
    devices: int = Field(default=1, gt=0, description="GPUs (or CPU processes) of every machine that train together.")
    nodes: int = Field(default=1, gt=0, description="Machines; more than one need torchrun or srun to start them.")
    folds: int | None = Field(
        default=None, gt=1, description="Train this many models, each without its share of the events; null: one."
    )
    ensemble: int = Field(default=1, gt=0, description="Train this many models (of every fold) with different seeds.")

    @field_validator(*CHOICES, mode="before")
    @classmethod
    def _by_name(cls, value: Any, info: ValidationInfo) -> Any:
        assert info.field_name is not None
        return resolve(value, *CHOICES[info.field_name])

    @model_validator(mode="after")
    def _consistent(self) -> TrainingConfig:
        if self.early_stopping is not None and self.validation_fraction == 0.0:
            raise ValueError("early_stopping needs a validation_fraction above 0")
        if self.inputs.needs_log_pt and not self.log_pt:
            raise ValueError(f"inputs '{self.inputs.name}' feed log pt: leave log_pt on, or use inputs 'plain'")
        if self.objective.needs_classes and self.labels.name == "none":
            raise ValueError(f"objective '{self.objective.name}' needs classes; labels 'none' has one")
        objective = self.objective
        if self.n_views is not None and self.n_views < objective.least_views:
            raise ValueError(f"objective '{objective.name}' needs {objective.least_views} views of every event")
        if max(self.n_views or 1, objective.least_views) > 1 and not self.views:
            raise ValueError("several views of an event need transformations: name some under views, e.g. [rotate]")
        if objective.needs_anomalies and not self.anomalies:
            raise ValueError(f"objective '{objective.name}' needs transformations under anomalies")
        if objective.needs_families and not combinations(self.families):
            raise ValueError(f"objective '{objective.name}' needs families of anomalies, e.g. [[[], [overlay]]]")
        if objective.needs_families and objective.needs_anomalies:
            raise ValueError("a sum holds 'exposure' or 'anomclr', not both: they need different copies of an event")
        if objective.needs_parameters and not sum(view.n_parameters for view in self.views):
            raise ValueError(f"objective '{objective.name}' predicts what views did, and these say nothing")
        return self

    @model_validator(mode="after")
    def _partners(self) -> TrainingConfig:
        refuse_partners(self.views[1:], "after another view")
        refuse_partners(self.anomalies, "among the anomalies")
        refuse_partners((view for chain in combinations(self.families) for view in chain), "in a family of anomalies")
        if any(view.partners for view in self.views) and not self.n_partners:
            raise ValueError(
                f"'{self.views[0].name}' replaces all views of an event but the first: set n_views to 2 or more "
                f"(objective '{self.objective.name}' alone has 1)"
            )
        return self

    @property
    def views_of_an_event(self) -> int:
        """Rows of every event in a batch, without anomalous copies."""
        return self.n_views or self.objective.least_views

    @property
    def n_partners(self) -> int:
        """Re-simulated partners of every event in a batch."""
        return self.views_of_an_event - 1 if any(view.partners for view in self.views) else 0

    @property
    def several(self) -> bool:
        """Whether a training gives several models."""
        return self.folds is not None or self.ensemble > 1

    def alone(self) -> TrainingConfig:
        """The settings of one model of an ensemble."""
        return self.model_copy(update={"folds": None, "ensemble": 1})

    def expansion(self, schema: Schema, normalisation: Normalisation | None = None) -> Expansion:
        """What makes the rows of a batch from its events; `normalisation` is what the network applies to them."""
        return Expansion(
            [view.build(schema, normalisation) for view in self.views],
            self.views_of_an_event,
            [view.build(schema, normalisation) for view in self.anomalies] if self.objective.needs_anomalies else [],
            sum(view.n_parameters for view in self.views),
            Families.build(self.families, schema, normalisation) if self.objective.needs_families else None,
        )

    @classmethod
    def parse(cls, content: Mapping[str, Any], origin: str = "training settings") -> TrainingConfig:
        """Build from a mapping; ConfigError (or UnknownNameError) names the key, the value and the closest key."""
        return parse_settings(cls, content, origin)
