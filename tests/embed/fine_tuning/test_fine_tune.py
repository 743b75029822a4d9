from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from tests.embed.fine_tuning.build import NUISANCES, settings
from unseen.embed import FineTuned, Model, fine_tune
from unseen.embed.fine_tuning import HEADS, METHODS
from unseen.events import Events, select

FILES = ("model.safetensors", "model.json", "history.json", "ratio/ratio.safetensors", "ratio/ratio.json")


class StopHereError(Exception):
    pass


def content(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in FILES]


def test_equal_seeds_give_equal_bytes_also_after_an_interruption(stored: Events, model: Model, tmp_path: Path) -> None:
    def stop(done: int, total: int, values: Mapping[str, float]) -> None:
        raise StopHereError

    before = model.embed(stored)
    whole = fine_tune(model, stored, NUISANCES, settings(beta=0.1), tmp_path / "whole", seed=5)
    with pytest.raises(StopHereError):
        fine_tune(model, stored, NUISANCES, settings(beta=0.1), tmp_path / "cut", seed=5, progress=stop)
    again = fine_tune(model, stored, NUISANCES, settings(beta=0.1), tmp_path / "cut", seed=5)
    assert content(tmp_path / "whole") == content(tmp_path / "cut")
    np.testing.assert_array_equal(model.embed(stored), before)  # what was given is as it was
    assert not np.array_equal(whole.model.embed(stored), before)
    np.testing.assert_array_equal(whole.model.embed(stored), again.model.embed(stored))
    fine_tune(model, stored, NUISANCES, settings(beta=0.1), tmp_path / "other", seed=6)
    assert content(tmp_path / "whole") != content(tmp_path / "other")


def test_a_finished_one_is_opened_and_one_of_other_settings_replaced(
    stored: Events, model: Model, tmp_path: Path
) -> None:
    epochs: list[int] = []

    def run(**changes: object) -> FineTuned:
        return fine_tune(model, stored, NUISANCES, settings(**changes), tmp_path, 5, lambda d, n, v: epochs.append(d))

    run()
    assert epochs == [1, 2]
    run()
    assert epochs == [1, 2]
    run(alpha=2.0)
    assert epochs == [1, 2, 1, 2]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        ["model.safetensors", "model.json", "history.json", "fine_tuning.json", "ratio"]
    )


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_gives_a_model_a_ratio_and_a_history(
    method: str, stored: Events, model: Model, tmp_path: Path
) -> None:
    tuned = fine_tune(model, stored, NUISANCES, settings(method=method, beta=1.0), tmp_path, seed=5)
    terms = ("loss", "contrastive", method, "distillation")
    names = {f"{kind}_{term}" for kind in ("train", "val") for term in terms}
    assert set(tuned.history[0]) == {*names, "epoch", "learning_rate", "val_closure", "val_shift"}
    assert all(value is not None and np.isfinite(value) for entry in tuned.history for value in entry.values())
    z = tuned.model.embed(select(stored))
    assert tuned.ratio.names == NUISANCES.names
    np.testing.assert_array_equal(tuned.ratio.log_ratio(z, [0.0, 0.0]), 0.0)
    assert np.abs(tuned.ratio.log_ratio(z, [1.0, -1.0])).max() > 0
    opened = FineTuned.load(tmp_path)
    assert opened.history == tuned.history
    np.testing.assert_array_equal(opened.ratio.delta(z)[1], tuned.ratio.delta(z)[1])


@pytest.mark.parametrize("head", sorted(HEADS))
def test_every_head_learns_the_rate_of_a_normalisation(head: str, stored: Events, model: Model, tmp_path: Path) -> None:
    only = NUISANCES.subset("rate")
    long = {"epochs": 40, "copies": 4, "batch_size": 512, "lr": 1e-2}
    tuned = fine_tune(model, stored, only, settings(head={"name": head, "hidden": [8]}, refit=long), tmp_path, seed=5)
    z = tuned.model.embed(select(stored))
    # 10 % at nu = 1 everywhere. 2,000 events at nu of 1.5 in the mean fix a rate to 0.02, their slope in z to less.
    assert np.abs(tuned.ratio.log_ratio(z, [1.0]) - np.log(1.1)).mean() < 0.03
    assert np.abs(tuned.ratio.log_ratio(z, [-2.0]) + 2 * np.log(1.1)).mean() < 0.05


def test_fine_tuning_keeps_other_views_and_objectives(stored: Events, model: Model, tmp_path: Path) -> None:
    from tests.embed.fine_tuning.build import stage_a

    for name, changes in {
        "views": {"objective": "ntxent", "views": ["rotate"]},
        "families": {"objective": "exposure", "families": [[[], [{"name": "rescale-pt", "factor": [2, 3]}]]]},
    }.items():
        start = stage_a(stored, tmp_path / f"{name}-a", **changes)
        tuned = fine_tune(start, stored, NUISANCES, settings(), tmp_path / name, seed=5)
        assert np.isfinite(tuned.model.embed(stored)).all()
