"""The typed settings of a study: one YAML file, checked in full before any work starts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from unseen.config import ADC2021_MIXTURE, FilesConfig, SearchConfig, read_yaml
from unseen.errors import ConfigError, NuisanceError
from unseen.mistakes import mistakes
from unseen.rivals import RIVALS
from unseen.search.null import MIN_TOYS
from unseen.search.validate import check_name
from unseen.study.anomalies import ANOMALIES
from unseen.study.covariance.settings import CovarianceConfig
from unseen.study.representations import REPRESENTATIONS
from unseen.systematics.checks import processes_there

__all__ = [
    "GridConfig",
    "ParameterConfig",
    "PowerConfig",
    "SampleConfig",
    "StudyConfig",
    "StudyPoolsConfig",
    "TuningConfig",
    "Widths",
    "load_study",
    "parse_study",
]

Widths = Literal["several", "one"]
Share = float
FEWEST_NULL = 572  # with fewer not even Z = 2 is resolved


def _some(names: tuple[Any, ...]) -> tuple[Any, ...]:
    if not names:
        raise ValueError("the list is empty; name one or more, or leave the key out for the default")
    return _each_once(names)


def _each_once(names: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(names)) < len(names):
        raise ValueError(f"the entries must be different, got {', '.join(map(str, names))}")
    return names


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class SampleConfig(_Section):
    """Simulated samples, as `unseen simulate` writes them: folders with a sample.json, labelled by process."""

    test: Path = Field(description="Background and signals.")
    train: Path | None = Field(default=None, description="Events for training only.")


class StudyPoolsConfig(_Section):
    """How many background events go where; drawn once for all entries, disjoint, without any signal."""

    mixture: dict[str, Share] = Field(default=ADC2021_MIXTURE, description="Shares of the processes in the data.")
    train: int = Field(default=20_000, gt=0, description="Events to learn embeddings from.")
    train_mixture: dict[str, Share] | None = Field(default=None, description="Shares in training; default: mixture.")
    settings: int = Field(default=2500, gt=1, description="Events that fix the tests' settings (centres, widths).")
    reference: int = Field(default=20_000, gt=1, description="Reference sample of the test, N_R.")
    toys: int = Field(default=6000, gt=1, description="Pool from which toys get their data, with the reference.")
    anomalies: int = Field(default=2000, gt=1, description="Events that synthetic anomalies are made of, if any are.")

    @model_validator(mode="after")
    def _valid_shares(self) -> StudyPoolsConfig:
        for name, shares in (("mixture", self.mixture), ("train_mixture", self.train_mixture or {"all": 1.0})):
            if not shares or min(shares.values()) < 0 or abs(sum(shares.values()) - 1) > 1e-6:
                raise ValueError(f"{name} must hold non-negative shares that add up to 1, got {shares}")
        return self


class PowerConfig(_Section):
    """How the power of the search in every representation is measured."""

    n_data: float = Field(default=2000.0, ge=1.0, description="Background events expected in the data, N.")
    n_reference: int | None = Field(default=None, gt=1, description="Reference events; null: the whole pool.")
    injections: tuple[int, ...] | None = Field(
        default=None,
        description="Numbers of signal events; extended where they do not bracket N_3. null: found automatically.",
    )
    factor: float = Field(default=1.5, gt=1.0, le=4.0, description="Between neighbouring numbers of signal events.")
    toys: int = Field(default=200, ge=MIN_TOYS, description="Pseudo-data sets at each number of signal events.")
    null_toys: int = Field(default=10_000, ge=FEWEST_NULL, description="Null toys; N_3 needs 9,631.")
    normalisations: tuple[str, ...] = Field(default=("known", "free"), description="As for the search, one or more.")
    statistic: Literal["converged", "one_step", "linear"] = Field(
        default="linear", description="Statistic of the kernel test; linear is a hundred times faster."
    )
    calibration: Literal["auto", "toys", "linear", "asymptotic"] = Field(
        default="auto", description="As for `unseen power`; auto: analytic where it passes its check, else toys."
    )
    widths: str | float | tuple[float, ...] = Field(default="auto", description="Kernel widths, as for the search.")
    n_centers: int = Field(default=500, gt=0, description="Nystrom centres, M.")
    penalty: float = Field(default=1e-6, gt=0, description="lambda of the penalised loss.")
    combination: str = Field(default="smallest_p", description="How the p-values of the widths become one statistic.")
    device: Literal["cpu", "cuda", "auto"] = Field(default="cpu", description="Where fits are computed.")
    tests: tuple[str, ...] = Field(default=("kernel",), description="kernel, and rivals on the same toys.")
    ceiling: bool = Field(default=True, description="Add the Neyman-Pearson row: a classifier that knows the signal.")
    ceiling_share: float = Field(
        default=0.5, gt=0.0, lt=1.0, description="Share of the signal events that train the ceiling; never injected."
    )

    @field_validator("tests")
    @classmethod
    def _known_tests(cls, tests: tuple[str, ...]) -> tuple[str, ...]:
        for name in tests:
            check_name("test", name, ("kernel", *RIVALS))
        return _some(tests)

    @field_validator("normalisations")
    @classmethod
    def _some_normalisations(cls, normalisations: tuple[str, ...]) -> tuple[str, ...]:
        return _some(normalisations)

    @field_validator("injections")
    @classmethod
    def _valid_injections(cls, injections: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if injections is not None and (not injections or min(injections) < 0):
            raise ValueError("numbers of signal events must be zero or more; leave it out to find them automatically")
        return None if injections is None else tuple(sorted(_each_once(injections)))

    @model_validator(mode="after")
    def _possible(self) -> PowerConfig:
        for normalisation in self.normalisations:
            try:
                self.search(normalisation).check_profiled(False)
            except ConfigError as error:
                raise ValueError(str(error)) from error
        return self

    def search(
        self, normalisation: str, widths: float | None = None, embeddings: tuple[int, ...] | None = None
    ) -> SearchConfig:
        """The settings of the kernel test; with `widths` a single one. `embeddings` as in `KernelTest`."""
        names = ("statistic", "calibration", "n_centers", "penalty", "combination", "device")
        said = {name: getattr(self, name) for name in names}
        if normalisation == "free" and self.calibration == "asymptotic":
            said["calibration"] = "auto"  # there is no analytic null of shape alone
        said["widths"] = self.widths if widths is None else widths
        return SearchConfig(normalisation=normalisation, embeddings=embeddings, **said)


class GridConfig(_Section):
    """Every combination of the axes' values on top of the base settings."""

    base: dict[str, Any] = Field(default={}, description="Settings of a training, as under `train` of a run.")
    axes: dict[str, tuple[Any, ...]] = Field(
        default={}, description="Dotted key of the training settings, or `seed` -> its values."
    )
    family: tuple[str, ...] = Field(
        default=(), description="Axes that give a family its name, one colour in figures; all but dimension and seed."
    )


class ParameterConfig(_Section):
    """The range of one training setting in a search for better ones."""

    low: float | None = None
    high: float | None = None
    log: bool = Field(default=False, description="Draw the logarithm uniformly.")
    integer: bool = False
    choices: tuple[Any, ...] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> ParameterConfig:
        ends = self.low is not None and self.high is not None
        if ends == (self.choices is not None) or (self.low is None) != (self.high is None):
            raise ValueError("give low and high, or choices")
        if self.low is not None and self.high is not None:
            if self.low >= self.high or (self.log and self.low <= 0):
                raise ValueError(f"low {self.low:g} must be below high {self.high:g}, and above zero with log: true")
            if self.integer and (self.low % 1 or self.high % 1):
                raise ValueError("the ends of an integer range must be whole numbers")
        if self.choices is not None and not self.choices:
            raise ValueError("choices is empty")
        return self


class TuningConfig(_Section):
    """A search for training settings with Optuna. Its objective never sees the signals that are reported."""

    objective: Literal["leave_out", "synthetic"] = Field(
        description="What N_3 is minimised of: background processes left out of training and reference, or background "
        "events with changed kinematics."
    )
    processes: tuple[str, ...] = Field(default=(), description="For leave_out: which processes, one after the other.")
    anomalies: tuple[str, ...] = Field(default=tuple(ANOMALIES), description="For synthetic: which changes.")
    parameters: dict[str, ParameterConfig] = Field(description="Dotted key of the training settings -> its range.")
    trials: int = Field(default=20, gt=0)
    batch: int = Field(default=1, gt=0, description="Trials proposed together, for as many workers.")
    seed: int = Field(default=1, ge=0)
    normalisation: str = Field(default="known", description="Of the test whose N_3 is minimised.")

    @model_validator(mode="after")
    def _consistent(self) -> TuningConfig:
        for name in _each_once(self.anomalies):
            check_name("anomaly", name, ANOMALIES)
        if self.objective == "leave_out" and not _each_once(self.processes):
            raise ValueError("objective leave_out needs processes, e.g. processes: [z, tt]")
        if self.objective == "synthetic" and not self.anomalies:
            raise ValueError(f"anomalies is empty; objective synthetic needs some of {', '.join(ANOMALIES)}")
        SearchConfig(normalisation=self.normalisation)
        if not self.parameters:
            raise ValueError("parameters is empty; name settings and their ranges")
        return self


class StudyConfig(_Section):
    """Everything that determines a study; equal settings give equal tables."""

    name: str = Field(default="study", description="Title of the page.")
    out: Path = Field(default=Path("runs/study"), description="The study's folder.")
    seed: int = Field(default=1, ge=0, description="The one root seed.")
    schema_: str = Field(default="adc2021", alias="schema", description="Built-in event layout or a YAML file.")
    select: bool = Field(default=True, description="Apply the schema's selection on loading.")
    files: FilesConfig | None = Field(
        default=None, description="Files by process; `train` is used in training only and takes precedence there."
    )
    sample: SampleConfig | None = Field(default=None, description="Or simulated samples.")
    signals: tuple[str, ...] = Field(min_length=1, description="Processes that are injected; never in a pool.")
    pools: StudyPoolsConfig = StudyPoolsConfig()
    power: PowerConfig = PowerConfig()
    grid: GridConfig | None = None
    models: dict[str, dict[str, Any]] = Field(
        default={}, description="Name -> training settings (and `seed`, `family`)."
    )
    representations: tuple[str, ...] = Field(
        default=tuple(REPRESENTATIONS), description="Rows that are not learned, for comparison."
    )
    representation_widths: tuple[Widths, ...] = Field(
        default=("several", "one"), description="Kernel widths of those rows: several, one (90th percentile)."
    )
    leave_out: tuple[str, ...] = Field(
        default=(), description="Processes left out of training and reference in turn and taken as signal."
    )
    systematics: CovarianceConfig | None = Field(
        default=None, description="Nuisance parameters, and how every entry covaries with them."
    )
    probe_events: int = Field(default=20_000, gt=0, description="Most events that a linear probe is fitted on.")
    optuna: TuningConfig | None = None

    @field_validator("signals", "leave_out", "representation_widths")
    @classmethod
    def _once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return _each_once(names)

    @field_validator("representations")
    @classmethod
    def _known_representations(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            check_name("representation", name, REPRESENTATIONS)
        return _each_once(names)

    @model_validator(mode="after")
    def _consistent(self) -> StudyConfig:
        if (self.files is None) == (self.sample is None):
            raise ValueError("say where the events come from: exactly one of 'files' and 'sample'")
        if self.systematics is not None:
            self._check_systematics(self.systematics)
        processes = {*self.pools.mixture, *(self.pools.train_mixture or {})}
        if self.representations and not self.representation_widths:
            raise ValueError("representation_widths is empty; name one or more, or set representations: []")
        for name in self.signals:
            if name in processes or "." in name:
                raise ValueError(f"signal '{name}' is also in pools.mixture or train_mixture, or has a dot in its name")
            if self.files is not None and name in (self.files.train or {}):
                raise ValueError(f"signal '{name}' is among the training files (files.train): no embedding may see it")
        tuned = self.optuna.processes if self.optuna is not None and self.optuna.objective == "leave_out" else ()
        for name in (*self.leave_out, *tuned):
            check_name("process to leave out", name, tuple(self.pools.mixture))
        return self

    def _check_systematics(self, section: CovarianceConfig) -> None:
        if not self.select:
            raise ValueError("systematics needs select: true: events migrate across the schema's selection")
        background = [name for name, share in self.pools.mixture.items() if share > 0]
        try:
            processes_there(background, section.in_widths.nuisances, "pools.mixture")
        except NuisanceError as error:
            raise ValueError(f"systematics.nuisances: {error}") from error
        for name in section.n_signal or {}:
            check_name("signal in systematics.n_signal", name, self.signals)


def parse_study(content: Any, origin: str = "study") -> StudyConfig:
    """Build from a mapping; ConfigError with the key's path and a suggestion for the first mistakes."""
    if not isinstance(content, Mapping):
        raise ConfigError(f"{origin}: a study is a mapping of sections, got {type(content).__name__}")
    try:
        return StudyConfig.model_validate(dict(content))
    except ValidationError as error:
        raise ConfigError(f"{origin}: {mistakes(error, StudyConfig, content)}") from error


def load_study(path: str | Path) -> StudyConfig:
    """Read and check a YAML file. Errors: MissingFileError, ConfigError, UnknownNameError."""
    return parse_study(read_yaml(Path(path)), origin=str(path))
