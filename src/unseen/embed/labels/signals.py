"""`signals`: named signal processes are classes of their own beside the background's (arXiv:2603.25794)."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, SerializeAsAny

from unseen.embed.labels.base import LabelConfig, part
from unseen.embed.labels.factor import Factor
from unseen.embed.labels.groups import known_processes
from unseen.embed.labels.process import ProcessConfig
from unseen.errors import NotEnoughEventsError
from unseen.events import Events

__all__ = ["SignalsConfig"]


class SignalsConfig(LabelConfig):
    """Settings of `signals`, for a training sample that contains simulated signals.

    A signal is a class at every level; the rest is split by another encoding.
    """

    name: Literal["signals"] = "signals"
    signals: tuple[str, ...] = Field(min_length=1, description="Processes that are signals.")
    merge: bool = Field(default=False, description="One class `signal` for all of them.")
    others: Annotated[SerializeAsAny[LabelConfig], BeforeValidator(part)] = Field(
        default=ProcessConfig(), description="Encoding of all other events."
    )

    @property
    def truths(self) -> tuple[str, ...]:
        """Those of `others`."""
        return self.others.truths

    def factors(self, events: Events) -> tuple[Factor, ...]:
        """Which signal, then the factors of `others` for the rest.

        Errors: UnknownNameError (no such process), NotEnoughEventsError (a signal without events).
        """
        counts = known_processes(self.signals, events, f"labels '{self.name}'")
        for name in self.signals:
            if len(events) and not counts[name]:
                raise NotEnoughEventsError(
                    f"labels '{self.name}': class '{name}' would be empty: none of the {len(events)} training events "
                    "is of this signal. Put it into the training sample, or take it out of `signals`"
                )
        is_signal = np.isin(events.label, [events.label_names.index(name) for name in self.signals])
        finer = self._finer(events, is_signal)
        names = ("" if finer else "background", *(("signal",) if self.merge else self.signals))
        index = np.zeros(len(events.label_names), dtype=np.int64)
        for i, name in enumerate(self.signals):
            index[events.label_names.index(name)] = 1 if self.merge else 1 + i
        return (Factor.named("signal", index[events.label], names, merge="never"), *finer)

    def _finer(self, events: Events, is_signal: NDArray[np.bool_]) -> tuple[Factor, ...]:
        """The factors of the background, which leave signals alone; quantiles are those of the background too."""
        rows, result = np.flatnonzero(~is_signal), []
        for factor in self.others.factors(events[rows]):
            code = np.full(len(events), -1, dtype=np.int64)
            code[rows] = factor.code
            result.append(replace(factor, code=code))
        return tuple(result)
