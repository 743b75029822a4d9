"""The examples that the documentation shows do what it says."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import yaml

from unseen.embed import TrainingConfig

EXAMPLES = Path(__file__).parents[1] / "examples"


def load(name: str, n_toys: int, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return an example with fewer toys."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "N_TOYS", n_toys)
    return module


@pytest.fixture
def digits(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load("digits", 199, monkeypatch)


@pytest.fixture
def nuisances(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load("nuisances", 59, monkeypatch)


def test_digits(
    digits: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    outcome = digits.search(digits.draw_samples(6, seed=1), seed=1)
    for calibration in ("permutation", "toys"):
        data, null = (outcome.results[calibration, name] for name in ("data", "null"))
        assert data.calibration == null.calibration == calibration
        assert data.p_value <= 0.02
        assert null.p_value > 0.1
    first = outcome.order[: digits.N_SHOWN]
    assert outcome.new[first].sum() >= digits.N_SHOWN - 1
    assert outcome.region.side == "excess"
    assert (outcome.f[first] > 2.0 * outcome.error[first]).all()

    monkeypatch.setattr(digits, "search", lambda images, seed: outcome)
    monkeypatch.setattr(sys, "argv", ["digits.py", "--figure", str(tmp_path / "digits.png")])
    digits.main()
    assert "data set, permutation  p <= 0.005" in capsys.readouterr().out
    assert (tmp_path / "digits.png").stat().st_size > 10_000


def test_the_samples_of_digits_are_disjoint_for_every_digit(digits: ModuleType) -> None:
    for digit in range(10):
        samples = digits.draw_samples(digit, seed=0)
        images = [tuple(image) for sample in samples.values() for image in sample]
        assert len(set(images)) == len(images) == sum(digits.SIZES.values()) + digits.N_NEW
        assert len(samples["data"]) == len(samples["null"])


def test_nuisances(
    nuisances: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    outcome = nuisances.search(seed=1)
    p = {name: result.p_value for name, result in outcome.results.items()}
    assert p["ignored", "camera"] <= 1 / 60  # a discovery of the camera
    assert p["profiled", "camera"] > 0.1
    assert p["profiled", "cluster"] <= 2 / 60
    found = outcome.results["profiled", "camera"]
    true = np.array([nuisances.TURNED, nuisances.ZOOMED])
    assert (np.abs(true - found.nu_hat) < 3.0 * np.array(found.nu_error)).all()
    assert outcome.region.side == "excess"

    monkeypatch.setattr(nuisances, "search", lambda seed, n_cluster: outcome)
    monkeypatch.setattr(sys, "argv", ["nuisances.py", "--figure", str(tmp_path / "nuisances.png")])
    nuisances.main()
    assert "camera   nu ignored   t =" in capsys.readouterr().out
    assert (tmp_path / "nuisances.png").stat().st_size > 10_000

    # The notebook runs: all cells but the search itself, which was run above.
    monkeypatch.chdir(tmp_path)
    notebook = ModuleType("notebook")
    monkeypatch.setitem(sys.modules, "notebook", notebook)
    scope = vars(notebook)
    for cell in code_cells(EXAMPLES / "nuisances.ipynb"):
        if cell == "outcome = search(seed=1)":
            scope["outcome"] = outcome
        else:
            exec(compile(cell, "nuisances.ipynb", "exec"), scope)
    assert "camera   nu profiled" in capsys.readouterr().out


def code_cells(path: Path) -> list[str]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def test_the_notebook_is_the_script() -> None:
    """Every definition and setting of the notebook stands in the script, word for word."""
    script = (EXAMPLES / "nuisances.py").read_text(encoding="utf-8")
    own = {"outcome = search(seed=1)", "report(outcome)", 'draw(outcome, Path("nuisances.png"))'}
    parts = [part for cell in code_cells(EXAMPLES / "nuisances.ipynb") for part in cell.split("\n\n\n")]
    assert own <= set(parts)
    for part in set(parts) - own:
        for block in part.split("\n\n"):
            assert block in script


def test_the_settings_that_the_docs_show_are_valid_and_the_recommended_ones_are_the_example() -> None:
    docs = EXAMPLES.parent / "docs"
    shown = {
        name: [yaml.safe_load(block) for block in re.findall(r"```yaml\n(train:.*?)```", text, flags=re.DOTALL)]
        for name in ("embedding", "objectives", "views")
        for text in [(docs / f"{name}.md").read_text(encoding="utf-8")]
    }
    for block in (block for blocks in shown.values() for block in blocks):
        TrainingConfig.parse(block["train"])
    assert shown["embedding"][0]["train"] == yaml.safe_load((EXAMPLES / "best.yaml").read_text())["train"]
