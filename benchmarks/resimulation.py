"""What rows of one generated event have in common, and what they cost, by the stage that was simulated again.

For every process and choice of `simulate.resimulations`: the correlation of the hardest lepton's pt, MET and HT between
two selected rows that share their source (fast fidelity, `copies` 1), and selected rows per second of processor time,
start-up of Pythia included and libraries not. Prints a table, writes JSON:

    python benchmarks/resimulation.py --out runs/bench/resimulation.json
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from table import Row, row

from unseen.events import Events, select
from unseen.events.observables import ht, leading_lepton_pt, met
from unseen.simulate import Process, SimulationConfig, load_processes
from unseen.simulate.generate import generate
from unseen.simulate.jobs import ShardJob, plan_libraries, plan_shards
from unseen.simulate.libraries import make_library, valid_library
from unseen.simulate.settings import Resimulations

SEED = 7
W_JET = Process(
    settings=(
        "WeakBosonAndParton:qqbar2Wg=on",
        "WeakBosonAndParton:qg2Wq=on",
        "PhaseSpace:pTHatMin=30",
        "24:onMode=off",
        "24:onIfAny=11 13",
    ),
    filter={"lepton_pt_min": 15},
)
PROCESSES = {"w_jet": W_JET} | {name: load_processes()[name] for name in ("w", "tt", "qcd")}
ROWS = {"w_jet": 4000, "w": 4000, "tt": 2000, "qcd": 250}
CHOICES = {
    "none": Resimulations(),
    "detector": Resimulations(detector=2),
    "hadronisation": Resimulations(hadronisation=2),
    "hadronisation, 4 times": Resimulations(hadronisation=4),
}
OBSERVABLES = {"lepton pt": leading_lepton_pt, "MET": met, "HT": ht}
# Of the specification's study, for W + jet.
EXPECTED = {"detector": (0.99, 0.94, 0.97), "hadronisation": (0.99, 0.92, 0.94)}


def shard(folder: Path, name: str, resimulations: Resimulations) -> ShardJob:
    """Return the one shard of a process, with its libraries made."""
    processes = {name: PROCESSES[name].model_copy(update={"shard_size": ROWS[name]})}
    config = SimulationConfig(
        train={name: ROWS[name]}, shard_size=ROWS[name], copies=1, resimulations=resimulations, processes=processes
    )
    libraries = plan_libraries(config, processes, folder, SEED)
    for library in libraries:
        if not valid_library(library):
            make_library(library)
    [job] = plan_shards(config, processes, folder, SEED, libraries)
    return job


def pairs(events: Events) -> tuple[Events, Events]:
    """Return the first two rows of every source that has two."""
    order = np.argsort(events.record["source"], kind="stable")
    _, start, counts = np.unique(events.record["source"][order], return_index=True, return_counts=True)
    first = start[counts > 1]
    return events[order[first]], events[order[first + 1]]


def compare(folder: Path, name: str) -> list[Row]:
    """Return the lines of one process."""
    rows: list[Row] = []
    plain = 0.0
    for choice, resimulations in CHOICES.items():
        job = shard(folder, name, resimulations)
        start = time.process_time()
        stored, account = generate(job)
        rate = ROWS[name] / (time.process_time() - start)
        plain = plain or rate
        title = f"{name}, {choice}"
        rows.append(row(f"{title}: selected rows", rate, "1/s", plain))
        rows.append(row(f"{title}: independent events per row", account["effective"] / account["passed"], ""))
        rows.append(row(f"{title}: cross section", account["cross_section_pb"], "pb"))
        rows.append(row(f"{title}: its error", account["cross_section_error_pb"], "pb"))
        if resimulations.rows > 1:
            one, other = pairs(select(stored))
            rows.append(row(f"{title}: pairs", len(one), ""))
            expected = EXPECTED.get(choice, (None, None, None)) if name == "w_jet" else (None, None, None)
            for (what, observable), value in zip(OBSERVABLES.items(), expected, strict=True):
                found = np.corrcoef(observable(one), observable(other))[0, 1]
                rows.append(row(f"{title}: correlation of {what}", found, "", value))
                rows.append(row(f"{title}: error of that", (1 - found**2) / np.sqrt(len(one) - 1), ""))
    for line in rows:
        print(f"{line['name']:60s} {line['value']:10.4g} {line['unit']:4s} {line['baseline'] or ''}", flush=True)
    return rows


def main() -> None:
    """Compare all processes and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [line for name in PROCESSES for line in compare(Path(folder), name)]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
