from __future__ import annotations

import numpy as np
import pytest

from unseen.errors import NotEnoughEventsError
from unseen.report.figures.fine_tuning import fine_tuning_figure
from unseen.report.plot import inline_svg

HISTORY = [
    {
        "epoch": i,
        "train_contrastive": 6.0 - i,
        "val_contrastive": 6.1 - i,
        "train_covariant": -0.001 * i,
        "val_covariant": None if i == 1 else -0.0009 * i,
        "val_closure": 3.0 / (i + 1),
        "val_shift": 30.0,
    }
    for i in range(3)
]


def test_both_losses_and_the_closure_are_drawn() -> None:
    plot = fine_tuning_figure(HISTORY)
    contrastive, systematic, closure = plot.figure.axes
    np.testing.assert_array_equal(contrastive.lines[1].get_xydata(), [[1, 6.1], [2, 5.1], [3, 4.1]])
    np.testing.assert_array_equal(systematic.lines[0].get_xydata(), [[1, 0.0], [2, -0.001], [3, -0.002]])
    assert [line.get_label() for line in closure.lines[:2]] == ["nominal as it is", "nominal, reweighted by r"]
    assert "from 3 to 1" in plot.alt
    assert inline_svg(plot).startswith("<svg")


def test_a_history_without_epochs_is_refused() -> None:
    with pytest.raises(NotEnoughEventsError, match="no epochs"):
        fine_tuning_figure([])
