"""`kinematic`: process x bins of an observable."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, SerializeAsAny, field_validator, model_validator

from unseen.embed.labels.base import LabelConfig, part
from unseen.embed.labels.factor import Factor
from unseen.embed.labels.process import ProcessConfig
from unseen.errors import SchemaError, did_you_mean
from unseen.events import Events
from unseen.events.observables import OBSERVABLES
from unseen.registry import lookup

__all__ = ["KinematicConfig"]

RECORD = "record."
QUANTILES = 4


class KinematicConfig(LabelConfig):
    """Settings of `kinematic`: bins of an observable inside the classes of another encoding.

    Events for which the observable is not defined (the dilepton mass without a pair) are a bin of their own.
    """

    name: Literal["kinematic"] = "kinematic"
    least: int = Field(default=50, gt=0, description="Fewest events of a class.")
    of: Annotated[SerializeAsAny[LabelConfig], BeforeValidator(part)] = Field(
        default=ProcessConfig(), description="What is split: another encoding; `none` for the bins alone."
    )
    observable: str = Field(
        default="met", description="A name of `unseen.events.observables`, or a truth such as `record.pt_hat`."
    )
    edges: tuple[float, ...] | None = Field(
        default=None, description="Edges between bins, in the unit of the observable; the outer bins are open."
    )
    quantiles: int | None = Field(
        default=None, gt=1, description="Bins with equal numbers of events; without edges the default, 4."
    )

    @field_validator("observable")
    @classmethod
    def _known(cls, value: str) -> str:
        if not value.startswith(RECORD):
            lookup(value, OBSERVABLES, "observable")
        return value

    @model_validator(mode="after")
    def _bins(self) -> KinematicConfig:
        if self.edges is not None and self.quantiles is not None:
            raise ValueError("give edges or quantiles, not both")
        if self.edges is not None and (not self.edges or list(self.edges) != sorted(set(self.edges))):
            raise ValueError(f"edges must rise, got {list(self.edges)}")
        return self

    @property
    def truths(self) -> tuple[str, ...]:
        """The observable, if it is one, and those of `of`."""
        own = (self.observable.removeprefix(RECORD),) if self.observable.startswith(RECORD) else ()
        return (*own, *self.of.truths)

    def factors(self, events: Events) -> tuple[Factor, ...]:
        """Those of `of`, then the bin. Errors: SchemaError (the events do not have what the observable needs)."""
        values = self._values(events)
        edges = np.array(self.edges) if self.edges is not None else self._quantile_edges(values)
        return (*self.of.factors(events), _bins_of(self.observable.removeprefix(RECORD), values, edges))

    def _quantile_edges(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        defined, bins = values[~np.isnan(values)], self.quantiles or QUANTILES
        if not len(defined):
            return np.zeros(0)
        edges = np.unique(np.quantile(defined, np.arange(1, bins) / bins))
        # An edge at the lowest value (a multiplicity that is mostly 0) has nothing below it.
        return np.asarray(edges[edges > defined.min()])

    def _values(self, events: Events) -> NDArray[np.float64]:
        if self.observable.startswith(RECORD):
            name = self.observable.removeprefix(RECORD)
            if name not in events.record:
                raise SchemaError(
                    f"labels 'kinematic': the simulation record has no '{name}'{did_you_mean(name, events.record)}"
                )
            values = np.asarray(events.record[name], dtype=np.float64)
            if values.ndim != 1:
                raise SchemaError(f"labels 'kinematic': record '{name}' has {values.shape[1:]} values for every event")
            return values
        observable = OBSERVABLES[self.observable]
        missing = [name for name in observable.needs if not events.schema.has(name)]
        if missing:
            raise SchemaError(
                f"labels 'kinematic': observable '{self.observable}' needs {', '.join(missing)}, which schema "
                f"'{events.schema.name}' does not have"
            )
        return observable.values(events)


def _bins_of(name: str, values: NDArray[np.float64], edges: NDArray[np.float64]) -> Factor:
    """Code 0: not defined; then the bins [edge, next edge)."""
    code = np.where(np.isnan(values), 0, 1 + np.searchsorted(edges, values, side="right")).astype(np.int64)
    words = [f"{edge:.4g}" for edge in edges]

    def word(first: int, last: int) -> str:
        if last == 0:
            return f"no {name}"
        above, below = words[first - 2] if first > 1 else "", words[last - 1] if last <= len(words) else ""
        span = f"{above}-{below}" if above and below else f"{above}+" if above else f"<{below}" if below else "any"
        return f"{name} {span}" + (" or none" if first == 0 else "")

    return Factor(f"bin of {name}", code, word, merge="adjacent")
