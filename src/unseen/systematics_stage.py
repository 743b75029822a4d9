"""The stage of a run that learns what its nuisance parameters do to the embedded events, and tests what it learned."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unseen.arrays import FloatArray
from unseen.config import DataConfig
from unseen.config_systematics import RatioConfig, RunSystematics, is_overall
from unseen.context import RunContext
from unseen.dealing import SIGNALS
from unseen.embed import Ensemble, Model, load_trained
from unseen.events import Events
from unseen.events.atomic import write_json
from unseen.progress import Update
from unseen.search import RatioCoefficients
from unseen.search.profile_trust import Trust
from unseen.seeds import generator, small_seed
from unseen.sources import RATIO
from unseen.stored import passing
from unseen.systematics import (
    Closure,
    DensityRatio,
    NuisanceConfig,
    NuisanceSet,
    RatioSamples,
    fit_kernel_ratio,
    join,
    moment_closure,
    propose,
    ratio_samples,
    yield_ratio,
)
from unseen.systematics_response import RESPONSE, signal_overlaps, write_response

__all__ = ["PriorUnits", "profiled_ratio", "systematics_stage"]

FOLDER, DETAILS = "ratio", "systematics.json"
OVERLAPS = "overlaps.json"
OUTPUTS = (f"{FOLDER}/ratio.json", f"{FOLDER}/ratio.safetensors", DETAILS, RESPONSE, OVERLAPS)
AXES = 4  # values of nu along every axis, and twice as many combinations as there are cross terms
TESTED = (-2.0, -1.0, 1.0, 2.0)  # widths of the prior, for every parameter
COMBINATIONS = 4


def systematics_stage(run: RunContext) -> None:
    """Learn the density ratio, test its closure on events that it has not seen, and keep both."""
    section = run.config.systematics
    if section is None:
        return

    def work(folder: Path) -> None:
        model = load_trained(run.model)
        fit, held = _parts(run.pools[1][RATIO], section.ratio.held_out, run.config.seed)
        ratio = _learn(run, section, model, fit)
        samples = _held_out(run, section, model, ratio, held)
        closure = _closure(run, section, ratio, samples)
        run.display.say(closure.summary())
        ratio.with_closure(closure).save(folder / FOLDER)
        width = _widths(section.nuisance_set.subset(*ratio.names))
        write_response(folder / RESPONSE, samples, width, run.config.seed)
        write_json(folder / OVERLAPS, _overlaps(run, model, PriorUnits(ratio, width)))
        write_json(folder / DETAILS, _details(section, ratio, closure, {"fit": fit, "held_out": held}))

    inputs = {
        "systematics": section.model_dump(mode="json"),
        "pools": run.config.pools.model_dump(mode="json"),
    }
    run.stage("systematics", inputs, work, OUTPUTS)


def _parts(events: Events, held_out: float, seed: int) -> tuple[Events, Events]:
    """Events to fit, and held-out ones; copies of one generated event stay together."""
    ids = events.record.get("source", np.arange(len(events)))
    _, event = np.unique(ids, return_inverse=True)
    held = (generator(seed, "systematics", "parts").random(int(event.max()) + 1) < held_out)[event]
    return events[~held], events[held]


def _learn(run: RunContext, section: RunSystematics, model: Model | Ensemble, events: Events) -> DensityRatio:
    """The ratio of all nuisances: that of an overall normalisation is known, the others' is learned from events."""
    known = [row for row in section.nuisances if is_overall(row)]
    learned = NuisanceSet(section.moving)
    parts = [_fit(run, section.ratio, learned, model, events)] if len(learned) else []
    dimensions = parts[0].n_features if parts else model.embed(events[:1]).shape[1]
    return join(*parts, *(_yield(row, dimensions, section.ratio.width) for row in known))


def _yield(row: NuisanceConfig, dimensions: int, width: float) -> DensityRatio:
    reach = width * row.prior.width
    return yield_ratio(row.parameter, row.magnitude, dimensions, limits=(-reach, reach))


def _fit(
    run: RunContext, settings: RatioConfig, nuisances: NuisanceSet, model: Model | Ensemble, events: Events
) -> DensityRatio:
    k, seed = len(nuisances), run.config.seed
    n = settings.n_nu or AXES * k + k * (k + 1)
    nus = propose(k, n, generator(seed, "systematics", "nu"), width=settings.width) * _widths(nuisances)
    with run.display.bar("distorting and embedding") as update:
        samples = ratio_samples(
            events, nuisances, model.embed, nus, seed=small_seed(seed, "systematics"), progress=_shown(update, n)
        )
    run.display.say(f"learning the density ratio of {', '.join(nuisances.names)} at {n} values")
    return fit_kernel_ratio(
        samples,
        nuisances.names,
        n_centers=settings.n_centers,
        rank=settings.rank,
        widths=settings.widths,
        penalty=settings.penalty,
        seed=small_seed(seed, "systematics", "fit"),
    )


def _shown(update: Update, total: int) -> Callable[[Iterable[int]], Iterator[int]]:
    def wrapped(numbers: Iterable[int]) -> Iterator[int]:
        for done, number in enumerate(numbers):
            update(done, total, "")
            yield number

    return wrapped


def _held_out(
    run: RunContext, section: RunSystematics, model: Model | Ensemble, ratio: DensityRatio, events: Events
) -> RatioSamples:
    """Held-out events, nominal and at the tested nu."""
    seed, nuisances = small_seed(run.config.seed, "systematics", "closure"), section.nuisance_set.subset(*ratio.names)
    nus = _tested(ratio, nuisances, np.random.default_rng(seed))
    with run.display.bar("closure: distorting and embedding") as update:
        return ratio_samples(events, nuisances, model.embed, nus, seed=seed, progress=_shown(update, len(nus)))


def _closure(run: RunContext, section: RunSystematics, ratio: DensityRatio, samples: RatioSamples) -> Closure:
    """How far events at nu are from nominal ones of weight r, for as many data events as the search expects."""
    seed = small_seed(run.config.seed, "systematics", "closure")
    return moment_closure(ratio, samples, n_data=run.config.pools.expected, limit=section.closure.limit, seed=seed)


def _tested(ratio: DensityRatio, nuisances: NuisanceSet, rng: np.random.Generator) -> FloatArray:
    """Values of nu (n, k): parameters alone at +-1 and +-2 widths of their priors, and combinations drawn from them."""
    k = len(nuisances)
    axes = np.concatenate([step * np.eye(k) for step in TESTED])
    mixed = rng.normal(size=(COMBINATIONS if k > 1 else 0, k)).clip(min(TESTED), max(TESTED))
    nus = np.concatenate([axes, mixed]) * _widths(nuisances) + 0.0  # no negative zeros in what people read
    return nus.clip(ratio.limits[:, 0], ratio.limits[:, 1])


def _overlaps(run: RunContext, model: Model | Ensemble, ratio: PriorUnits) -> dict[str, Any]:
    """What the run's simulated signals look like."""
    config, events = run.config, run.pools[1].get(SIGNALS)
    parts = {} if events is None else {name: events.of(name) for name in events.label_names}
    signals = {name: model.embed(part).astype(np.float64) for name, part in parts.items() if len(part)}
    known = config.search.normalisation == "known"
    return signal_overlaps(run.out / "embed", signals, ratio, config.pools.expected, known, config.seed)


def _details(
    section: RunSystematics, ratio: DensityRatio, closure: Closure, parts: dict[str, Events]
) -> dict[str, Any]:
    """What a reader wants to know of the ratio, beside what it says of itself."""
    return {
        "nuisances": section.nuisance_set.table(),
        "limits": {name: list(pair) for name, pair in zip(ratio.names, ratio.limits.tolist(), strict=True)},
        "fit": dict(ratio.report),
        "closure": closure.to_json(),
        "events": {name: {"stored": len(part), "selected": int(passing(part).sum())} for name, part in parts.items()},
    }


def _widths(nuisances: NuisanceSet) -> FloatArray:
    return np.array([each.prior.width for each in nuisances.nuisances])


@dataclass(frozen=True, eq=False)
class PriorUnits:
    """A ratio in units in which every prior has width one, as the search has it: nu / width."""

    ratio: DensityRatio
    width: FloatArray

    def __call__(self, z: FloatArray) -> RatioCoefficients:
        """Coefficients of events z (n, d)."""
        linear, quadratic = self.ratio.delta(z)
        limits = self.ratio.limits / self.width[:, None]
        return RatioCoefficients(
            linear * self.width,
            quadratic * np.outer(self.width, self.width),
            self.ratio.names,
            trust=Trust.checked(limits, self.ratio.closure),
        )


def profiled_ratio(run: RunContext) -> tuple[PriorUnits, FloatArray] | None:
    """The run's ratio as a function of events for the search, and its auxiliary measurements in units of the priors.

    None in a run without systematics.
    """
    if run.config.systematics is None:
        return None
    ratio = DensityRatio.load(run.out / "systematics" / FOLDER)
    nuisances = run.config.systematics.nuisance_set.subset(*ratio.names)
    rng = generator(run.config.seed, "data", "auxiliary")
    width = _widths(nuisances)
    return PriorUnits(ratio, width), _measured(run.config.data, nuisances, ratio.limits, rng) / width


def _measured(data: DataConfig, nuisances: NuisanceSet, limits: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Auxiliary measurements (k,): those named; of pseudo-data at nu thrown around it, as toys' are; else prior means.

    A measurement that stayed at the prior's mean while the truth is elsewhere would be a fluctuation of its own.
    """
    values = np.array([each.prior.mean for each in nuisances.nuisances])
    if any(data.nu.values()):
        true = np.array([data.nu.get(name, 0.0) for name in nuisances.names])
        values = (true + _widths(nuisances) * rng.standard_normal(len(true))).clip(limits[:, 0], limits[:, 1])
    given = [data.auxiliary.get(name) for name in nuisances.names]
    return np.array([value if own is None else own for own, value in zip(given, values.tolist(), strict=True)])
