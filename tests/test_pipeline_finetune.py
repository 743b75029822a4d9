"""A run that fine-tunes its embedding: what is learned from which events, what is made again, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import unseen
from tests.test_cli import call
from tests.test_pipeline_systematics import small as plain
from unseen import finetune_stage
from unseen.arrays import read_arrays
from unseen.config import parse_config
from unseen.dealing import load_pools
from unseen.embed import FineTuned, fine_tune
from unseen.errors import NotEnoughEventsError, SelectionError
from unseen.events import Sample, read, select

SHORT = {"epochs": 2, "batch_size": 128, "device": "cpu", "refit": {"epochs": 1, "copies": 1}}
MADE = ("train", "finetune", "embed", "systematics", "search", "report")


def small(data_folder: Path, out: Path, tune: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """The run of the stage `systematics`, fine-tuned; two parameters to learn, an overall yield that is known."""
    content = {**plain(data_folder, out), **changes}
    content["systematics"] = {
        **content["systematics"],
        "impact": False,
        "fine_tune": SHORT if tune is None else tune,
    }
    return content


def stamps(out: Path) -> dict[str, int]:
    """When every stage was last made."""
    return {name: path.stat().st_mtime_ns for name in MADE if (path := out / name / "stage.json").exists()}


@pytest.fixture(scope="module")
def finished(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "a"
    unseen.run(small(data_folder, out))
    return out


def test_what_comes_after_uses_the_fine_tuned_model(finished: Path, data_folder: Path) -> None:
    tuned, before = FineTuned.load(finished / "finetune"), unseen.load(finished / "train")
    assert tuned.ratio.names == ("jet-scale", "lepton-efficiency")  # the yield moves no event
    pools = load_pools(parse_config(small(data_folder, finished)), finished)[1]
    for name in ("reference", "data"):
        z = read_arrays(finished / "embed" / f"{name}.npz")["x"]
        np.testing.assert_array_equal(z, tuned.model.embed(pools[name]))
        assert np.abs(z - before.embed(pools[name])).max() > 1e-3
    # Held-out events of the ratio: no event of its pool lies elsewhere in the embedding.
    response = read_arrays(finished / "systematics" / "response.npz")
    seen = response["z"][response["weight"] > 0]
    of_ratio = tuned.model.embed(select(pools["ratio"]))
    assert np.abs(seen[:, None] - of_ratio).max(axis=2).min(axis=1).max() < 1e-4


def test_the_page_names_the_method_and_shows_the_fine_tuning(finished: Path) -> None:
    page = (finished / "report.html").read_text(encoding="utf-8")
    assert "Fine-tuning: contrastive loss in training from" in page
    assert ">covariant</td>" in page
    assert ">jet-scale, lepton-efficiency</td>" in page
    assert "finetune" in json.loads((finished / "provenance.json").read_text(encoding="utf-8"))["seconds"]


def test_the_model_of_the_run_embeds_files(
    finished: Path, data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call(monkeypatch, "embed", finished / "finetune", data_folder / "w.h5", "-o", tmp_path / "z.npz") == 0
    expected = unseen.load(finished / "finetune").embed(select(read(data_folder / "w.h5")))
    np.testing.assert_array_equal(read_arrays(tmp_path / "z.npz")["x"], expected)


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    """The finished run in a folder of its own."""
    return Path(shutil.copytree(finished, tmp_path / "r"))


def test_only_what_depends_on_the_fine_tuning_is_made_again(copied: Path, data_folder: Path) -> None:
    before = stamps(copied)
    unseen.run(small(data_folder, copied))
    assert stamps(copied) == before
    wider = small(data_folder, copied)
    wider["systematics"] |= {"ratio": {**wider["systematics"]["ratio"], "penalty": 0.1}}
    unseen.run(wider, until="embed")
    assert stamps(copied) == before
    wider["systematics"]["fine_tune"] = {**SHORT, "alpha": 10.0}
    unseen.run(wider)
    after = stamps(copied)
    assert [name for name in MADE if after[name] > before[name]] == list(MADE[1:])
    unseen.run(plain(data_folder, copied), until="embed")  # without it, as if it had never been there
    assert stamps(copied)["train"] == before["train"]
    reference = load_pools(parse_config(plain(data_folder, copied)), copied)[1]["reference"]
    z = read_arrays(copied / "embed" / "reference.npz")["x"]
    np.testing.assert_array_equal(z, unseen.load(copied / "train").embed(reference))


class StopHereError(Exception):
    pass


def test_a_run_stopped_inside_the_fine_tuning_continues_to_the_same_model(
    copied: Path, data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after the first of three epochs, the second attempt begins with the second one."""
    longer = {**SHORT, "epochs": 3}
    whole = Path(shutil.copytree(copied, tmp_path / "whole"))
    unseen.run(small(data_folder, whole, longer), until="finetune")
    seen: list[int] = []

    def watched(stop: bool) -> Callable[..., FineTuned]:
        def tune(*arguments: Any) -> FineTuned:
            def show(done: int, total: int, losses: Any) -> None:
                seen.append(done)
                if stop:
                    raise StopHereError

            return fine_tune(*arguments[:-1], show)

        return tune

    monkeypatch.setattr(finetune_stage, "fine_tune", watched(True))
    with pytest.raises(StopHereError):
        unseen.run(small(data_folder, copied, longer), until="finetune")
    assert not (copied / "finetune" / "stage.json").exists()
    monkeypatch.setattr(finetune_stage, "fine_tune", watched(False))
    unseen.run(small(data_folder, copied, longer), until="finetune")
    assert seen == [1, 2, 3]
    for name in finetune_stage.OUTPUTS:
        assert (copied / "finetune" / name).read_bytes() == (whole / "finetune" / name).read_bytes(), name


def test_events_that_cannot_be_fine_tuned_on_are_refused_before_the_training(data_folder: Path, tmp_path: Path) -> None:
    """Test files are stored looser than the selection, training files are not."""
    content = small(data_folder, tmp_path / "r")
    for name in ("w", "qcd"):
        Sample.write(tmp_path / name, select(read(data_folder / f"{name}.h5")))
    train = {name: [str(tmp_path / name)] for name in ("w", "qcd")}
    content["files"] = {**content["files"], "train": train}
    content["pools"] = {**content["pools"], "train": 100}
    with pytest.raises(SelectionError, match=r"all 100 events pass the selection already, so jet-scale"):
        unseen.run(content)
    assert not (tmp_path / "r" / "train").exists()
    content["pools"]["train_mixture"] = {"w": 1.0}
    content["systematics"]["fine_tune"] = {**SHORT, "require_stored": False}
    with pytest.raises(NotEnoughEventsError, match="needs two classes or more"):
        unseen.run(content)
    assert not (tmp_path / "r" / "train").exists()


def test_views_of_partners_that_no_event_has_are_refused_before_the_training(data_folder: Path, tmp_path: Path) -> None:
    content = small(data_folder, tmp_path / "r")
    content["train"] = {**content["train"], "objective": "ntxent", "views": ["resimulate"]}
    with pytest.raises(NotEnoughEventsError, match="has another row of the same generated event"):
        unseen.run(content)
    assert not (tmp_path / "r" / "train").exists()
