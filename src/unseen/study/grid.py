"""From the grid, the named models and the fixed representations of a study to its entries: one row each."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from unseen.embed import FineTuneConfig, TrainingConfig
from unseen.errors import ConfigError, did_you_mean
from unseen.study.settings import StudyConfig, Widths

__all__ = ["Entry", "changed", "check_key", "entries", "model_entry"]

Kind = Literal["model", "representation", "ceiling"]
SEED = "seed"
FAMILY = "family"
FINE_TUNE = "fine_tune"
DIM = "encoder.dim"
CEILING = "neyman_pearson"
SECTIONS = ("encoder", "objective", "labels", "inputs")  # a name, or a mapping with `name`


@dataclass(frozen=True)
class Entry:
    """One row of the table.

    `family` is what figures give one colour: said by the study, or shared by entries that differ in dimension and seed
    only; `training` and `seed` belong to models, and
    `fine_tune` to those that are fine-tuned afterwards.
    """

    name: str
    family: str
    kind: Kind
    training: TrainingConfig | None = None
    seed: int = 0
    representation: str = ""
    widths: Widths = "several"
    fine_tune: FineTuneConfig | None = None

    @property
    def models(self) -> int:
        """How many are trained: several for folds and ensembles, each an embedding of one test."""
        return 1 if self.training is None else (self.training.folds or 1) * self.training.ensemble


def entries(config: StudyConfig) -> list[Entry]:
    """All entries of a study in the order of the table.

    Errors: ConfigError (unknown key with a suggestion, a value that does not fit, nothing to compare, an entry twice),
    UnknownNameError.
    """
    found = [*_fixed(config), *_named(config), *_grid(config)]
    if not any(entry.kind == "model" for entry in found) and config.optuna is None and not config.representations:
        raise ConfigError("the study is empty: give grid.axes, models, representations or optuna")
    _check_unique(found)
    tuned = next((entry.name for entry in found if entry.fine_tune is not None), None)
    if tuned is not None and config.systematics is None:
        raise ConfigError(
            f"'{tuned}' is fine-tuned and the study names no nuisance parameters: add a section, e.g. "
            "systematics: {nuisances: [jet-scale]}"
        )
    together = next((entry.name for entry in found if entry.models > 1), None)
    if together is not None and config.systematics is not None:
        raise ConfigError(
            f"'{together}' is several embeddings and the study has nuisance parameters: a density ratio is one "
            "embedding's. Leave out folds and ensemble, or the section systematics"
        )
    return found


def model_entry(name: str, family: str, content: Mapping[str, Any], default_seed: int, origin: str) -> Entry:
    """The entry of a model with these training settings, and possibly `seed`, `family` and `fine_tune`.

    Errors: ConfigError.
    """
    settings = dict(content)
    family = settings.pop(FAMILY, None) or family
    tuning = settings.pop(FINE_TUNE, None)
    seed = settings.pop(SEED, default_seed)
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ConfigError(f"{origin}: seed is {seed!r}; expected a whole number, zero or more")
    for key in settings:
        check_key(key, origin)
    fine_tune = None if tuning is None else FineTuneConfig.parse(tuning, f"{origin}: {FINE_TUNE}")
    return Entry(name, family, "model", TrainingConfig.parse(settings, origin), seed, fine_tune=fine_tune)


def changed(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `changes` at their dotted keys; a section given as a name becomes a mapping."""
    content: dict[str, Any] = dict(base)
    for key, value in sorted(changes.items(), key=lambda item: item[0].count(".")):
        above, *rest = key.split(".")
        if not rest:
            content[above] = _merged(content.get(above), value)
            continue
        section = content.get(above)
        if section is None and above in TrainingConfig.model_fields:
            section = getattr(TrainingConfig(), above).name if above in SECTIONS else None
        section = {"name": section} if isinstance(section, str) else dict(section or {})
        content[above] = changed(section, {".".join(rest): value})
    return content


def _merged(before: Any, value: Any) -> Any:
    """A name alone takes the place of a whole section; so does everything else."""
    if isinstance(before, Mapping) and isinstance(value, str) and before.get("name") == value:
        return before
    return value


def check_key(key: str, origin: str) -> None:
    """Raise ConfigError with a suggestion for a dotted key of no setting; the settings judge what is below."""
    first, known = key.split(".")[0], {*TrainingConfig.model_fields, SEED, FAMILY, FINE_TUNE}
    if first not in known:
        raise ConfigError(f"{origin}: unknown key '{key}'{did_you_mean(first, known)}")


def _fixed(config: StudyConfig) -> list[Entry]:
    found = [Entry(CEILING, CEILING, "ceiling")] if config.power.ceiling else []
    for name in config.representations:
        for widths in config.representation_widths:
            label = name if widths == "several" else f"{name}, one width"
            found.append(Entry(label, label, "representation", None, 0, name, widths))
    return found


def _named(config: StudyConfig) -> list[Entry]:
    return [model_entry(name, name, content, config.seed, f"models.{name}") for name, content in config.models.items()]


def _grid(config: StudyConfig) -> list[Entry]:
    """Every combination of the axes; the base alone where there are none."""
    if config.grid is None:
        return []
    base, axes = config.grid.base, config.grid.axes
    for key in config.grid.family:
        if key not in axes:
            raise ConfigError(f"grid.family: '{key}' is none of the axes{did_you_mean(key, axes)}")
    for key, values in axes.items():
        if not values:
            raise ConfigError(f"grid.axes: '{key}' has no values")
        check_key(key, "grid.axes")
    found = []
    for values in itertools.product(*axes.values()):
        point = dict(zip(axes, values, strict=True))
        named = config.grid.family or [key for key in point if key not in (DIM, SEED)]
        family = _label({key: point[key] for key in named}) or "grid"
        name = _label(point) or "base"
        found.append(model_entry(name, family, changed(base, point), config.seed, f"grid ({name})"))
    return found


def _label(point: Mapping[str, Any]) -> str:
    """A readable name: the values of names as they are, the others with the last part of their key."""
    return " ".join(_words(key, value) for key, value in point.items())


def _words(key: str, value: Any) -> str:
    if isinstance(value, Mapping):
        rest = ",".join(f"{k}={v}" for k, v in value.items() if k != "name")
        return f"{value.get('name', key)}" + (f"({rest})" if rest else "")
    if isinstance(value, list | tuple):
        return f"{key.split('.')[-1]}=[{','.join(_words('', item) for item in value)}]"
    last = key.split(".")[-1]
    return str(value) if last in ("name", "", *SECTIONS) else f"{last}={value}"


def _check_unique(found: list[Entry]) -> None:
    names: dict[str, Entry] = {}
    settings: dict[str, str] = {}
    for entry in found:
        if entry.name in names:
            raise ConfigError(f"two entries are called '{entry.name}': rename one of them")
        names[entry.name] = entry
        if entry.training is None:
            continue
        tuning = entry.fine_tune.model_dump_json() if entry.fine_tune is not None else ""
        key = f"{entry.training.model_dump_json()}{entry.seed}{tuning}"
        if key in settings:
            raise ConfigError(f"'{settings[key]}' and '{entry.name}' are the same training: remove one of them")
        settings[key] = entry.name
