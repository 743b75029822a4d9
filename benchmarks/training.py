"""Training throughput against a plain loop that augments event by event and collates row by row; memory at 1M events.

python benchmarks/training.py --out runs/bench/training.json
python benchmarks/training.py --encoder transformer --target 1.5 --out runs/bench/training-transformer.json
python benchmarks/training.py --memory --out runs/bench/training-memory.json

The plain loop is what published code for these embeddings does: a torch Dataset whose `__getitem__` makes the views of
one event with numpy, a DataLoader with its default collation, and a loop of forward, backward, clip and step. The
optimiser, schedule, batch size, events and number of epochs are those of unseen; so are network and objective, or, with
`published maths`, what published code has of the same sizes (`published_maths.py`). All are timed in turns, so that
other work on the machine slows all; `core seconds` counts what their threads worked, which it does not change.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from published_maths import published_encoder, published_objective
from table import Row, row
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from unseen.embed import TrainingConfig, train
from unseen.embed.data import Batch
from unseen.embed.inputs import learn_scaling
from unseen.embed.labels import encode
from unseen.embed.loop import learning_rate_factor
from unseen.embed.network import Network
from unseen.embed.objectives import Problem
from unseen.events import ADC2021, Events
from unseen.events.normalisation import Normalisation

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Augment = Callable[[Floats, Mask, np.random.Generator], tuple[Floats, Mask]]
Clock = tuple[float, float]
MEMORY_BUDGET_GIB = 6.0


def synthetic_events(n: int, seed: int = 0) -> Events:
    """n events of the ADC2021 layout in four classes of different hardness, filled as densely as real ones."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 4, n)
    objects = rng.normal(size=(n, ADC2021.n_slots, 3)).astype(np.float32)
    objects[..., 0] = rng.exponential(30.0, objects.shape[:2]) * (1.0 + 0.3 * label[:, None]) + 3.0
    objects[..., 2] = rng.uniform(-np.pi, np.pi, objects.shape[:2])
    objects[:, 0, 1] = 0.0
    present = np.zeros(objects.shape[:2], dtype=bool)
    for collection, mean in zip(ADC2021.collections, (9.0, 0.4, 0.4, 3.5), strict=True):
        slots = ADC2021.slots(collection.name)
        width = slots.stop - slots.start
        present[:, slots] = np.arange(width) < rng.poisson(mean, n)[:, None]
    present[:, 0] = True
    return Events.create(ADC2021, objects, present, label=label, label_names=("w", "qcd", "z", "tt"))


def rotate(x: Floats, there: Mask, rng: np.random.Generator) -> tuple[Floats, Mask]:
    """Turn one event around the beam."""
    x = x.copy()
    phi = np.mod(x[:, 2] + rng.uniform(0, 2 * np.pi) + np.pi, 2 * np.pi) - np.pi
    x[:, 2] = np.where(there, phi, 0.0)
    return x, there


def flip(x: Floats, there: Mask, rng: np.random.Generator) -> tuple[Floats, Mask]:
    """Mirror one event along the beam, or not."""
    x = x.copy()
    if rng.random() < 0.5:
        x[:, 1] *= -1.0
    return x, there


def mask_features(x: Floats, there: Mask, rng: np.random.Generator, typical: Floats) -> tuple[Floats, Mask]:
    """Hide half of the numbers of one event."""
    hidden = there[:, None] & (rng.random(x.shape) < 0.5)
    return np.where(hidden, typical, x), there


def augmentations(names: Sequence[str], normalisation: Normalisation) -> list[Augment]:
    """The event-by-event counterparts of views."""
    typical = normalisation.per_slot()[0].copy()
    if normalisation.log_column is not None:
        typical[:, normalisation.log_column] = np.expm1(typical[:, normalisation.log_column])
    known: dict[str, Augment] = {
        "rotate": rotate,
        "flip": flip,
        "mask-features": lambda x, there, rng: mask_features(x, there, rng, typical),
    }
    return [known[name] for name in names]


class EventByEvent(Dataset[tuple[Any, ...]]):
    """One event at a time: its views side by side, mask, class, number."""

    def __init__(self, events: Events, target: NDArray[np.int64], chain: list[Augment], n_views: int):
        self.events, self.target, self.chain, self.n_views = events, target, chain, n_views
        self.rng = np.random.default_rng(0)

    def __len__(self) -> int:
        return len(self.events)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        views, masks = [], []
        for _ in range(self.n_views):
            x, there = self.events.objects[index], self.events.present[index]
            for augment in self.chain:
                x, there = augment(x, there, self.rng)
            views.append(x)
            masks.append(there)
        return np.stack(views), np.stack(masks), self.target[index], index


def as_batch(parts: Sequence[Tensor], n_parameters: int) -> Batch:
    """The rows that the objective sees: view after view."""
    views, masks, target, index = parts
    b, n = views.shape[:2]
    batch = Batch.unviewed(
        views.transpose(0, 1).reshape(n * b, *views.shape[2:]).float(),
        masks.transpose(0, 1).reshape(n * b, -1),
        target.repeat(n),
        torch.ones(n * b),
        index.repeat(n),
        target.repeat(n)[:, None],
    )
    return replace(batch, view=torch.arange(n).repeat_interleave(b), parameters=torch.zeros(n * b, n_parameters))


def plain_loop(
    events: Events, config: TrainingConfig, workers: int, epochs: list[Clock], published: bool = False
) -> None:
    """Train as published code does; `epochs` gets the time at the end of every epoch."""
    normalisation = Normalisation.fit(events, log_pt=config.log_pt)
    labelling = encode(events, config.labels)
    scaling = learn_scaling(config.inputs, events, normalisation, config.encoder.needs_pairs)
    network = Network.build(config.encoder, events.schema, normalisation, config.inputs, scaling)
    n_parameters = sum(int(view.n_parameters) for view in config.views)
    problem = Problem(config.encoder.dim, len(labelling.names), n_parameters, events.schema, normalisation)
    objective = config.objective.build(problem)
    if published:
        network.encoder = published_encoder(config.encoder, events.schema, network.inputs.n_features, network.encoder)
        loss_of: nn.Module = published_objective(objective)
    else:
        objective.attach(network)
        loss_of = objective
    trained = [p for module in (network, loss_of) for p in module.parameters() if p.requires_grad]
    optimiser = config.optimiser.build(trained, config.lr, config.weight_decay)
    chain = augmentations([view.name for view in config.views], normalisation)
    data = EventByEvent(events, labelling.target, chain, config.n_views or 1)
    loader = DataLoader(data, batch_size=config.batch_size, shuffle=True, drop_last=True, num_workers=workers)
    steps = config.epochs * len(loader)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: learning_rate_factor(step, steps, config))
    for _ in range(config.epochs):
        for parts in loader:
            rows = as_batch(parts, n_parameters)
            loss = loss_of(network(rows.objects, rows.present), rows)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(trained, config.gradient_clip or math.inf)
            optimiser.step()
            schedule.step()
            objective.after_step(network)
        epochs.append(clock())


def clock() -> Clock:
    """Wall time, and time that all threads of this process and its finished children have worked."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter(), own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def with_unseen(events: Events, config: TrainingConfig, epochs: list[Clock]) -> None:
    """Train with unseen, in a folder that is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        train(events, config, folder, seed=1, progress=lambda *_: epochs.append(clock()))


def timed(work: Callable[[list[Clock]], None], n: int) -> tuple[float, float]:
    """Events per second and per core second, after the first epoch, which warms up."""
    epochs: list[Clock] = []
    work(epochs)
    wall, cpu = np.subtract(epochs[-1], epochs[0])
    return n * (len(epochs) - 1) / wall, n * (len(epochs) - 1) / cpu


def throughput(config: TrainingConfig, n: int, rounds: int, target: float) -> list[Row]:
    """Rows of the table: unseen against the plain loop, loading in the process and in a worker process."""
    events = synthetic_events(n)
    name = f"{config.encoder.name}, {config.objective.name}, {len(config.views)} views, batch {config.batch_size}"
    works: dict[str, Callable[[list[Clock]], None]] = {
        "unseen": lambda epochs: with_unseen(events, config, epochs),
        "plain": lambda epochs: plain_loop(events, config, 0, epochs),
        "plain, a worker process": lambda epochs: plain_loop(events, config, 1, epochs),
        "plain, published maths": lambda epochs: plain_loop(events, config, 0, epochs, published=True),
    }
    measured: dict[str, list[tuple[float, float]]] = {key: [] for key in works}
    for _ in range(rounds):
        for key, work in works.items():
            measured[key].append(timed(work, n))
    best = {key: np.max(values, axis=0) for key, values in measured.items()}
    rows = []
    for key in [key for key in works if key != "unseen"]:
        for column, unit in enumerate(("events/s", "events/core s")):
            line = row(f"{name}: unseen against {key}", best["unseen"][column], unit, best[key][column])
            rows.append(line | {"target": target})
    return rows


def memory(config: TrainingConfig, n: int) -> list[Row]:
    """Peak memory of an epoch of a few steps on n events: large batches, all else as given."""
    events = synthetic_events(n)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    with_unseen(events, config.model_copy(update={"epochs": 1}), [])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    held = sum(column.nbytes for column in (events.objects, events.present, events.label, events.weight)) / 2**30
    return [
        row(f"peak memory, {n} events", peak, "GiB", MEMORY_BUDGET_GIB),
        row("of which to make the events", before, "GiB"),
        row("the events themselves", held, "GiB"),
    ]


def main() -> None:
    """Measure, print the table and write it."""
    parser = argparse.ArgumentParser(description="Training throughput and memory")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--encoder", default="mlp")
    parser.add_argument("--objective", default="supcon")
    parser.add_argument("--views", nargs="*", default=["rotate", "flip", "mask-features"])
    parser.add_argument("--n-views", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=1024)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--target", type=float, default=10.0)
    parser.add_argument("--memory", action="store_true", help="measure the memory of a million events instead")
    options = parser.parse_args()
    config = TrainingConfig.parse(
        {
            "encoder": options.encoder,
            "objective": options.objective,
            "views": options.views,
            "n_views": options.n_views if options.views else 1,
            "batch_size": options.batch_size,
            "epochs": options.epochs,
            "balance": "natural",
            "device": "cpu",
            "validation_fraction": 0.0,
        }
    )
    if options.memory:
        rows = memory(config, 1_000_000)
    else:
        rows = throughput(config, options.events, options.rounds, options.target)
    for r in rows:
        ratio = "" if r["ratio"] is None else f"  {r['baseline']:10.1f}  ratio {r['ratio']:.2f}"
        print(f"{r['name']:80s} {r['value']:10.2f} {r['unit']:13s}{ratio}")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
