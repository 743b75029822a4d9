"""Physics processes: Pythia settings with a name, built in or from the user's configuration."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import yaml
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from unseen.errors import ConfigError, UnknownProcessError, did_you_mean
from unseen.mistakes import mistakes

__all__ = ["Caps", "Filter", "Process", "Slice", "choose", "load_processes"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Filter(_Frozen):
    """Requirement on the partons of an event (after the shower, before hadronisation): e, mu or tau above threshold."""

    lepton_pt_min: float = Field(gt=0.0, description="GeV; below any selection, because the detector smears.")
    count: int = Field(default=1, gt=0)


class Slice(_Frozen):
    """A part of the phase space of a process that is generated on its own."""

    settings: tuple[str, ...]
    cross_section_pb: float | None = Field(
        default=None, gt=0.0, description="Of this slice; if absent it is measured with Pythia before the work starts."
    )
    cap: float = Field(
        default=0.06,
        gt=0.0,
        description="Probability of an isolated lepton above which an event is always kept (heavy flavour only).",
    )


class Caps(_Frozen):
    """Caps by pt of the 2 -> 2 process: lower edges in GeV, and the cap from there on, by whether charm or bottom takes
    part in that process (`heavy`) or is made in the shower (`light`).

    They set how often such an event is generated at all, and so the speed; the result does not depend on them as long
    as few events exceed them.
    """

    pt_hat: tuple[float, ...]
    heavy: tuple[float, ...]
    light: tuple[float, ...]

    @model_validator(mode="after")
    def _same_length(self) -> Caps:
        if not self.pt_hat or len({len(self.pt_hat), len(self.heavy), len(self.light)}) > 1:
            raise ValueError("pt_hat, heavy and light need the same, non-zero length")
        if list(self.pt_hat) != sorted(set(self.pt_hat)) or min(*self.heavy, *self.light) <= 0:
            raise ValueError("pt_hat must rise and caps be positive")
        return self

    def at(self, pt_hat: ArrayLike, heavy: ArrayLike) -> NDArray[np.float64]:
        """Cap of events with these pt_hat (GeV) and heavy (bool)."""
        row = np.maximum(np.searchsorted(self.pt_hat, pt_hat, side="right") - 1, 0)
        result: NDArray[np.float64] = np.where(heavy, np.array(self.heavy)[row], np.array(self.light)[row])
        return result

    def of(self, pt_hat: float, heavy: bool) -> float:
        """The same for one event, quickly."""
        return (self.heavy if heavy else self.light)[max(bisect_right(self.pt_hat, pt_hat) - 1, 0)]


WEIGHTED = ("phasespace:bias2selection", "phasespace:bias2selectionany")


class Process(_Frozen):
    """One process: Pythia settings, class label, cross section and optional filter."""

    label: str = Field(
        default="", description="Name of the class in the sample; several processes may share one. Default: the name."
    )
    settings: tuple[str, ...] = Field(min_length=1, description="Pythia settings, e.g. `Top:gg2ttbar=on`.")
    cross_section_pb: float | None = Field(default=None, gt=0.0, description="Before any selection; default: Pythia's.")
    slices: tuple[Slice, ...] = ()
    filter: Filter | None = None
    heavy_flavour: bool = Field(
        default=False, description="Take leptons from decays of charm and bottom hadrons, decayed many times each."
    )
    caps: Caps | None = Field(default=None, description="Finer than the slices' caps (heavy flavour only).")
    signal: bool = False
    shard_size: int | None = Field(default=None, gt=0, description="Events per shard, if not the configuration's.")

    @field_validator("settings")
    @classmethod
    def _strings(cls, settings: tuple[str, ...]) -> tuple[str, ...]:
        for setting in settings:
            if not setting.strip() or not setting.strip()[0].isalnum():
                raise ValueError(f"'{setting}' is not a Pythia setting (Pythia would take it for a comment)")
            if _weighted(setting):
                raise ValueError(f"'{setting}' gives events weights, and samples count every event once: use slices")
        return settings


def _weighted(setting: str) -> bool:
    """Whether Pythia generates weighted events with this."""
    key, _, value = setting.replace(" ", "").lower().partition("=")
    return key in WEIGHTED and value in ("on", "yes", "true", "ok", "1")


@cache
def _built_in() -> dict[str, Process]:
    text = files("unseen.simulate").joinpath("processes.yaml").read_text(encoding="utf-8")
    return {name: _labelled(name, Process.model_validate(entry)) for name, entry in yaml.safe_load(text).items()}


def _labelled(name: str, process: Process) -> Process:
    return process if process.label else process.model_copy(update={"label": name})


def load_processes(extra: Mapping[str, Process | Mapping[str, Any]] | None = None) -> dict[str, Process]:
    """The built-in processes and the user's own, by name; an entry of the same name replaces the built-in one.

    Errors: ConfigError.
    """
    known = dict(_built_in())
    for name, entry in (extra or {}).items():
        try:
            known[name] = _labelled(name, entry if isinstance(entry, Process) else Process.model_validate(entry))
        except ValidationError as error:
            raise ConfigError(f"process '{name}': {mistakes(error, Process, entry)}") from error
    return known


def choose(names: list[str], known: Mapping[str, Process]) -> dict[str, Process]:
    """These processes, in this order. Errors: UnknownProcessError, with the closest known name."""
    for name in names:
        if name not in known:
            raise UnknownProcessError(f"unknown process '{name}'{did_you_mean(name, known)}")
    return {name: known[name] for name in names}
