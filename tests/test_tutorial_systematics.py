"""The tutorial on simulated collisions does what it says."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
RUN = 'outcome = search(Path("systematics-tutorial"), seed=1)'
# A third of the collisions: the closure test then resolves less, and so does the search.
FEWER = {"w": 2400, "z": 480, "tt": 320, "ato4l": 90}


@pytest.fixture
def tutorial(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    pytest.importorskip("pythia8mc")
    spec = importlib.util.spec_from_file_location("systematics", EXAMPLES / "systematics.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "systematics", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "N_TOYS", 49)
    monkeypatch.setattr(module, "COLLISIONS", FEWER)
    monkeypatch.setattr(module, "LIBRARY", 150)
    monkeypatch.setattr(module, "SETTINGS", module.SETTINGS.model_copy(update={"epochs": 6}))
    return module


def test_the_tutorial(
    tutorial: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    outcome = tutorial.search(tmp_path, seed=1)
    parts = outcome.parts
    sources = [set(part.record["source"].tolist()) for part in parts.values()]
    assert sum(map(len, sources)) == len(set().union(*sources))  # no event is in two parts
    p = {name: result.p_value for name, result in outcome.results.items()}
    assert p["profiled", "detector"] > 0.1  # the detector alone is no discovery
    assert p["ignored", "detector"] < p["profiled", "detector"]
    assert p["profiled", "signal"] <= p["profiled", "detector"]
    found = outcome.results["profiled", "detector"]
    assert (np.abs(np.array(list(tutorial.TRUTH.values())) - found.nu_hat) < 3.0 * np.array(found.nu_error)).all()

    monkeypatch.setattr(tutorial, "search", lambda folder, seed, n_signal: outcome)
    monkeypatch.setattr(sys, "argv", ["systematics.py", "--figure", str(tmp_path / "systematics.png")])
    tutorial.main()
    said = capsys.readouterr().out
    assert "muon-scale -2:" in said
    assert "jet-scale      true" in said
    assert (tmp_path / "systematics.png").stat().st_size > 10_000

    # The notebook runs: all cells but the search itself, which was run above.
    monkeypatch.chdir(tmp_path)
    notebook = ModuleType("notebook")
    monkeypatch.setitem(sys.modules, "notebook", notebook)
    scope = vars(notebook)
    for cell in code_cells():
        if cell == RUN:
            scope["outcome"] = outcome
        else:
            exec(compile(cell, "systematics.ipynb", "exec"), scope)
    assert "nu profiled" in capsys.readouterr().out


def code_cells() -> list[str]:
    cells = json.loads((EXAMPLES / "systematics.ipynb").read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def test_the_notebook_is_the_script() -> None:
    """Every definition and setting of the notebook stands in the script, word for word."""
    script = (EXAMPLES / "systematics.py").read_text(encoding="utf-8")
    own = {RUN, "report(outcome)", 'draw(outcome, Path("systematics.png"))'}
    parts = [part for cell in code_cells() for part in cell.split("\n\n\n")]
    assert own <= set(parts)
    for part in set(parts) - own:
        for block in part.split("\n\n"):
            assert block in script
