"""What fine-tuning costs against the training before it, in processor time.

For every encoder: an epoch of contrastive training on selected events, an epoch of fine-tuning with all built-in
nuisance parameters on the stored ones that they were selected from, both per event, and the last fit of the ratio with
its default settings. One core, batches of 1,024. Needs W and QCD of the sample lhc-l1. Prints a table, writes JSON:

    python benchmarks/fine_tuning.py --data data --out runs/bench/fine_tuning.json
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from table import Row, row

import unseen
from unseen.embed import Model, TrainingConfig, fine_tune, train
from unseen.events import Events, select

ENCODERS: dict[str, Any] = {"mlp": "mlp", "deepsets": "deepsets", "transformer": "transformer"}
EPOCHS = 2  # timed, after the first, which loads what a process needs once
TINY = {"events": 64, "copies": 1, "epochs": 1}


def stored(folder: Path, n: int) -> Events:
    """Stored W and QCD events, 2 to 1, every one with its own number."""
    parts = []
    for name, size in (("w", 2 * n // 3), ("qcd", n - 2 * n // 3)):
        events = unseen.read(folder / f"{name}.h5", schema="adc2021")
        parts.append(replace(events[np.arange(size)], label_names=(name,)))
    return Events.concatenate(parts)


def seconds(work: Any) -> float:
    """Processor time of `work()`."""
    start = time.process_time()
    work()
    return time.process_time() - start


def measure(name: str, events: Events, folder: Path) -> list[Row]:
    """The rows of one encoder."""
    nominal, nuisances = select(events), unseen.NuisanceSet.builtin(events.schema)
    base = {"encoder": ENCODERS[name], "objective": "supcon", "labels": "process", "batch_size": 1024, "device": "cpu"}

    def trained(epochs: int) -> Model:
        settings = TrainingConfig.parse(base | {"epochs": epochs})
        model = train(nominal, settings, folder / f"{name}-{epochs}", seed=1)
        assert isinstance(model, Model)
        return model

    def tuned(epochs: int, refit: dict[str, Any]) -> None:
        settings = unseen.FineTuneConfig.parse({"epochs": epochs, "head_epochs": 0, "device": "cpu", "refit": refit})
        fine_tune(model, events, nuisances, settings, folder / f"{name}-tuned-{epochs}-{len(refit)}", seed=1)

    model = trained(1)
    first = seconds(lambda: trained(1 + EPOCHS + 1)) - seconds(lambda: trained(2))
    one, more = (seconds(lambda epochs=epochs: tuned(epochs, TINY)) for epochs in (1, 1 + EPOCHS))
    second = (more - one) / EPOCHS
    last = seconds(lambda: tuned(1, {})) - one
    per_first, per_second = first / EPOCHS / len(nominal), second / len(events)
    return [
        row(f"{name}: training, an epoch", 1e6 * per_first, "us of processor time per selected event"),
        row(f"{name}: fine-tuning, an epoch", 1e6 * per_second, "us per stored event", 1e6 * per_first),
        row(f"{name}: last fit", last, "s, in epochs of fine-tuning", second),
    ]


def main() -> None:
    """Measure, print the table and write it."""
    parser = argparse.ArgumentParser(description="Cost of fine-tuning")
    parser.add_argument("--data", type=Path, default=Path("data"), help="the folder of the sample lhc-l1")
    parser.add_argument("--events", type=int, default=20_000, help="stored events")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if not (options.data / "w.h5").is_file():
        print(f"not measured: no sample in '{options.data}'; --data names the folder of lhc-l1")
        return
    torch.set_num_threads(1)
    events, rows = stored(options.data, options.events), []
    with TemporaryDirectory() as scratch:
        for name in ENCODERS:
            rows += measure(name, events, Path(scratch))
            for line in rows[-3:]:
                ratio = "" if line["ratio"] is None else f"   ratio {line['ratio']:.2f}"
                print(f"{line['name']:32s} {line['value']:10.2f} {line['unit']}{ratio}", flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
