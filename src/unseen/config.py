"""The typed configuration of a run: one YAML file, checked in full before any work starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)

from unseen.config_search import SearchConfig
from unseen.config_systematics import RunSystematics
from unseen.embed.settings import TrainingConfig
from unseen.errors import ConfigError, MissingFileError, did_you_mean
from unseen.mistakes import mistakes
from unseen.simulate.settings import SimulationConfig

__all__ = [
    "Config",
    "DataConfig",
    "FilesConfig",
    "PoolsConfig",
    "SearchConfig",
    "SignalConfig",
    "load_config",
    "load_search",
    "parse_config",
    "read_yaml",
    "to_yaml",
]

# Shares of the processes after the L1 selection in the ADC2021 challenge (arXiv:2107.02157).
ADC2021_MIXTURE = {"w": 0.592, "qcd": 0.338, "z": 0.067, "tt": 0.003}


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FilesConfig(_Section):
    """Events from files instead of the simulation: process -> files or sample folders."""

    test: dict[str, tuple[Path, ...]] = Field(description="Simulation for reference, toys and pseudo-data, by process.")
    train: dict[str, tuple[Path, ...]] | None = Field(
        default=None,
        description="Training simulation, by process; where it has none, training events are set apart from `test`.",
    )


class SignalConfig(_Section):
    """Signal events hidden in pseudo-data."""

    process: str = Field(description="Name of a signal process.")
    events: int = Field(ge=0, description="How many are injected on top of the Poisson background.")


class DataConfig(_Section):
    """The data: a file, or pseudo-data drawn from the simulation (the default), with or without a signal."""

    file: Path | None = Field(default=None, description="Real data; any format that `unseen.read` takes.")
    signal: SignalConfig | None = Field(default=None, description="Hidden signal, for pseudo-data only.")
    nu: dict[str, float] = Field(
        default_factory=dict, description="True nuisance parameters of pseudo-data, by name; the others are 0."
    )
    auxiliary: dict[str, float] = Field(
        default_factory=dict,
        description="Auxiliary measurements of nuisance parameters, by name; the others: 0, or thrown around the true "
        "values of pseudo-data that have `nu`.",
    )

    @model_validator(mode="after")
    def _one_source(self) -> DataConfig:
        if self.file is not None and self.nu:
            raise ValueError("pseudo-data can be distorted, real data are what they are: give 'file' or 'nu', not both")
        if self.file is not None and self.signal is not None:
            raise ValueError("a signal can be hidden in pseudo-data only: give 'file' or 'signal', not both")
        return self


class PoolsConfig(_Section):
    """How many simulated events go where. The pools are disjoint; that is asserted before they are used."""

    mixture: dict[str, float] = Field(default=ADC2021_MIXTURE, description="Shares of the processes in the data.")
    train: int = Field(default=4000, gt=0, description="Events to learn the embedding from.")
    train_mixture: dict[str, float] | None = Field(default=None, description="Shares in training; default: mixture.")
    settings: int = Field(default=1000, gt=1, description="Events that fix the test's settings (centres, widths).")
    reference: int = Field(default=5000, gt=1, description="Reference sample of the test, N_R.")
    toys: int = Field(default=1500, gt=1, description="Pool from which toys get their data, with the reference.")
    expected: float = Field(default=500.0, gt=0, description="Background events expected in the data, N.")

    @model_validator(mode="after")
    def _valid_shares(self) -> PoolsConfig:
        for name, shares in (("mixture", self.mixture), ("train_mixture", self.train_mixture or {"all": 1.0})):
            if not shares or min(shares.values()) < 0 or abs(sum(shares.values()) - 1) > 1e-6:
                raise ValueError(f"{name} must hold non-negative shares that add up to 1, got {shares}")
        return self


class Config(_Section):
    """Everything that determines a run; equal configurations give equal results."""

    name: str = Field(default="run", description="Title of the report.")
    out: Path = Field(default=Path("runs/run"), description="The run folder.")
    seed: int = Field(default=1, ge=0, description="The one root seed.")
    schema_: str = Field(default="adc2021", alias="schema", description="Built-in event layout or a YAML file.")
    select: bool = Field(default=True, description="Apply the schema's selection on loading.")
    simulate: SimulationConfig | None = Field(default=None, description="Make the events with Pythia.")
    files: FilesConfig | None = Field(default=None, description="Or take them from files.")
    data: DataConfig = DataConfig()
    pools: PoolsConfig = PoolsConfig()
    train: TrainingConfig = TrainingConfig()
    systematics: RunSystematics | None = Field(
        default=None, description="Nuisance parameters that the search profiles; null: none but the yield."
    )
    search: SearchConfig = SearchConfig()

    @model_validator(mode="after")
    def _one_source(self) -> Config:
        if (self.simulate is None) == (self.files is None):
            raise ValueError("say where the events come from: exactly one of 'simulate' and 'files'")
        return self

    @model_validator(mode="after")
    def _columns(self) -> Config:
        given, dim = self.search.embeddings, self.train.encoder.dim
        if given is not None and self.train.several:
            raise ValueError(
                "search.embeddings is set by the run where train.folds or train.ensemble gives several: leave it out"
            )
        if given is not None and sum(given) != dim:
            raise ValueError(f"search.embeddings {list(given)} adds up to {sum(given)}, train.encoder.dim is {dim}")
        return self

    @model_validator(mode="wrap")
    @classmethod
    def _profiled(cls, content: Any, handler: ModelWrapValidatorHandler[Config]) -> Config:
        return _profilable(handler(content))


def _profilable(config: Config) -> Config:
    """The configuration with one uncertainty of the yield; ValueError if its systematics cannot be profiled."""
    systematics, search = config.systematics, config.search
    names = () if systematics is None else systematics.nuisance_set.names
    for key, name in [("nu", name) for name in config.data.nu] + [
        ("auxiliary", name) for name in config.data.auxiliary
    ]:
        if name not in names:
            where = f"the table systematics.nuisances{did_you_mean(name, names)}" if names else "a run without any"
            raise ValueError(f"data.{key}: no nuisance parameter '{name}' in {where}")
    if systematics is None:
        try:
            search.check_profiled(False)
        except ConfigError as error:
            raise ValueError(f"search: {error}") from error
        return config
    if search.statistic != "converged" or search.calibration not in ("auto", "toys"):
        raise ValueError(
            "systematics are profiled with search.statistic 'converged' and search.calibration 'auto' or 'toys', not "
            f"with '{search.statistic}' and '{search.calibration}'"
        )
    systematics.check_training(config.train)
    systematics.check_auxiliary(config.data.auxiliary)
    if not config.select:
        raise ValueError("systematics move events across the selection: set 'select', or use a schema without one")
    scaled = systematics.overall_normalisation
    if scaled is None or systematics.yield_twice or search.normalisation == "known":
        return config
    if "normalisation" not in search.model_fields_set:  # the table says how well the yield is known
        return config.model_copy(update={"search": search.model_copy(update={"normalisation": "known"})})
    raise ValueError(
        f"the yield is uncertain twice: by '{scaled}' in systematics.nuisances and by search.normalisation "
        f"'{search.normalisation}'. Set search.normalisation to 'known', take '{scaled}' out of the table, or set "
        "systematics.yield_twice if both are meant"
    )


def parse_config(content: Any, origin: str = "config") -> Config:
    """Build a Config from a mapping; ConfigError with the key's path and a suggestion for the first mistake."""
    if not isinstance(content, dict):
        raise ConfigError(f"{origin}: a configuration is a mapping of sections, got {type(content).__name__}")
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"{origin}: {mistakes(error, Config, content)}") from error


def load_config(path: str | Path) -> Config:
    """Read and check a YAML file. Errors: MissingFileError, ConfigError."""
    return parse_config(read_yaml(Path(path)), origin=str(path))


class _SearchFile(_Section):
    """A file for the commands that search arrays and nothing before."""

    search: SearchConfig


def load_search(path: str | Path | None) -> SearchConfig:
    """Return the section `search` of a run's configuration, or of a file with nothing else; None: the defaults.

    Errors: MissingFileError, ConfigError.
    """
    if path is None:
        return SearchConfig()
    content, origin = read_yaml(Path(path)), str(path)
    others = {field.alias or name for name, field in Config.model_fields.items()} - {"search"}
    if not isinstance(content, dict) or {"simulate", "files"} & {*content}:
        return parse_config(content, origin).search
    if beside := sorted(others & {*content}):
        raise ConfigError(
            f"{origin}: '{beside[0]}' belongs to a run, which says where its events come from ('simulate' or 'files'): "
            "complete it, or leave the section 'search' alone"
        )
    if bare := sorted(SearchConfig.model_fields.keys() & {*content}):
        example = f"search: {{{bare[0]}: {content[bare[0]]}}}"
        raise ConfigError(f"{origin}: '{bare[0]}' belongs into a section 'search', e.g. {example}")
    try:
        return _SearchFile.model_validate(content).search
    except ValidationError as error:
        raise ConfigError(f"{origin}: {mistakes(error, _SearchFile, content)}") from error


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file. Errors: MissingFileError, ConfigError."""
    if not path.is_file():
        siblings = [p.name for p in path.parent.glob("*.yaml")] if path.parent.is_dir() else []
        raise MissingFileError(f"no configuration file {path}{did_you_mean(path.name, siblings)}")
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error


def to_yaml(config: BaseModel) -> str:
    """The configuration as resolved, with every default written out."""
    content = config.model_dump(mode="json", by_alias=True)
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
