"""The search under a jet energy scale of 2.5 %, on the benchmark sample in the ADC2021 layout.

A four-dimensional embedding is learned, fine-tuned with the likelihood of nu and frozen. Its density ratio is fitted
once more, on independent events of the mixture that is searched (the QCD events to train on are re-decayed copies of
others: a ratio from those does not close), and profiled. The sample's QCD events allow N_R = 26,000 and N = 4,000. Data
at nu are events that were really distorted: those of reference and pool that do not play reference in a toy. It says

* how far the ratio is from closure at nu = -2 and 2
* whether the null distribution depends on nu (Kolmogorov tests), and how often p < 0.05 at nu = -2 ... 2,
  with nu profiled and with nu ignored
* the median Z of 50, 100 and 200 events of every signal among the data at nu = 0
* what one profiled toy costs

Training, settings, the ratio's events, and reference with pool share no generated event. Models are kept beside OUT, so
that a killed run continues:

    python benchmarks/collider_systematics.py --data lhc-l1 --out runs/bench/collider.json
"""

from __future__ import annotations

import argparse
import json
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats
from table import row

from unseen import FineTuneConfig, fine_tune, read
from unseen.embed import Model, TrainingConfig, train
from unseen.events import Events, select
from unseen.power.crossing import median_interval, power_interval
from unseen.search.elsewhere import Other, other_statistics
from unseen.search.validate import Floats
from unseen.seeds import generator
from unseen.stored import passing
from unseen.study.covariance import Situation, closure, closure_frame
from unseen.study.covariance.from_events import at_events
from unseen.study.covariance.treatments import TREATMENTS, Judge
from unseen.study.stored import at_mixture
from unseen.systematics import NuisanceSet, fit_kernel_ratio, ratio_samples

MIXTURE = {"w": 0.592, "qcd": 0.338, "z": 0.067, "tt": 0.003}
TRAIN_MIXTURE = {"w": 0.4, "qcd": 0.3, "z": 0.25, "tt": 0.05}
SIGNALS = ("ato4l", "leptoquark", "h0tautau", "hchtaunu")
NUISANCES = NuisanceSet.parse([{"name": "jet-scale", "size": 0.025}])
VALUES = (-2.0, -1.0, 0.0, 1.0, 2.0)
LEARNED_AT = (-3.0, -2.0, -1.0, 1.0, 2.0, 3.0)
INJECTED = (50, 100, 200)
SEED = 5
MOST_STORED = 100_000  # stored events of a process that train
SIGNAL_TOYS = 200


@dataclass(frozen=True)
class Sizes:
    """Selected events: for the settings, the ratio with reference and pool, the reference, training, and the data.

    `learn`: the ratio's share of the second.
    """

    settings: int = 2000
    union: int = 76_000
    learn: float = 0.32
    reference: int = 26_000
    train: int = 60_000
    data: float = 4000.0


def dealt(folder: Path, sizes: Sizes) -> tuple[Events, Events, Events]:
    """Return stored events: settings, reference with pool, and those to train on, disjoint."""
    parts: dict[str, list[Events]] = {"settings": [], "union": [], "train": []}
    rng = generator(SEED, "collider", "deal")
    for name, share in MIXTURE.items():
        events = read(folder / f"{name}.h5", schema="adc2021", select=False)
        rows = rng.permutation(len(events))
        passed = np.cumsum(passing(events)[rows])
        ends = np.searchsorted(passed, np.cumsum([round(share * n) for n in (sizes.settings, sizes.union)])) + 1
        if ends[-1] > len(events):
            raise SystemExit(
                f"{name}: {passed[-1]} selected events, the search needs {share * sizes.union:.0f} and more"
            )
        parts["settings"].append(events[np.sort(rows[: ends[0]])])
        parts["union"].append(events[np.sort(rows[ends[0] : ends[1]])])
        if name != "qcd":
            parts["train"].append(events[np.sort(rows[ends[1] :][:MOST_STORED])])
    copies = read(folder / "qcd_train.h5", schema="adc2021", select=False)
    parts["train"].append(Events.create(copies.schema, copies.objects, copies.present, label_names=("qcd",)))
    settings, union, training = (Events.concatenate(parts[key]) for key in ("settings", "union", "train"))
    return settings, union[rng.permutation(len(union))], training


def training_events(stored: Events, n: int) -> Events:
    """Return selected events in the composition that suits training."""
    events, rng = select(stored), generator(SEED, "collider", "train")
    rows = []
    for name, share in TRAIN_MIXTURE.items():
        mine = np.flatnonzero(events.label == events.label_names.index(name))
        rows.append(rng.permutation(mine)[: round(share * n)])
    return events[rng.permutation(np.concatenate(rows))]


def embedded(options: argparse.Namespace, sizes: Sizes) -> tuple[Any, dict[str, Any]]:
    """Return the density ratio and all arrays; training and embedding are done once."""
    folder = options.out.with_suffix(".work")
    settings, both, stored = dealt(options.data, sizes)
    cut = round(sizes.learn * len(both))
    learn, union = both[:cut], both[cut:]
    recipe = TrainingConfig.parse(json.loads(options.train))
    model = train(training_events(stored, sizes.train), recipe, folder / "stage-a", SEED)
    assert isinstance(model, Model)
    weighted = at_mixture(stored, MIXTURE)
    tuning = FineTuneConfig.parse(json.loads(options.fine_tune))
    tuned = fine_tune(model, weighted, NUISANCES, tuning, folder / "stage-b", SEED)

    def embed(events: Events) -> Floats:
        return tuned.model.embed(events).astype(np.float64)

    arrays: dict[str, Any] = {"settings": embed(select(settings))}
    at = at_events(embed, NUISANCES, union)
    for nu in VALUES:
        arrays[f"union {nu:g}"] = at(np.array([nu]))
    samples = ratio_samples(learn, NUISANCES, embed, [np.array([nu]) for nu in LEARNED_AT], seed=SEED)
    ratio = fit_kernel_ratio(samples, NUISANCES.names, seed=SEED)
    for name in SIGNALS:
        signal = select(read(options.data / f"{name}.h5", schema="adc2021", select=False))
        arrays[name] = embed(signal)
    return ratio, arrays


def closures(situation: Situation, arrays: dict[str, Any]) -> list[dict[str, Any]]:
    """Lines for the closure of half of the events at nu against the other half, in null standard deviations."""
    zero = arrays["union 0"]
    even = np.arange(len(zero.z)) % 2 == 0
    nominal = zero.z[even & (zero.weights > 0)]
    frame = closure_frame(
        nominal,
        situation.delta,
        situation.n_data,
        settings=situation.settings,
        n_reference=len(situation.reference),
        n_centers=situation.n_centers,
    )
    lines = []
    for nu in (VALUES[0], VALUES[-1]):
        there, same = (
            replace(pool, z=pool.z[~even], weights=pool.weights[~even], nominal=pool.nominal[~even])
            for pool in (arrays[f"union {nu:g}"], zero)
        )
        point = closure(frame, there, at_zero=same)
        value, error = point.weighted.worst
        detail = f"+- {error:.2f}; without the ratio {point.ignored.worst[0]:.2f}"
        lines.append(row(f"closure at nu = {nu:+g}", value, "sigma", 0.3) | {"detail": detail})
    return lines


@dataclass(frozen=True)
class Task:
    """Toys of one judge: background at `nu`, with `n_signal` events of `signal`."""

    treatment: str
    nu: float
    signal: str = ""
    n_signal: int = 0
    n_toys: int = 1000


def statistics(judge: Judge, task: Task, arrays: dict[str, Any], situation: Situation) -> tuple[Task, Floats, float]:
    """Return t (n_toys,) of a task and the seconds of one toy."""
    torch.set_num_threads(1)
    there, nominal = arrays[f"union {task.nu:g}"], arrays["union 0"]
    kept, here = there.weights > 0, nominal.weights > 0
    owner = np.where(here, np.cumsum(here) - 1, -1)[kept]
    background = Other(there.z[kept], situation.n_data * there.rate, there.weights[kept], judge.ratio, owner)
    others = [background]
    if task.n_signal:
        others.append(Other(arrays[task.signal], float(task.n_signal), None, judge.ratio))
    seed = int(1000 + 10 * task.nu) + task.n_signal
    start = time.perf_counter()
    t = other_statistics(judge.pseudo, 0, tuple(others), task.n_toys, seed, np.array([task.nu]))
    return task, t, (time.perf_counter() - start) / task.n_toys


def main() -> None:
    """Measure, print the tables and write them."""
    parser = argparse.ArgumentParser(description="The search under a jet energy scale")
    parser.add_argument("--data", type=Path, default=Path("data"), help="the folder of the sample lhc-l1")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--toys", type=int, default=1000)
    parser.add_argument("--centers", type=int, default=300)
    parser.add_argument("--workers", type=int, default=2)
    default = {"encoder": {"name": "mlp", "dim": 4}, "inputs": "physics", "labels": "final-state", "epochs": 8}
    parser.add_argument("--train", default=json.dumps(default), help="settings of stage A, JSON")
    parser.add_argument("--fine-tune", default=json.dumps({"epochs": 8}), help="settings of stage B, JSON")
    options = parser.parse_args()
    if not (options.data / "w.h5").is_file():
        print(f"not measured: no sample in '{options.data}'; --data names the folder of lhc-l1")
        return
    options.out.parent.mkdir(parents=True, exist_ok=True)
    sizes = Sizes()
    ratio, arrays = embedded(options, sizes)
    nominal = arrays["union 0"]
    z = nominal.z[nominal.weights > 0]
    situation = Situation(
        arrays["settings"],
        z[: sizes.reference],
        z[sizes.reference :],
        ratio,
        sizes.data,
        n_null=options.toys,
        n_centers=options.centers,
        seed=SEED,
    )
    rows = measured(options, situation, arrays)
    options.out.write_text(json.dumps(rows, indent=2) + "\n")


def measured(options: argparse.Namespace, situation: Situation, arrays: dict[str, Any]) -> list[dict[str, Any]]:
    """Print what toys say, and return it."""
    rows = closures(situation, arrays)
    for line in rows:
        say(line)
    for name in ("profiled", "ignored"):
        start = time.perf_counter()
        judge = TREATMENTS[name](situation)
        null = judge.null.t[:, 0]
        each = (time.perf_counter() - start) / options.toys
        tasks = [Task(name, nu, n_toys=options.toys) for nu in VALUES]
        tasks += [Task(name, 0.0, s, n, SIGNAL_TOYS) for s in SIGNALS for n in INJECTED if name == "profiled"]
        with ProcessPoolExecutor(options.workers) as pool:
            found = list(pool.map(statistics, *zip(*((judge, task, arrays, situation) for task in tasks), strict=True)))
        rows.append(row(f"{name}: one null toy, fit of the test included", 1e3 * each, "ms"))
        rows += [describe(task, t, null) for task, t, _ in found]
        seconds = float(np.median([spent for *_, spent in found]))
        rows.append(row(f"{name}: one toy, {options.workers} at a time", 1e3 * seconds / options.workers, "ms", 100.0))
        for line in rows[-len(found) - 2 :]:
            say(line)
    return rows


def say(line: dict[str, Any]) -> None:
    """Print one line of the table."""
    print(f"{line['name']:58s} {line['value']:8.3f} {line['unit']:6s} {line.get('detail', '')}", flush=True)


def describe(task: Task, t: Floats, null: Floats) -> dict[str, Any]:
    """One line of the table."""
    p = (1 + np.array([(null >= value).sum() for value in t])) / (len(null) + 1)
    z = stats.norm.isf(p)
    if task.signal:
        low, high = median_interval(z)
        name = f"{task.treatment}: median Z of {task.n_signal} {task.signal}"
        top = float(stats.norm.isf(1 / (len(null) + 1)))
        detail = f"({low:.2f} to {high:.2f}), share above all null toys {np.mean(z >= top):.2f}"
        return row(name, float(np.median(z)), "Z") | {"detail": detail}
    rate = float(np.mean(p < 0.05))
    low, high = power_interval(rate, len(t))
    ks = stats.ks_2samp(t, null)
    detail = f"({low:.3f} to {high:.3f}), KS p against the null {ks.pvalue:.3g}, mean t {t.mean():.2f} +- {t.std():.2f}"
    return row(f"{task.treatment}: rate of p < 0.05 at nu = {task.nu:+g}", rate, "rate", 0.05) | {"detail": detail}


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
