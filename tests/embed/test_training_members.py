"""Folds and ensembles: each model is a training of its own; events are embedded by those that have not seen them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import unseen
from tests.embed.toy import toy_events, toy_settings
from unseen.embed import Ensemble, Model, train
from unseen.embed.data import split_by_source
from unseen.embed.folds import fold_of
from unseen.errors import (
    ConfigError,
    CorruptFileError,
    MissingFileError,
    NotEnoughEventsError,
    NotFittedError,
    SchemaError,
)
from unseen.events import Events
from unseen.events.sealed import write_sealed_json
from unseen.seeds import small_seed

SETTINGS = toy_settings(epochs=1, folds=3)


class StopHereError(Exception):
    pass


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, toy: Events) -> tuple[Path, Ensemble]:
    out = tmp_path_factory.mktemp("folds")
    model = train(toy, SETTINGS, out, seed=4)
    assert isinstance(model, Ensemble)
    return out, model


def test_a_member_is_a_training_on_the_other_folds(trained: tuple[Path, Ensemble], toy: Events, tmp_path: Path) -> None:
    out, ensemble = trained
    assert sorted(path.name for path in out.iterdir()) == ["ensemble.json", "fold-0", "fold-1", "fold-2"]
    fold = ensemble.fold_of(toy)
    alone = train(toy[fold != 1], SETTINGS.alone(), tmp_path, seed=small_seed(4, "train", "member", "fold-1"))
    np.testing.assert_array_equal(alone.embed(toy), ensemble.members["fold-1"].embed(toy))
    assert isinstance(Model.load(out / "fold-1"), Model)
    with pytest.raises(MissingFileError, match="holds several models"):
        Model.load(out)
    assert unseen.load(tmp_path).dim == 4


def test_events_are_embedded_by_the_model_that_has_not_seen_them(trained: tuple[Path, Ensemble], toy: Events) -> None:
    ensemble, fold = trained[1], trained[1].fold_of(toy)
    z = ensemble.embed_unseen(toy)
    assert z.shape == (len(toy), 4)
    for number in range(3):
        mine = fold == number
        np.testing.assert_array_equal(z[mine], ensemble.members[f"fold-{number}"].embed(toy[mine]))
    order = np.random.default_rng(0).permutation(len(toy))[:50]
    np.testing.assert_array_equal(ensemble.embed_unseen(toy[order]), z[order])


def test_a_member_has_not_seen_its_fold(toy: Events, trained: tuple[Path, Ensemble], tmp_path: Path) -> None:
    fold = trained[1].fold_of(toy)
    objects = toy.objects.copy()
    objects[fold == 0, :, 1:] *= 3.0
    changed = train(toy.replace_objects(objects, toy.present), SETTINGS, tmp_path, seed=4)
    assert isinstance(changed, Ensemble)
    same = [
        np.array_equal(changed.members[name].embed(toy), model.embed(toy)) for name, model in trained[1].members.items()
    ]
    assert same == [True, False, False]


def test_what_was_trained_is_what_is_loaded(trained: tuple[Path, Ensemble], toy: Events) -> None:
    out, ensemble = trained
    again = unseen.load(out)
    assert isinstance(again, Ensemble)
    assert (again.dims, again.dim, len(again)) == ((4, 4, 4), 12, 3)
    assert again.schema == toy.schema
    np.testing.assert_array_equal(again.embed(toy), ensemble.embed(toy))
    side_by_side = [model.embed(toy) for model in ensemble.members.values()]
    np.testing.assert_array_equal(again.embed(toy), np.concatenate(side_by_side, axis=1))
    np.testing.assert_array_equal(again.embed_unseen(toy), ensemble.embed_unseen(toy))


def test_several_embeddings_go_into_one_search(trained: tuple[Path, Ensemble]) -> None:
    ensemble, events = trained[1], toy_events(900, seed=5)
    z = ensemble.embed(events)
    test = unseen.KernelTest(
        embeddings=ensemble.dims, widths=(2.0,), n_centers=20, statistic="linear", normalisation="free", seed=0
    )
    test.fit(z[:400], expected=100.0)
    test.calibrate(z[400:800], n_toys=20, seed=1, method="toys")
    assert 0.0 < test.search(z[800:]).p_value <= 1.0


def test_a_stopped_ensemble_continues_with_the_member_at_work(toy: Events, tmp_path: Path) -> None:
    settings = toy_settings(epochs=2, folds=2, ensemble=2)
    whole = train(toy, settings, tmp_path / "whole", seed=4)
    assert isinstance(whole, Ensemble)
    assert list(whole.members) == ["fold-0-seed-0", "fold-0-seed-1", "fold-1-seed-0", "fold-1-seed-1"]
    assert whole.embed_unseen(toy).shape == (len(toy), 8)

    def stop(done: int, total: int, values: object) -> None:
        assert total == 8
        if done == 3:
            raise StopHereError

    with pytest.raises(StopHereError):
        train(toy, settings, tmp_path / "cut", seed=4, progress=stop)
    assert not (tmp_path / "cut" / "ensemble.json").exists()
    with pytest.raises(MissingFileError):
        unseen.load(tmp_path / "cut")
    seen: list[int] = []
    train(toy, settings, tmp_path / "cut", seed=4, progress=lambda done, *_: seen.append(done))
    assert seen == [4, 5, 6, 7, 8]
    for name in whole.members:
        for file in ("model.safetensors", "model.json", "history.json"):
            assert (tmp_path / "cut" / name / file).read_bytes() == (tmp_path / "whole" / name / file).read_bytes()
    seen.clear()
    train(toy, settings, tmp_path / "cut", seed=4, progress=lambda done, *_: seen.append(done))
    assert seen == []


def test_another_training_leaves_nothing_of_the_last(toy: Events, tmp_path: Path) -> None:
    train(toy, toy_settings(epochs=1, ensemble=3), tmp_path, seed=1)
    train(toy, toy_settings(epochs=1, ensemble=2), tmp_path, seed=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ensemble.json", "seed-0", "seed-1"]
    (tmp_path / "notes-1").mkdir()
    train(toy, toy_settings(epochs=1), tmp_path, seed=1)
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"notes-1"}
    assert unseen.load(tmp_path).dim == 4
    train(toy, toy_settings(epochs=1, ensemble=2), tmp_path, seed=1)
    assert {path.name for path in tmp_path.iterdir()} == {"ensemble.json", "notes-1", "seed-0", "seed-1"}


def test_copies_of_an_event_share_its_fold() -> None:
    events = toy_events(400, seed=2, copies=4)
    fold = fold_of(events, 5, 1, "source").reshape(-1, 4)
    assert (fold == fold[:, :1]).all()
    assert set(fold[:, 0]) == set(range(5))
    # Uniform up to chance: 4 standard deviations of a binomial count.
    counts = np.bincount(fold_of(toy_events(20_000, seed=3), 4, 1, "content"), minlength=4)
    assert (abs(counts - 5000) < 4 * np.sqrt(20_000 * 0.25 * 0.75)).all()
    assert not np.array_equal(fold_of(events, 5, 1, "source"), fold_of(events, 5, 2, "source"))


def test_what_cannot_be_split_or_asked_is_named(toy: Events, trained: tuple[Path, Ensemble], tmp_path: Path) -> None:
    with pytest.raises(NotEnoughEventsError, match="fewer folds"):
        train(toy[:4], toy_settings(folds=50, validation_fraction=0.0), tmp_path, seed=1)
    without = Events.create(toy.schema, toy.objects, toy.present)
    with pytest.raises(SchemaError, match='no record "source"'):
        trained[1].embed_unseen(without)
    seeds = train(toy, toy_settings(epochs=1, ensemble=2), tmp_path, seed=1)
    assert isinstance(seeds, Ensemble)
    with pytest.raises(NotFittedError, match="no folds"):
        seeds.embed_unseen(toy)
    with pytest.raises(ConfigError, match="folds"):
        toy_settings(folds=1)


def with_rare(events: Events, rows: list[int]) -> Events:
    """Two classes, of which `rare` has these events."""
    label = np.zeros(len(events), dtype=np.int64)
    label[rows] = 1
    record = dict(events.record)
    return Events.create(
        events.schema, events.objects, events.present, label=label, label_names=("common", "rare"), record=record
    )


def test_a_class_that_a_model_would_not_see_is_named_before_any_training(toy: Events, tmp_path: Path) -> None:
    fold = fold_of(toy, 2, 1, "source")
    inside = np.flatnonzero(fold == 1)[:3].tolist()
    rare, settings = with_rare(toy, inside), toy_settings(epochs=1, folds=2)
    named = r"'fold-1', which leaves out fold 1 of 2, .*class 'rare': all 3 of them are in that fold.*fewer folds"
    with pytest.raises(NotEnoughEventsError, match=named):
        train(rare, settings, tmp_path, seed=1)
    assert not list(tmp_path.glob("fold-*"))  # fold-0 could have been trained
    again = toy_settings(epochs=1, folds=2, objective="ntxent", views=["rotate"])
    assert isinstance(train(rare, again, tmp_path, seed=1), Ensemble)  # it needs no classes
    _, held = split_by_source(toy, 0.1, 1)
    with pytest.raises(NotEnoughEventsError, match=r"the model would be .*all 2 of them are held out for validation"):
        train(with_rare(toy, held[:2].tolist()), toy_settings(epochs=1), tmp_path, seed=1)


def test_an_ensemble_without_a_hash_of_its_description_still_opens(
    trained: tuple[Path, Ensemble], toy: Events, tmp_path: Path
) -> None:
    shutil.copytree(trained[0], tmp_path / "old")
    path = tmp_path / "old" / "ensemble.json"
    content = json.loads(path.read_text())
    del content["content_sha256"]
    path.write_text(json.dumps(content | {"format_version": 1}))
    np.testing.assert_array_equal(unseen.load(tmp_path / "old").embed(toy), trained[1].embed(toy))
    path.write_text(json.dumps(content))
    with pytest.raises(CorruptFileError, match="does not match its own hash"):
        unseen.load(tmp_path / "old")


def test_a_damaged_ensemble_is_named(trained: tuple[Path, Ensemble], tmp_path: Path) -> None:
    content = json.loads((trained[0] / "ensemble.json").read_text())
    for change, message in (
        ({"format_version": 9}, "has format 9"),
        ({"members": []}, "damaged"),
        ({"members": content["members"][:2]}, "lists members"),
    ):
        write_sealed_json(tmp_path / "ensemble.json", content | change)
        with pytest.raises(CorruptFileError, match=message):
            unseen.load(tmp_path)
    for change in ({"seed": 2}, {"format_version": 1, "folds": 2}):
        (tmp_path / "ensemble.json").write_text(json.dumps(content | change))
        with pytest.raises(CorruptFileError, match="does not match its own hash"):
            unseen.load(tmp_path)
    (tmp_path / "ensemble.json").write_text("{")
    with pytest.raises(CorruptFileError, match="damaged"):
        unseen.load(tmp_path)
    (tmp_path / "ensemble.json").write_text(json.dumps(content))
    with pytest.raises(MissingFileError, match="fold-0"):
        unseen.load(tmp_path)
