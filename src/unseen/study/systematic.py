"""The nuisance parameters of a study on one entry: its events through its representation, and the columns `nu.*`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from unseen.errors import ConfigError, ConvergenceError, NotEnoughEventsError
from unseen.events import Events
from unseen.power.rival import Samples
from unseen.search.validate import Floats
from unseen.seeds import generator
from unseen.study.covariance.columns import covariance_columns
from unseen.study.covariance.from_events import at_events, learned_ratio
from unseen.study.covariance.moved import At, Delta
from unseen.study.covariance.numbers_kept import number_ratio
from unseen.study.covariance.represented import Represented
from unseen.study.covariance.robustness_columns import signal_numbers
from unseen.study.covariance.settings import CovarianceConfig
from unseen.study.numbers import Values, power_numbers
from unseen.study.pools import StudyPools
from unseen.study.representations import everything
from unseen.study.settings import StudyConfig, Widths
from unseen.study.stored import thinned, worth
from unseen.systematics import DensityRatio, NuisanceSet

__all__ = ["power_kept", "systematic_numbers", "with_preserved"]

Embed = Callable[[Events], Floats]


def systematic_numbers(
    embed: Embed,
    samples: Samples,
    pools: StudyPools,
    config: StudyConfig,
    folder: Path,
    widths: Widths,
    ratio: DensityRatio | None = None,
) -> tuple[Values, list[str]]:
    """Return the columns `nu.*` of a representation whose embedded pools are `samples`, and notes.

    `ratio` is the one that came with it; a kernel ratio is learned where none did.
    """
    section = config.systematics
    if section is None:
        raise ConfigError("the study has no section 'systematics'")
    nuisances = section.in_widths
    judged = at_events(embed, nuisances, pools.stored["judge"])
    equal = thinned(pools.stored["judge"], generator(config.seed, "study", "thin"))
    delta = _learned(embed, nuisances, pools, section, config.seed) if ratio is None else ratio
    raw = _on_raw_inputs(nuisances, pools, section, config.seed) if section.information else None
    on = Represented(
        names=nuisances.names,
        settings=samples.settings,
        reference=samples.reference,
        pool=samples.pool,
        delta=delta,
        judged=judged,
        thinned=at_events(embed, nuisances, equal),
        raw=raw,
        signals={name: at_events(embed, nuisances, events) for name, events in pools.stored_signals.items()},
        injected=_injected(embed, nuisances, pools, config, section),
        learn=(embed(pools.natural), samples.signals),
        n_data=config.power.n_data,
        widths="percentile(90)" if widths == "one" else config.power.widths,
        n_centers=config.power.n_centers,
        penalty=config.power.penalty,
        config=section,
        seed=config.seed,
    )
    values, notes = covariance_columns(on)
    if section.power_kept:
        try:
            found, more = power_kept(samples, delta, config, folder, widths)
            values, notes = values | found, notes + more
        except (NotEnoughEventsError, ConvergenceError) as error:  # toys far out in nu: the rest of the row stays
            notes.append(f"nu.power_kept: {error}")
    return values, notes


def _injected(
    embed: Embed, nuisances: NuisanceSet, pools: StudyPools, config: StudyConfig, section: CovarianceConfig
) -> dict[str, At]:
    """Return as many events of each signal as data sets with it need: they are embedded at every point nu."""
    found = {}
    for name, n in signal_numbers(section, pools.stored_signals, config.power.n_data).items():
        events = worth(pools.stored_signals[name], n, generator(config.seed, "study", "inject", name))
        found[name] = at_events(embed, nuisances, events)
    return found


def _on_raw_inputs(
    nuisances: NuisanceSet, pools: StudyPools, section: CovarianceConfig, seed: int
) -> tuple[DensityRatio, At]:
    """Return a ratio learned from everything that is measured of an event, and these inputs at nu."""

    def inputs(events: Events) -> Floats:
        return everything(events, pools.train)

    return _learned(inputs, nuisances, pools, section, seed), at_events(inputs, nuisances, pools.stored["judge"])


def _learned(
    embed: Embed, nuisances: NuisanceSet, pools: StudyPools, section: CovarianceConfig, seed: int
) -> DensityRatio:
    """Return a ratio learned from the events set apart to learn from."""
    learn = pools.stored["learn"]
    return learned_ratio(at_events(embed, nuisances, learn), len(learn), nuisances.names, section, seed)


def power_kept(
    samples: Samples, delta: Delta, config: StudyConfig, folder: Path, widths: Widths
) -> tuple[Values, list[str]]:
    """Return N_3 of the converged test with nu profiled and with nu known, and their ratio for every signal."""
    power = config.power.model_copy(
        update={"statistic": "converged", "calibration": "toys", "normalisations": ("known",), "tests": ("kernel",)}
    )
    values: Values = {}
    found: dict[str, Values] = {}
    notes: list[str] = []
    for name, ratio in (("known", None), ("profiled", delta)):
        found[name], unknown = power_numbers(samples, power, config.seed, folder / f"nu-{name}", widths, ratio)
        values |= {f"nu.{name}.{key.split('.', 1)[1]}": value for key, value in found[name].items()}
        notes += [f"nu.{name}.{note}" for note in unknown]
    for signal in samples.signals:
        kept = number_ratio(found["known"], found["profiled"], signal)
        values |= {f"nu.power_kept.{signal}": kept.value, f"nu.power_kept.{signal}.at_least": kept.at_least}
    return values, notes


def with_preserved(rows: Sequence[Values], config: StudyConfig) -> list[Values]:
    """Return the rows with `nu.preserved.S`: N_3 of an entry over that of the one named in `systematics.before`."""
    before = {} if config.systematics is None else config.systematics.before
    by_name = {row["name"]: row for row in rows}
    test = config.power.normalisations[0]
    found = []
    for row in rows:
        values = dict(row)
        for signal in config.signals if row["name"] in before else ():
            key = f"{test}.{signal}.n3"
            other = by_name[before[row["name"]]]
            if key in row and key in other:  # an entry that failed has none
                kept = number_ratio(other, row, signal, test=test)
                values |= {f"nu.preserved.{signal}": kept.value, f"nu.preserved.{signal}.at_least": kept.at_least}
        found.append(values)
    return found
