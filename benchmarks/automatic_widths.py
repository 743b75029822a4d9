"""What the automatic kernel widths and their penalties are worth: N_3 of the linear statistic with other choices.

Two problems of `rivals.py` with bumps of other sizes: the published one-dimensional background (arXiv:2204.02317) and a
four-dimensional Gaussian mixture. Every choice sees the same events. N_3 is the number of signal events at which the
median Z is 3. Prints a table, writes JSON:

    python benchmarks/automatic_widths.py --out runs/bench/automatic_widths.json
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from one_dimensional import SIGNALS as PUBLISHED
from table import Row, row

from rivals import four_dimensional, one_dimensional
from unseen.power.rival import Samples
from unseen.search.scale import Scale, choose_widths
from unseen.study.numbers import power_numbers
from unseen.study.settings import PowerConfig

SEED = 5
FORMER = "percentile(1, 10, 25, 50, 75, 90, 99)"
BULK = {"bulk, 0.1": 0.1, "bulk, 0.3": 0.3, "bulk, 0.6": 0.6}  # widths of clusters on one background event


def problems() -> Mapping[str, Samples]:
    """Return the samples of both problems with all signals."""
    rng = np.random.default_rng(SEED)
    line, mixture = one_dimensional().samples, four_dimensional().samples
    bumps = {s.name: s.sample(rng, 3000)[:, None] for s in PUBLISHED}
    center = mixture.settings[0]
    clusters = {name: rng.normal(center, width, (3000, 4)) for name, width in BULK.items()}
    return {
        "1-d": replace(line, signals=bumps),
        "4-d mixture": replace(mixture, signals={**mixture.signals, **clusters}),
    }


def choices(samples: Samples) -> Mapping[str, PowerConfig]:
    """Return the settings compared: automatic, the same widths with one penalty, and others."""
    z = Scale.measure(samples.settings, np.ones(len(samples.settings)))(samples.settings)
    same = choose_widths("auto", z, np.random.default_rng(SEED))
    base = PowerConfig(n_data=samples.expected, normalisations=("known",), n_centers=300, toys=150, ceiling=False)
    return {
        "automatic": base,
        "the same widths, one penalty": base.model_copy(update={"widths": same}),
        "seven percentiles, one penalty": base.model_copy(update={"widths": FORMER}),
        "90th percentile": base.model_copy(update={"widths": "percentile(90)"}),
        "90th percentile, penalty 1e-5": base.model_copy(update={"widths": "percentile(90)", "penalty": 1e-5}),
    }


def compare(problem: str, samples: Samples) -> list[Row]:
    """Return N_3 of every choice and signal, with the automatic choice as baseline."""
    rows: list[Row] = []
    automatic: dict[str, float] = {}
    for name, config in choices(samples).items():
        with tempfile.TemporaryDirectory() as folder:
            values, notes = power_numbers(samples, config, SEED, Path(folder))
        for signal in samples.signals:
            n3 = values[f"known.{signal}.n3"]
            found = math.inf if n3 is None else float(n3)
            automatic.setdefault(signal, found)
            rows.append(row(f"{problem}, {signal}: {name}", found, "events", automatic[signal]))
            print(f"{rows[-1]['name']:75s} {found:8.1f}  {rows[-1]['ratio']:.2f}", flush=True)
        for note in notes:
            print(f"  {note}", flush=True)
    return rows


def main() -> None:
    """Compare on both problems and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rows = [one for problem, samples in problems().items() for one in compare(problem, samples)]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
