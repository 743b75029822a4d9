"""What to simulate: the typed configuration of this stage."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt

from unseen.events.schema import Schema
from unseen.simulate.detector.settings import DetectorSettings
from unseen.simulate.processes import Process

__all__ = ["ROLES", "Resimulations", "SimulationConfig"]

ROLES = ("train", "test")


class Resimulations(BaseModel):
    """Rows from several simulations of the later stages of one generated event; they share `record["source"]`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hadronisation: PositiveInt = Field(
        default=1, description="Times the same partons are hadronised, with new decays of hadrons and taus."
    )
    detector: PositiveInt = Field(
        default=1,
        description="Times the detector (and, in fast fidelity, the underlying event) is simulated for each of these.",
    )

    @property
    def rows(self) -> int:
        """Most rows per generated event, re-decays not counted."""
        return self.hadronisation * self.detector


class SimulationConfig(BaseModel):
    """Events per process for training and for everything else, and how they are made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fidelity: Literal["fast", "full"] = Field(
        default="fast",
        description="full: multi-parton interactions in every event; fast: underlying event overlaid from a library.",
    )
    train: dict[str, NonNegativeInt] = Field(
        default_factory=dict,
        description="Events by process that pass the schema's selection; may hold copies of a source event.",
    )
    test: dict[str, NonNegativeInt] = Field(
        default_factory=dict, description="The same for reference, toys and data: one row per source event."
    )
    copies: int = Field(
        default=5, gt=0, description="Most re-decays of the heavy hadrons of an event in training, a row each (QCD)."
    )
    resimulations: Resimulations = Field(
        default=Resimulations(),
        description="In training: simulate one event several times, as positives for contrastive learning.",
    )
    shower_weights: bool = Field(
        default=False,
        description="Store the weights of halved and doubled shower scales: isr_up, isr_down, fsr_up, fsr_down.",
    )
    shard_size: int = Field(default=5000, gt=0, description="Events per shard that pass the selection.")
    underlying_events: int = Field(default=2000, gt=0, description="Size of each role's library (fast only).")
    decays: int = Field(default=3000, gt=0, description="Library decays of each heavy hadron, per role.")
    trials: int = Field(default=400, gt=0, description="Decays tried for each heavy hadron.")
    schema_name: str = Field(default="adc2021", description="Built-in schema or YAML file.")
    detector: DetectorSettings = DetectorSettings()
    processes: dict[str, Process] = Field(default_factory=dict, description="Your own processes, by name.")

    def counts(self, role: str) -> dict[str, int]:
        """Events asked for by process, without zeros."""
        asked = self.train if role == "train" else self.test
        return {name: count for name, count in asked.items() if count}

    def described(self) -> dict[str, Any]:
        """The settings as JSON. A sample without shower weights is described as before there were any."""
        return self.model_dump(mode="json", exclude=set() if self.shower_weights else {"shower_weights"})

    @property
    def schema_(self) -> Schema:
        """The schema that events are stored in. Errors: MissingFileError, SchemaError."""
        return Schema.load(self.schema_name)
