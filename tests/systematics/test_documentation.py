"""The examples of docs/systematics.md run as they stand, and the figure is drawn."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.systematics.build import events
from unseen.errors import NotEnoughEventsError
from unseen.events import Events
from unseen.report.figures.systematics import systematics_figure
from unseen.systematics import NuisanceSet

PAGE = Path(__file__).parents[2] / "docs" / "systematics.md"


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_the_examples_run(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(data_folder)
    names: dict[str, Any] = {}
    quick = next(block for block in _blocks("python") if "migration(" in block)
    exec(quick, names)
    assert "jet-scale" in capsys.readouterr().out
    assert names["shifted"].nu.shape == (len(names["events"]), 8)
    own = [block for block in _blocks("python") if "NuisanceSet([" in block]
    assert len(own) == 2
    for block in own:
        assert len([line for line in block.splitlines() if line.strip()]) <= 10
        exec(block, names)
    assert not np.array_equal(names["moved"], names["x"])
    np.testing.assert_allclose(names["factor"], 1.05**0.5)
    assert names["hot"].get("jets", "pt").sum() > names["events"].get("jets", "pt").sum()


def test_the_table_is_read() -> None:
    rows = yaml.safe_load(_blocks("yaml")[0])["nuisances"]
    nuisances = NuisanceSet.parse(rows)
    assert nuisances.names[-4:] == ("luminosity", "xsec-tt", "initial-shower", "jes")
    assert nuisances.columns == ("label", "isr_up", "isr_down", "jes_up", "jes_down")
    sample = events(50)
    nuisances.check(sample)
    assert len(nuisances.distort(sample, np.ones(6))) == 50


def test_the_figure_shows_every_nuisance() -> None:
    sample = events(3000)
    plot = systematics_figure(sample, NuisanceSet.builtin().subset("jet-scale", "normalisation"), ("met", "ht"))
    assert len(plot.figure.axes) == 6
    ratios = plot.figure.axes[4].patches[1].get_data().values  # normalisation at +2
    np.testing.assert_allclose(ratios[np.isfinite(ratios)], 1.05**2, rtol=1e-6)
    assert "jet-scale, normalisation" in plot.alt
    nothing = Events.create(sample.schema, sample.objects[:5], np.zeros((5, 19), bool))
    with pytest.raises(NotEnoughEventsError, match="none of 5 events"):
        systematics_figure(nothing)
