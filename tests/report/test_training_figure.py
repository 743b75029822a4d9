from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from unseen.report import ReportInputs
from unseen.report.figures.training import training_curves
from unseen.report.style import hep_style

HISTORY = {"epoch": [0, 1, 2], "train_loss": [3.0, 2.0, 1.5], "val_loss": [3.1, None, 1.9]}


def test_the_learning_rate_has_its_own_panel(make_inputs: Callable[..., ReportInputs]) -> None:
    with hep_style():
        plot = training_curves(make_inputs(events=False, history={**HISTORY, "learning_rate": [1e-3, 2e-3, 5e-4]}))
    assert plot is not None
    loss, rate = plot.figure.axes
    assert [line.get_label() for line in loss.lines] == ["training", "validation"]
    np.testing.assert_array_equal(rate.lines[0].get_xydata(), [[0, 1e-3], [1, 2e-3], [2, 5e-4]])
    assert "0.002" in plot.alt


@pytest.mark.parametrize("rates", [[], [None, 1e-3, 1e-3], [0.0, 0.0, 0.0], [1e-3]])
def test_without_a_usable_rate_there_is_one_panel(rates: list[Any], make_inputs: Callable[..., ReportInputs]) -> None:
    with hep_style():
        plot = training_curves(make_inputs(events=False, history={**HISTORY, "learning_rate": rates}))
    assert plot is not None
    assert len(plot.figure.axes) == 1
