"""Several trained embeddings of one training: of folds, of seeds, or both. What `unseen.load` opens beside a model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseen.embed.folds import Identity, fold_of
from unseen.embed.model import DESCRIPTION, Model
from unseen.errors import CorruptFileError, MissingFileError, NotFittedError, UnseenError
from unseen.events import Events, Schema
from unseen.events.sealed import check_seal, write_sealed_json

__all__ = ["ENSEMBLE", "Ensemble", "Member", "load_trained", "plan_members"]

ENSEMBLE = "ensemble.json"
# Version 1 had no hash of itself.
FORMAT_VERSION = 2
READABLE = (1, FORMAT_VERSION)
SEALED = 2
REMEDY = "copy or train it again"


@dataclass(frozen=True)
class Member:
    """One model of an ensemble: the name of its folder, the fold that it has not seen, and which of the seeds it is."""

    name: str
    fold: int | None
    repeat: int


def plan_members(folds: int | None, ensemble: int) -> tuple[Member, ...]:
    """Every fold with every seed; the names are `fold-0`, `seed-0`, or `fold-0-seed-0`."""
    members = []
    for fold in range(folds) if folds is not None else [None]:
        for repeat in range(ensemble):
            parts = [f"fold-{fold}"] if fold is not None else []
            parts += [f"seed-{repeat}"] if ensemble > 1 or fold is None else []
            members.append(Member("-".join(parts), fold, repeat))
    return tuple(members)


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Several models of the same events. Their coordinates have nothing to do with each other: each is its own space.

    * members: the models by name, in the order of `plan`
    * folds, seed, identity: what decides the fold of an event (`fold_of`); folds is None without folds
    """

    members: Mapping[str, Model]
    plan: tuple[Member, ...]
    folds: int | None
    seed: int
    identity: Identity
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def schema(self) -> Schema:
        """The layout of the events."""
        return next(iter(self.members.values())).schema

    @property
    def dims(self) -> tuple[int, ...]:
        """Numbers per event of every member: what `KernelTest(embeddings=...)` takes."""
        return tuple(model.dim for model in self.members.values())

    @property
    def dim(self) -> int:
        """Numbers per event of all members together."""
        return sum(self.dims)

    def __len__(self) -> int:
        return len(self.members)

    def embed(self, events: Events, batch_size: int = 65536, device: str = "cpu") -> NDArray[np.float32]:
        """The embeddings of all members side by side, float32 (n, dim); columns as in `dims`.

        For events that no member was trained on; `embed_unseen` is for the others. Errors: as `Model.embed`.
        """
        return np.concatenate([m.embed(events, batch_size, device) for m in self.members.values()], axis=1)

    def fold_of(self, events: Events) -> NDArray[np.int64]:
        """The fold of every event, (n,), in or outside the training sample. Errors: NotFittedError, SchemaError."""
        if self.folds is None:
            raise NotFittedError("this ensemble has no folds: every member has seen every training event; set folds")
        return fold_of(events, self.folds, self.seed, self.identity)

    def embed_unseen(self, events: Events, batch_size: int = 65536, device: str = "cpu") -> NDArray[np.float32]:
        """The embedding of every event by the models that have not been trained on it, float32 (n, seeds x dim).

        Rows of different folds are points of different spaces: compare them only with rows of the same `fold_of`.
        Errors: NotFittedError (no folds), SchemaError, NonFiniteError.
        """
        fold = self.fold_of(events)
        blocks = []
        for number in range(self.folds or 0):
            part = events[np.flatnonzero(fold == number)]
            models = [self.members[member.name] for member in self.plan if member.fold == number]
            blocks.append(np.concatenate([m.embed(part, batch_size, device) for m in models], axis=1))
        z = np.concatenate(blocks)
        order = np.argsort(fold, kind="stable")
        result = np.empty_like(z)
        result[order] = z
        return result

    def save(self, folder: str | Path) -> None:
        """Write ensemble.json beside the folders of the members, which must be there."""
        content = {
            "format_version": FORMAT_VERSION,
            "members": [{"name": m.name, "fold": m.fold, "repeat": m.repeat} for m in self.plan],
            "folds": self.folds,
            "seed": self.seed,
            "identity": self.identity,
            "provenance": dict(self.provenance),
        }
        write_sealed_json(Path(folder) / ENSEMBLE, content)

    @classmethod
    def load(cls, folder: str | Path) -> Ensemble:
        """Open a folder of models. Errors: MissingFileError, CorruptFileError, and those of `Model.load`."""
        path = Path(folder) / ENSEMBLE
        if not path.is_file():
            raise MissingFileError(f"{folder} is not an ensemble: it has no {ENSEMBLE} (was the training finished?)")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["format_version"] not in READABLE:
                known = " or ".join(map(str, READABLE))
                raise CorruptFileError(f"{path} has format {content['format_version']}, this version reads {known}")
            check_seal(content, path, content["format_version"] >= SEALED, REMEDY)
            folds = None if content["folds"] is None else int(content["folds"])
            repeats = 1 + max(int(member["repeat"]) for member in content["members"])
            plan = plan_members(folds, repeats)
            recorded = [member["name"] for member in content["members"]]
            identity: Identity = "source" if content["identity"] == "source" else "content"
            seed, provenance = int(content["seed"]), dict(content["provenance"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CorruptFileError(f"{path} is damaged ({error!r}); copy or train it again") from error
        if recorded != [member.name for member in plan]:
            raise CorruptFileError(f"{path} lists members {recorded} for {folds} folds; copy or train it again")
        members = {member.name: Model.load(Path(folder) / member.name) for member in plan}
        return cls(members, plan, folds, seed, identity, provenance)


def load_trained(folder: str | Path) -> Model | Ensemble:
    """What a training wrote: a model, or the ensemble if it made several. Errors: as the `load` of either."""
    if (Path(folder) / ENSEMBLE).is_file() and not (Path(folder) / DESCRIPTION).is_file():
        return Ensemble.load(folder)
    return Model.load(folder)


def load_finished(folder: Path, fingerprint: str) -> Ensemble | None:
    """The ensemble in a folder if it is whole and the one of this fingerprint."""
    try:
        ensemble = Ensemble.load(folder)
    except UnseenError:
        return None
    return ensemble if ensemble.provenance.get("fingerprint") == fingerprint else None
