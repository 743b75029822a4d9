"""The published one-dimensional study (arXiv:2204.02317): ideal test exactly, kernel test within its spread."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PATH = Path(__file__).parents[2] / "benchmarks" / "one_dimensional.py"


@pytest.fixture(scope="module")
def study() -> ModuleType:
    spec = importlib.util.spec_from_file_location("one_dimensional", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_ideal_test_reproduces_the_published_significances(study: ModuleType) -> None:
    ideal = {s.name: (study.ideal_z(s), s.ideal_z) for s in study.SIGNALS}
    for name in ("tail bump", "bulk bump 0.04", "broad excess"):
        assert ideal[name][0] == pytest.approx(ideal[name][1], abs=0.2)
    # The width that the paper prints for the bump in the bulk is not the one behind its ideal significance.
    assert ideal["bulk bump 0.02"][0] > 5.0


WITHOUT = ("bulk bump 0.04",)  # the published kernel result goes with the printed width of 0.02


@pytest.fixture(scope="module")
def published_size(study: ModuleType) -> dict[str, float]:
    """M = 3000 with the published numbers of toys: medians of 100 scatter by 0.13, there and here."""
    return values(study.run(3000, 300, 100, modes=("one_step",), without=WITHOUT))


def values(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return null mean and median Z by signal, without the run's own prefix."""
    return {row["name"].split(" one_step ")[1].split(" median Z")[0]: row["value"] for row in rows}


@pytest.mark.slow
def test_kernel_test_reproduces_the_published_study(study: ModuleType, published_size: dict[str, float]) -> None:
    # 300 toys of a chi-squared with 9.6 degrees of freedom: the mean is known to sqrt(2 * 9.6 / 300) = 0.25
    assert published_size["null mean t"] == pytest.approx(study.PUBLISHED_NULL_MEAN, abs=1.0)
    for signal in study.SIGNALS:
        if signal.name not in WITHOUT:
            assert published_size[signal.name] == pytest.approx(signal.kernel_z, abs=0.3)


@pytest.mark.slow
def test_500_centres_do_as_well_as_3000(study: ModuleType, published_size: dict[str, float]) -> None:
    """400 toys: medians to 0.07. The bump in the tail is compared with our own M = 3000, not with the published 2.43.

    There, 400 toys give 2.02 for M = 500 and 2.13 for M = 3000, both with an error of 0.08: the difference from the
    published value is not one of the number of centres.
    """
    few = values(study.run(500, 400, 400, seed=1, modes=("one_step",), without=WITHOUT))
    assert few["null mean t"] == pytest.approx(study.PUBLISHED_NULL_MEAN, abs=1.0)
    for signal in study.SIGNALS:
        if signal.name == "tail bump":
            assert few[signal.name] == pytest.approx(published_size[signal.name], abs=0.3)
        elif signal.name not in WITHOUT:
            assert few[signal.name] == pytest.approx(signal.kernel_z, abs=0.3)
