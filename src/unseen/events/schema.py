"""What an event looks like: collections of objects, their features and units, and the selections."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from unseen.errors import MissingFileError, SchemaError, did_you_mean
from unseen.mistakes import mistakes

__all__ = ["ADC2021", "SCHEMAS", "Collection", "Cut", "Requirement", "Schema", "Selection"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Collection(_Frozen):
    """A kind of object (muons, jets, missing momentum) with a fixed number of slots, filled in descending pt."""

    name: str
    slots: int = Field(gt=0, description="Most objects kept per event.")
    type: int = Field(gt=0, description="Integer code of the object type; 0 is reserved for absent.")
    pt_min: float = Field(default=0.0, ge=0.0, description="Lowest pt that is stored, GeV.")
    abs_eta_max: float | None = Field(default=None, gt=0.0, description="Acceptance in |eta|.")


class Cut(_Frozen):
    """Thresholds on single objects; an object that fails is removed from the event."""

    pt_min: float = Field(default=0.0, ge=0.0, description="GeV")
    abs_eta_max: float | None = Field(default=None, gt=0.0)


class Requirement(Cut):
    """At least `count` objects of a collection above the thresholds."""

    collection: str
    count: int = Field(default=1, gt=0)


class Selection(_Frozen):
    """Object thresholds, then requirements on the event: any one of `any_of` and every one of `all_of`."""

    objects: dict[str, Cut] = Field(default_factory=dict)
    any_of: tuple[Requirement, ...] = ()
    all_of: tuple[Requirement, ...] = ()


class Schema(_Frozen):
    """The layout of an event as padded slots: (slots, features) numbers and a mask.

    The slots of the collections follow each other in the order given. `selection` is the analysis selection that is
    applied on reading (`unseen.events.select`); `preselection` is the looser one that decides what is stored, so that
    shifted objects can migrate across the selection.
    """

    name: str
    collections: tuple[Collection, ...] = Field(min_length=1)
    features: tuple[str, ...] = ("pt", "eta", "phi")
    units: tuple[str, ...] = ("GeV", "", "rad")
    preselection: Selection = Selection()
    selection: Selection = Selection()

    @model_validator(mode="after")
    def _consistent(self) -> Schema:
        names = [c.name for c in self.collections]
        if len(set(names)) != len(names):
            raise ValueError(f"collection names repeat: {names}")
        if len({c.type for c in self.collections}) != len(names):
            raise ValueError("two collections share a type code")
        if len(self.units) != len(self.features):
            raise ValueError(f"{len(self.features)} features but {len(self.units)} units")
        for selection in (self.preselection, self.selection):
            required = (r.collection for r in selection.any_of + selection.all_of)
            for name in (*selection.objects, *required):
                if name not in names:
                    raise ValueError(f"selection uses collection '{name}'{did_you_mean(name, names)}")
        return self

    @property
    def n_slots(self) -> int:
        """Total number of object slots."""
        return sum(c.slots for c in self.collections)

    @property
    def n_features(self) -> int:
        """Number of features per object."""
        return len(self.features)

    # Not cached: what pydantic finds in a model's __dict__ takes part in ==, and arrays have no truth value.
    @property
    def slot_types(self) -> NDArray[np.int64]:
        """Type code of every slot, (slots,)."""
        return np.repeat([c.type for c in self.collections], [c.slots for c in self.collections]).astype(np.int64)

    def has(self, collection: str) -> bool:
        """Whether the layout contains this collection."""
        return any(c.name == collection for c in self.collections)

    def collection(self, name: str) -> Collection:
        """The collection of this name; SchemaError with a suggestion if there is none."""
        for c in self.collections:
            if c.name == name:
                return c
        names = [c.name for c in self.collections]
        raise SchemaError(f"no collection '{name}' in schema '{self.name}'{did_you_mean(name, names)}")

    def slots(self, name: str) -> slice:
        """The slots of a collection, as a slice of the object axis."""
        self.collection(name)
        start = 0
        for c in self.collections:
            if c.name == name:
                break
            start += c.slots
        return slice(start, start + c.slots)

    def feature(self, name: str) -> int:
        """Index of a feature on the last axis; SchemaError if there is none."""
        if name not in self.features:
            raise SchemaError(f"no feature '{name}' in schema '{self.name}'{did_you_mean(name, self.features)}")
        return self.features.index(name)

    @classmethod
    def parse(cls, content: dict[str, Any], origin: str = "schema") -> Schema:
        """Build from a mapping; SchemaError that names the field and the origin if it is not valid."""
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise SchemaError(f"{origin}: {mistakes(error, cls, content)}") from error

    @classmethod
    def load(cls, source: str | Path) -> Schema:
        """A built-in schema by name, or one from a YAML file."""
        if isinstance(source, str) and source in SCHEMAS:
            return SCHEMAS[source]
        path = Path(source)
        if not path.is_file():
            raise MissingFileError(
                f"schema '{source}' is neither built in nor a YAML file{did_you_mean(str(source), SCHEMAS)}"
            )
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise SchemaError(f"{path}: a schema is a mapping with 'name' and 'collections'")
        return cls.parse(content, origin=str(path))


# The "L1 trigger" setting of the ADC2021 challenge (arXiv:2107.02157), stored looser than its selection.
ADC2021 = Schema(
    name="adc2021",
    collections=(
        Collection(name="met", slots=1, type=1),
        Collection(name="electrons", slots=4, type=2, pt_min=3.0, abs_eta_max=3.0),
        Collection(name="muons", slots=4, type=3, pt_min=3.0, abs_eta_max=2.4),
        Collection(name="jets", slots=10, type=4, pt_min=20.0, abs_eta_max=4.0),
    ),
    preselection=Selection(
        any_of=(
            Requirement(collection="electrons", pt_min=18.0, abs_eta_max=3.0),
            Requirement(collection="muons", pt_min=18.0, abs_eta_max=2.4),
        ),
    ),
    selection=Selection(
        objects={
            "electrons": Cut(abs_eta_max=3.0),
            "muons": Cut(abs_eta_max=2.1),
            "jets": Cut(pt_min=30.0, abs_eta_max=4.0),
        },
        any_of=(
            Requirement(collection="electrons", pt_min=23.0, abs_eta_max=3.0),
            Requirement(collection="muons", pt_min=23.0, abs_eta_max=2.1),
        ),
    ),
)

SCHEMAS: dict[str, Schema] = {ADC2021.name: ADC2021}
