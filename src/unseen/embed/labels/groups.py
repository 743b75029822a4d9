"""`groups`: processes that belong together share a class."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np
from pydantic import Field, field_validator

from unseen.embed.labels.base import LabelConfig
from unseen.embed.labels.factor import Factor
from unseen.errors import NotEnoughEventsError, UnknownNameError, did_you_mean
from unseen.events import Events

__all__ = ["GroupsConfig", "known_processes"]


class GroupsConfig(LabelConfig):
    """Settings of `groups`, e.g. {electroweak: [w, z], qcd: [qcd]}; a process in no group stays a class of its own."""

    name: Literal["groups"] = "groups"
    groups: dict[str, tuple[str, ...]] = Field(min_length=1, description="Name of a class -> the processes in it.")

    @field_validator("groups")
    @classmethod
    def _disjoint(cls, value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        processes = [process for group in value.values() for process in group]
        twice = sorted({process for process in processes if processes.count(process) > 1})
        if twice:
            raise ValueError(f"process '{twice[0]}' is in two groups")
        empty = [name for name, group in value.items() if not group]
        if empty:
            raise ValueError(f"group '{empty[0]}' has no process")
        return value

    def factors(self, events: Events) -> tuple[Factor, ...]:
        """The group. Errors: UnknownNameError (a process that the events do not know), NotEnoughEventsError (a group
        without events).
        """
        owner = {process: group for group, processes in self.groups.items() for process in processes}
        counts = known_processes(owner, events, f"labels '{self.name}'")
        for group, processes in self.groups.items():
            if len(events) and not sum(counts[process] for process in processes):
                raise NotEnoughEventsError(
                    f"labels '{self.name}': class '{group}' would be empty: none of the {len(events)} training events "
                    f"is of {' or '.join(processes)}. Take the group out, or provide such events"
                )
        names = tuple(dict.fromkeys([*self.groups, *(owner.get(name, name) for name in events.label_names)]))
        index = np.array([names.index(owner.get(name, name)) for name in events.label_names], dtype=np.int64)
        return (Factor.named("group", index[events.label], names, merge="never"),)


def known_processes(names: Iterable[str], events: Events, where: str) -> dict[str, int]:
    """The number of events of every process; UnknownNameError unless the events know all these `names`."""
    for name in names:
        if name not in events.label_names:
            raise UnknownNameError(
                f"{where}: no process '{name}' among the training events{did_you_mean(name, events.label_names)}"
            )
    counts = np.bincount(events.label, minlength=len(events.label_names)).tolist()
    return dict(zip(events.label_names, counts, strict=True))
