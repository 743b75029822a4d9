"""Search for better training settings with Optuna, judged by processes or changes that no result is quoted for.

Every trial trains an embedding and minimises the geometric mean of N_3 over background processes that training and
reference do not know (`leave_out`), or over synthetic anomalies (`synthetic`): never over the study's signals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from unseen.errors import ConfigError, MissingExtraError, StoreMismatchError, UnseenError
from unseen.events.atomic import write_json
from unseen.seeds import generator, small_seed
from unseen.stages import digest
from unseen.study.anomalies import ANOMALIES
from unseen.study.grid import Entry, changed, check_key, model_entry
from unseen.study.measure import Job, Work, left_out_numbers, one_thread, samples_of, trained
from unseen.study.numbers import power_numbers
from unseen.study.ranges import check_ranges
from unseen.study.settings import ParameterConfig, StudyConfig, TuningConfig
from unseen.study.trainable import check_training_of
from unseen.workers import Workers

__all__ = ["BEST", "Trial", "check_tuning", "evaluate_trial", "tune"]

BEST = "best (optuna)"
STORAGE = "optuna.db"
STUDY = "study"
FAILED = "failed"  # trials without a number, and why
OUT_OF_REACH = 2.0  # N_3 counts as this times the signal events where they do not suffice
Finished = Callable[[int, float], None]


@dataclass(frozen=True)
class Trial:
    """One proposal: its number and its entry."""

    number: int
    job: Job

    def __str__(self) -> str:
        return f"trial {self.number}"


def check_tuning(config: StudyConfig) -> None:
    """Refuse what cannot work before anything is started: every choice, and both ends of every range.

    Errors: ConfigError, MissingExtraError.
    """
    tuning = config.optuna
    if tuning is None:
        return
    _optuna()
    without = tuning.processes if tuning.objective == "leave_out" else ("",)

    def accept(point: dict[str, Any]) -> None:
        entry = model_entry(BEST, BEST, changed(_base(config), point), config.seed, "a trial")
        assert entry.training is not None
        check_training_of(config, entry.training, "a trial", dict.fromkeys([*without, "", *config.leave_out]))

    for key in tuning.parameters:
        check_key(key, "optuna.parameters")
    check_ranges(tuning.parameters, accept)


def tune(config: StudyConfig, work: Work, key: str, workers: Workers, finished: Finished) -> Entry:
    """Return the entry with the best settings; trials that are in the study's folder are not done again.

    `key` stands for all that fixes a trial's value but its parameters. Each trial is proposed from the finished ones
    and its own seed, so a search that was stopped continues to the same result.
    Errors: StoreMismatchError, ConfigError (no trial gave a number).
    """
    optuna, tuning = _optuna(), config.optuna
    assert tuning is not None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    key = digest({"key": key, "tuning": tuning.model_dump(mode="json", exclude={"trials"}), "base": _base(config)})
    study = _opened(optuna, work.folder / STORAGE, key)

    def told(trial: Trial, value: float | str) -> None:
        if isinstance(value, str):
            _failed(optuna, study, trial.number, value)
            return
        study.tell(trial.number, value)
        finished(trial.number, value)

    while len(study.trials) < tuning.trials or _open_trials(optuna, study):
        jobs = []
        for number, parameters in _open_trials(optuna, study) or _proposed(optuna, study, tuning):
            try:
                jobs.append(_trial(config, number, parameters, key))
            except UnseenError as error:  # settings that exclude each other: as good as a training that failed
                _failed(optuna, study, number, f"{type(error).__name__}: {error}")
        if jobs:
            workers.run(evaluate_trial, jobs, told, shared=work)
    done = study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))
    if not done:
        why = list(study.user_attrs.get(FAILED, {}).values())
        raise ConfigError(f"no trial of the search gave a number: {why[-1] if why else 'see the ranges'}")
    _report(work.folder, study, done)
    return model_entry(BEST, BEST, changed(_base(config), _plain(study.best_params, tuning)), config.seed, BEST)


def evaluate_trial(trial: Trial, work: Work) -> float | str:
    """Return the geometric mean of N_3 of a trial, or why there is none; runs inside a worker."""
    config, tuning = work.config, work.config.optuna
    assert tuning is not None
    power = config.power.model_copy(update={"normalisations": (tuning.normalisation,), "tests": ("kernel",)})
    own = replace(work, config=config.model_copy(update={"power": power}))
    folder = work.folder / "trials" / f"{trial.number:04d}-{trial.job.digest[:10]}"
    with one_thread():
        try:
            values: dict[str, Any] = {}
            if tuning.objective == "leave_out":
                for process in tuning.processes:
                    values |= left_out_numbers(trial.job.entry, process, own, folder)[0]
            else:
                values = _synthetic(trial.job.entry, own, tuning, folder)
        except UnseenError as error:
            return f"{type(error).__name__}: {error}"
    return _score(values)


def _synthetic(entry: Entry, work: Work, tuning: TuningConfig, folder: Path) -> dict[str, Any]:
    events = work.pools.anomalies
    assert events is not None
    config = work.config
    made = {name: ANOMALIES[name](events, generator(config.seed, "study", name)) for name in tuning.anomalies}
    pools = replace(work.pools, signals=made)
    found = trained(entry, pools, folder / "train")
    samples = samples_of(found.embed, pools, config.power.n_data)
    return power_numbers(samples, config.power, config.seed, folder / "toys", embeddings=found.dims)[0]


def _score(values: Mapping[str, Any]) -> float | str:
    numbers = []
    for key, value in values.items():
        if key.endswith(".n3"):
            above = values.get(f"{key}_above")
            if value is None:
                if above is None:
                    return f"N_3 is unknown: {key}"
                value = OUT_OF_REACH * above
            numbers.append(value)
    return float(np.exp(np.mean(np.log(np.maximum(numbers, 1e-3)))))


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError("the section 'optuna' needs optuna: pip install 'unseen[study]'") from error
    return optuna


def _opened(optuna: Any, path: Path, key: str) -> Any:
    path.parent.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        storage=f"sqlite:///{path.resolve()}", study_name=STUDY, direction="minimize", load_if_exists=True
    )
    if study.user_attrs.setdefault("key", key) != key:
        raise StoreMismatchError(
            f"the trials in {path} were made with other events or settings: choose another --out, or delete it"
        )
    study.set_user_attr("key", key)
    return study


def _failed(optuna: Any, study: Any, number: int, reason: str) -> None:
    """End a trial without a number, and keep why; a trial that stays open would be done again by every restart."""
    study.set_user_attr(FAILED, {**study.user_attrs.get(FAILED, {}), str(number): reason})
    study.tell(number, state=optuna.trial.TrialState.FAIL)


def _open_trials(optuna: Any, study: Any) -> list[tuple[int, dict[str, Any]]]:
    """Trials that were proposed but not finished: they are done again."""
    running = study.get_trials(states=(optuna.trial.TrialState.RUNNING,))
    return [(trial.number, dict(trial.params)) for trial in running if trial.user_attrs.get("proposed")]


def _proposed(optuna: Any, study: Any, tuning: TuningConfig) -> list[tuple[int, dict[str, Any]]]:
    """Ask for the next trials; the sampler of each starts from its own seed, so history alone decides."""
    batch = []
    for _ in range(min(tuning.batch, tuning.trials - len(study.trials))):
        number = len(study.trials)
        study.sampler = optuna.samplers.TPESampler(seed=small_seed(tuning.seed, "study", "optuna", number, below=2**31))
        trial = study.ask()
        for key, parameter in tuning.parameters.items():
            _suggest(trial, key, parameter)
        trial.set_user_attr("proposed", True)
        batch.append((trial.number, dict(trial.params)))
    return batch


def _suggest(trial: Any, key: str, parameter: ParameterConfig) -> None:
    if parameter.choices is not None:
        # Optuna keeps plain values only: mappings and lists go by their place.
        trial.suggest_int(key, 0, len(parameter.choices) - 1) if _structured(parameter) else trial.suggest_categorical(
            key, list(parameter.choices)
        )
    elif parameter.integer:
        trial.suggest_int(key, int(parameter.low or 0), int(parameter.high or 0), log=parameter.log)
    else:
        trial.suggest_float(key, parameter.low, parameter.high, log=parameter.log)


def _structured(parameter: ParameterConfig) -> bool:
    return any(isinstance(choice, dict | list | tuple) for choice in parameter.choices or ())


def _plain(parameters: Mapping[str, Any], tuning: TuningConfig) -> dict[str, Any]:
    """Return the values that Optuna's parameters stand for."""
    found = {}
    for key, value in parameters.items():
        choices = tuning.parameters[key].choices
        found[key] = choices[value] if choices is not None and _structured(tuning.parameters[key]) else value
    return found


def _base(config: StudyConfig) -> dict[str, Any]:
    return dict(config.grid.base) if config.grid is not None else {}


def _trial(config: StudyConfig, number: int, parameters: dict[str, Any], key: str) -> Trial:
    assert config.optuna is not None
    content = changed(_base(config), _plain(parameters, config.optuna))
    entry = model_entry(f"trial {number}", "optuna", content, config.seed, f"trial {number}")
    return Trial(number, Job(entry, digest({"key": key, "parameters": parameters})))


def _report(folder: Path, study: Any, done: list[Any]) -> None:
    trials = [{"number": trial.number, "value": trial.value, "parameters": trial.params} for trial in done]
    failed = {FAILED: study.user_attrs[FAILED]} if FAILED in study.user_attrs else {}
    write_json(folder / "trials.json", {"best": study.best_trial.number, "trials": trials, **failed})
