"""The core install: without the packages of the [hep] extra everything but simulation and ROOT works."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BLOCK = """
import sys, warnings
warnings.simplefilter("error")
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("pythia8mc", "fastjet", "awkward", "uproot", "pyarrow"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
"""

SEARCH = """
import numpy as np, unseen
events = unseen.read("tests/data/w.h5", select=True)
assert len(events) > 100 and unseen.Schema.load("adc2021").n_slots == 19
rng = np.random.default_rng(0)
reference, pool = rng.normal(size=(400, 2)), rng.normal(size=(400, 2))
test = unseen.KernelTest(widths=[1.0], n_centers=20, penalty=1e-4, seed=0)
test.fit(reference, expected=50)
test.calibrate(pool, n_toys=20, seed=1)
print(test.search(rng.normal(size=(50, 2))).p_value)
"""

SIMULATE = """
from unseen.errors import MissingExtraError
from unseen.simulate import SimulationConfig, check, load_processes, simulate
assert "w" in load_processes()
config = SimulationConfig(test={"w": 10})
for work in (lambda: check(config), lambda: simulate(config, sys.argv[1], 1)):
    try:
        work()
    except MissingExtraError as error:
        print(error)
"""


def run(code: str, *arguments: str) -> str:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", BLOCK + code, *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_reading_and_searching_need_no_extra() -> None:
    assert 0 < float(run(SEARCH)) <= 1


def test_simulation_names_the_extra(tmp_path: Path) -> None:
    lines = run(SIMULATE, str(tmp_path / "out")).splitlines()
    assert len(lines) == 2
    assert all("unseen[hep]" in line for line in lines)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("module", ["unseen", "unseen.events", "unseen.simulate", "unseen.simulate.generate"])
def test_imports_are_light(module: str) -> None:
    """What workers and readers import takes no seconds: torch and the extra come on first use."""
    code = f"import sys, {module}; print(sorted({{'torch', 'lightning', 'awkward', 'pythia8mc'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
