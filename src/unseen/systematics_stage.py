"""The stage of a run that learns what its nuisance parameters do to the embedded events, and tests what it learned.

nu is in widths of the priors here, and in all that the stage keeps, as it is in the search; `data.nu` and
`data.auxiliary` are in the units of the table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from unseen.arrays import FloatArray, read_arrays
from unseen.config import DataConfig
from unseen.config_systematics import RatioConfig, RunSystematics, is_overall
from unseen.context import RunContext
from unseen.dealing import SIGNALS
from unseen.embed import Ensemble, Model, load_trained
from unseen.events import Events
from unseen.events.atomic import write_json
from unseen.progress import Update
from unseen.searching import linear_test
from unseen.seeds import generator, small_seed
from unseen.sources import RATIO
from unseen.stored import passing
from unseen.study.covariance.closure import framed
from unseen.study.covariance.from_samples import sample_closure
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

__all__ = ["auxiliary_measurements", "profiled_ratio", "systematics_stage"]

FOLDER, DETAILS = "ratio", "systematics.json"
OVERLAPS = "overlaps.json"
OUTPUTS = (f"{FOLDER}/ratio.json", f"{FOLDER}/ratio.safetensors", DETAILS, RESPONSE, OVERLAPS)
AXES = 4  # values of nu along every axis, and twice as many combinations as there are cross terms
TESTED = (-2.0, -1.0, 1.0, 2.0)  # widths of the prior, for every parameter
COMBINATIONS = 4
# Settings of the search that a closure by its test depends on.
OF_THE_TEST = ("widths", "n_centers", "penalty", "rank_tolerance", "embeddings")


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
        closure, moments = _closures(run, section, ratio, samples)
        run.display.say(closure.summary())
        ratio.with_closure(closure).save(folder / FOLDER)
        write_response(folder / RESPONSE, samples, run.config.seed)
        write_json(folder / OVERLAPS, _overlaps(run, model, ratio))
        said = _details(section, ratio, closure, {"fit": fit, "held_out": held})
        write_json(folder / DETAILS, said | {"moments": moments.to_json()})

    inputs = {
        "systematics": section.model_dump(mode="json"),
        "pools": run.config.pools.model_dump(mode="json"),
        "test": run.config.search.model_dump(mode="json", include=set(OF_THE_TEST)),
        **section.nuisance_set.unit_note,
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
    learned = section.learned
    parts = [_fit(run, section.ratio, learned, model, events)] if len(learned) else []
    dimensions = parts[0].n_features if parts else model.embed(events[:1]).shape[1]
    return join(*parts, *(_yield(row, dimensions, section.ratio.width) for row in known))


def _yield(row: NuisanceConfig, dimensions: int, width: float) -> DensityRatio:
    size = math.expm1(row.prior.width * math.log1p(row.magnitude))
    return yield_ratio(row.parameter, size, dimensions, limits=(-width, width))


def _fit(
    run: RunContext, settings: RatioConfig, nuisances: NuisanceSet, model: Model | Ensemble, events: Events
) -> DensityRatio:
    k, seed = len(nuisances), run.config.seed
    n = settings.n_nu or AXES * k + k * (k + 1)
    nus = propose(k, n, generator(seed, "systematics", "nu"), width=settings.width)
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
    seed, nuisances = small_seed(run.config.seed, "systematics", "closure"), section.in_widths.subset(*ratio.names)
    nus = _tested(ratio, np.random.default_rng(seed))
    with run.display.bar("closure: distorting and embedding") as update:
        return ratio_samples(events, nuisances, model.embed, nus, seed=seed, progress=_shown(update, len(nus)))


def _closures(
    run: RunContext, section: RunSystematics, ratio: DensityRatio, samples: RatioSamples
) -> tuple[Closure, Closure]:
    """How far events at nu are from nominal ones of weight r: by the run's own test, which counts, and by moments.

    Both at the search's number of data events. The nominal events are the reference's and the toys'; what the held-out
    ones differ from them at nu = 0 is taken off.
    """
    config, seed = run.config, small_seed(run.config.seed, "systematics", "closure")
    n_data, limit = config.pools.expected, section.closure.limit
    z = {name: read_arrays(run.out / "embed" / f"{name}.npz")["x"] for name in ("settings", "reference", "toys")}
    nominal = np.concatenate([z["reference"], z["toys"]])
    test = linear_test(config, small_seed(config.seed, "search"))
    frame = framed(test, nominal, ratio, n_data, z["settings"], n_reference=len(z["reference"]))
    return sample_closure(frame, samples, limit), moment_closure(ratio, samples, n_data=n_data, limit=limit, seed=seed)


def _tested(ratio: DensityRatio, rng: np.random.Generator) -> FloatArray:
    """Values of nu (n, k): parameters alone at +-1 and +-2 widths of their priors, and combinations drawn from them."""
    k = len(ratio.names)
    axes = np.concatenate([step * np.eye(k) for step in TESTED])
    mixed = rng.normal(size=(COMBINATIONS if k > 1 else 0, k)).clip(min(TESTED), max(TESTED))
    nus = np.concatenate([axes, mixed]) + 0.0  # no negative zeros in what people read
    return nus.clip(ratio.limits[:, 0], ratio.limits[:, 1])


def _overlaps(run: RunContext, model: Model | Ensemble, ratio: DensityRatio) -> dict[str, Any]:
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


def profiled_ratio(run: RunContext) -> tuple[DensityRatio, FloatArray] | None:
    """The run's ratio, and its auxiliary measurements (k,) in widths of the priors; None without systematics."""
    section = run.config.systematics
    if section is None:
        return None
    ratio = DensityRatio.load(run.out / "systematics" / FOLDER)
    rng = generator(run.config.seed, "data", "auxiliary")
    widths = {name: section.widths[name] for name in ratio.names}
    return ratio, auxiliary_measurements(run.config.data, widths, rng)


def auxiliary_measurements(data: DataConfig, widths: Mapping[str, float], rng: np.random.Generator) -> FloatArray:
    """Auxiliary measurements (k,) in `widths` of the priors: those named; else 0, or thrown for pseudo-data at nu.

    They are thrown as a toy's are, from a unit Gaussian around the true nu: wherever they end, since toys' measurements
    are not kept within the range of the ratio either. One that stayed at 0 while the truth is elsewhere would be a
    fluctuation of its own.
    """
    true = np.array([data.nu.get(name, 0.0) / width for name, width in widths.items()])
    thrown = true + rng.standard_normal(len(true)) if any(data.nu.values()) else np.zeros(len(true))
    given = [data.auxiliary[name] / width if name in data.auxiliary else None for name, width in widths.items()]
    return np.array([value if own is None else own for own, value in zip(given, thrown.tolist(), strict=True)])
