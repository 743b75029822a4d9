"""The examples that the documentation shows do what it says."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from unseen.embed import TrainingConfig

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def digits(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("digits", EXAMPLES / "digits.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "digits", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "N_TOYS", 199)
    return module


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
