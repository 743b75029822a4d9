"""`final-state`: process x lepton flavours and multiplicity x jet multiplicity (x b-jet multiplicity)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, SerializeAsAny, field_validator

from unseen.embed.labels.base import LabelConfig, part
from unseen.embed.labels.factor import Factor
from unseen.embed.labels.process import ProcessConfig
from unseen.errors import SchemaError
from unseen.events import Events

__all__ = ["FinalStateConfig"]

LEPTONS = {"electrons": "e", "muons": "mu", "taus": "tau"}
# A jet whose feature `btag` is above this is a b-jet.
BTAG_CUT = 0.5
N_BJETS = "n_bjets"  # of the simulation record
Int = NDArray[np.int64]


class FinalStateConfig(LabelConfig):
    """Settings of `final-state`: what the detector sees, counted, inside the classes of another encoding.

    Objects are the reconstructed ones, above the thresholds that the events were read with.
    """

    name: Literal["final-state"] = "final-state"
    least: int = Field(default=50, gt=0, description="Fewest events of a class.")
    of: Annotated[SerializeAsAny[LabelConfig], BeforeValidator(part)] = Field(
        default=ProcessConfig(), description="What is split: another encoding; `none` for the final state alone."
    )
    leptons: bool = Field(default=True, description="Tell flavours and multiplicities of leptons apart.")
    jets: tuple[int, ...] | None = Field(
        default=(0, 1, 2, 3), description="Lowest number of jets of every bin, the last one open; null: do not count."
    )
    bjets: tuple[int, ...] | None = Field(
        default=None,
        description="The same for b-jets: collection `bjets`, feature `btag` (> 0.5) of the jets, or record `n_bjets`.",
    )

    @field_validator("jets", "bjets")
    @classmethod
    def _from_zero(cls, value: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if value is not None and (not value or value[0] != 0 or list(value) != sorted(set(value))):
            raise ValueError(f"numbers must rise from 0, e.g. [0, 1, 2, 3]; got {list(value)}")
        return value

    @property
    def truths(self) -> tuple[str, ...]:
        """The number of b-jets, if they are counted, and those of `of`."""
        return ((N_BJETS,) if self.bjets is not None else ()) + self.of.truths

    def factors(self, events: Events) -> tuple[Factor, ...]:
        """Those of `of`, then leptons, jets, b-jets. Errors: SchemaError (the events do not have them)."""
        factors: list[Factor] = list(self.of.factors(events))
        if self.leptons:
            factors.append(_leptons(events))
        if self.jets is not None:
            if not events.schema.has("jets"):
                raise SchemaError(f"labels '{self.name}' count jets, which schema '{events.schema.name}' does not have")
            factors.append(_binned("jets", "j", events.has("jets").sum(axis=1), self.jets))
        if self.bjets is not None:
            factors.append(_binned("bjets", "b", _bjets(events), self.bjets))
        return tuple(factors)


def _leptons(events: Events) -> Factor:
    kinds = [name for name in LEPTONS if events.schema.has(name)]
    if not kinds:
        raise SchemaError(
            f"labels 'final-state' count leptons, but schema '{events.schema.name}' has none of {', '.join(LEPTONS)}: "
            "set leptons: false"
        )
    counts = np.stack([events.has(name).sum(axis=1) for name in kinds], axis=1)
    rows, code = np.unique(counts, axis=0, return_inverse=True)
    words = ["".join(f"{k}{LEPTONS[name]}" for k, name in zip(row, kinds, strict=True) if k) or "0l" for row in rows]
    return Factor.named("leptons", code.reshape(-1), tuple(words))


def _bjets(events: Events) -> NDArray[Any]:
    schema = events.schema
    if schema.has("bjets"):
        return np.asarray(events.has("bjets").sum(axis=1))
    if "btag" in schema.features and schema.has("jets"):
        return np.asarray(((events.get("jets", "btag") > BTAG_CUT) & events.has("jets")).sum(axis=1))
    if N_BJETS in events.record:
        return np.asarray(events.record[N_BJETS])
    raise SchemaError(
        f"labels 'final-state' count b-jets, but schema '{schema.name}' has neither a collection 'bjets' nor a feature "
        f"'btag', and the simulation record no '{N_BJETS}': set bjets: null"
    )


def _binned(key: str, symbol: str, count: NDArray[Any], lowest: tuple[int, ...]) -> Factor:
    code: Int = np.searchsorted(lowest, count, side="right").astype(np.int64) - 1

    def name(first: int, last: int) -> str:
        low = lowest[first]
        if last + 1 == len(lowest):
            return f"{low}+{symbol}"
        high = lowest[last + 1] - 1
        return f"{low}{symbol}" if low == high else f"{low}-{high}{symbol}"

    return Factor(key, code, name, merge="adjacent")
