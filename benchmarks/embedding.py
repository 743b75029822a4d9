"""Embedding events: time of `Model.embed`, against the same network computing every slot, present or not.

The baseline masks absent objects instead of leaving them out; its passes, threads and numbers (within rounding) are
those of the package. Wall time depends on what else the machine does, so the processor time is measured beside it.
Untrained weights: they do not change the time. Events are random ones of the ADC2021 layout, or those of files in it.

    python benchmarks/embedding.py --out runs/bench/embedding.json
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from table import Row, row

from unseen.embed import Model, TrainingConfig
from unseen.embed.encoders import DeepSets, Transformer
from unseen.embed.inputs import learn_scaling
from unseen.embed.network import Network
from unseen.embed.passes import passes, run_passes
from unseen.events import ADC2021, Events, read
from unseen.events.normalisation import Normalisation

# Seconds for a million events on two cores.
TARGETS = {"mlp": 5.0, "transformer": 120.0}
ENCODERS = ("mlp", "deepsets", "transformer", "pair-transformer")


def random_events(n: int, mean: float) -> Events:
    """Return events with missing momentum, a lepton, and jets and leptons so that there are `mean` objects each."""
    rng = np.random.default_rng(1)
    objects = np.stack(
        [20 + rng.exponential(30, (n, 19)), rng.normal(0, 1.2, (n, 19)), rng.uniform(-np.pi, np.pi, (n, 19))], axis=-1
    )
    objects[:, 0, 1] = 0
    electron = rng.random(n) < 0.5
    numbers = [electron + rng.poisson(0.15, n), ~electron + rng.poisson(0.15, n), rng.poisson(mean - 2.3, n)]
    present = np.concatenate(
        [np.ones((n, 1), bool)]
        + [np.arange(slots) < count[:, None] for slots, count in zip((4, 4, 10), numbers, strict=True)],
        axis=1,
    )
    return Events.create(ADC2021, objects, present)


def untrained(encoder: str, inputs: str, events: Events) -> Model:
    """Return a model with random weights and the scaling of the events."""
    config = TrainingConfig.parse({"encoder": encoder, "inputs": inputs})
    normalisation = Normalisation.fit(events, log_pt=True)
    scaling = learn_scaling(config.inputs, events, normalisation, config.encoder.needs_pairs)
    torch.manual_seed(1)
    network = Network.build(config.encoder, events.schema, normalisation, config.inputs, scaling)
    return Model(network, config, events.schema, normalisation, events.label_names, 1, {}, scaling)


def padded(model: Model, events: Events) -> NDArray[np.float32]:
    """Embed with every slot of every event computed."""
    encoder = model.network.encoder.eval()
    assert isinstance(encoder, (DeepSets, Transformer))
    objects, present = torch.tensor(events.objects), torch.tensor(events.present)
    z = np.empty((len(events), model.dim), dtype=np.float32)

    def work(one: tuple[NDArray[np.int64], int]) -> None:
        rows, count = one
        with torch.inference_mode():
            fed = model.network.inputs(objects[rows], present[rows])
            pooled = encoder.masked(fed)
            if isinstance(encoder, Transformer):
                result = encoder.readout(fed.beside(encoder.norm(pooled)))
            else:
                result = encoder.event(fed.beside(pooled))
            z[rows[:count]] = result[:count].numpy()

    run_passes(work, passes(events.present, by_multiplicity=False))
    return z


def timed(work: Callable[[], object], n: int) -> tuple[float, float]:
    """Return wall and processor time in microseconds per event."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return (time.perf_counter() - wall) / n * 1e6, (time.process_time() - processor) / n * 1e6


def measure(encoder: str, inputs: str, events: Events, n_baseline: int) -> list[Row]:
    """Return the rows of one encoder."""
    model, few = untrained(encoder, inputs, events[:20_000]), events[:n_baseline]
    model.embed(events[:5000])
    wall, processor = timed(lambda: model.embed(events), len(events))
    name = f"{encoder}, {inputs}"
    target = TARGETS[encoder] * len(events) / 1e6 if encoder in TARGETS else None
    rows = [row(f"{name}: {len(events)} events", wall * len(events) / 1e6, "s", target)]
    baseline = None
    if encoder != "mlp":
        baseline = timed(lambda: padded(model, few), len(few))[1]
        np.testing.assert_allclose(padded(model, few[:2000]), model.embed(few[:2000]), atol=1e-4)
    rows.append(
        row(
            f"{name}: processor time per event" + (", baseline every slot" if baseline else ""),
            processor,
            "us",
            baseline,
        )
    )
    return rows


def main() -> None:
    """Run, print the table and write it."""
    parser = argparse.ArgumentParser(description="Time of embedding events")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--baseline-events", type=int, default=50_000)
    parser.add_argument("--mean", type=float, default=5.0, help="objects per event, missing momentum included")
    parser.add_argument("--files", type=Path, nargs="*", help="ADC2021 files to take the events from instead")
    parser.add_argument("--encoders", nargs="*", default=ENCODERS)
    options = parser.parse_args()
    if options.files:
        events = Events.concatenate([read(path, schema=ADC2021, select=True) for path in options.files])
        events = events[np.random.default_rng(1).integers(0, len(events), options.events)]
    else:
        events = random_events(options.events, options.mean)
    rows = [row("objects per event, of 19", float(events.present.sum(1).mean()), "")]
    for encoder in options.encoders:
        for inputs in ("plain", "physics"):
            rows += measure(encoder, inputs, events, options.baseline_events)
            for r in rows[-2:]:
                ratio = "" if r["ratio"] is None else f"baseline or target {r['baseline']:.3g} ratio {r['ratio']:.3f}"
                print(f"{r['name']:70s} {r['value']:.3g} {r['unit']:3s} {ratio}", flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
