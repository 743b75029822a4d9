"""Time and memory of the whole quickstart, against its budget of 8 minutes and 4 GB on two cores.

python benchmarks/quickstart.py --out runs/bench/quickstart.json
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from table import Row, row

CONFIG = Path(__file__).parents[1] / "examples" / "quickstart.yaml"
BUDGET_SECONDS, BUDGET_GIB = 480.0, 4.0


def run() -> list[Row]:
    """Run the quickstart in an empty folder; rows of (name, value, unit, baseline, ratio, machine)."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        command = [sys.executable, "-m", "unseen.cli", "run", str(CONFIG), "--out", folder, "--quiet"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - start
        provenance = json.loads((Path(folder) / "provenance.json").read_text(encoding="utf-8"))
    # The largest process: the run itself or one of its workers.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    rows = [row("quickstart", seconds, "s", BUDGET_SECONDS)]
    rows += [row(f"quickstart: {name}", value, "s") for name, value in provenance["seconds"].items() if value]
    return [*rows, row("quickstart: largest process", peak, "GiB", BUDGET_GIB)]


def main() -> None:
    """Run, print the table and write it."""
    parser = argparse.ArgumentParser(description="Time and memory of the quickstart")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rows = run()
    for r in rows:
        print(f"{r['name']:40s} {r['value']:8.2f} {r['unit']:4s} budget {r['baseline']} ratio {r['ratio']}")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
