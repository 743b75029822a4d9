from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from tests.embed.toy import toy_events, toy_settings
from unseen.embed import Model, train
from unseen.errors import CorruptFileError, MissingFileError, NonFiniteError, SchemaError, UnknownNameError
from unseen.events import Events
from unseen.events.atomic import file_hash


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return train(toy_events(300, seed=1), toy_settings(epochs=1), tmp_path_factory.mktemp("model"), seed=1)


@pytest.fixture
def folder(model: Model, tmp_path: Path) -> Path:
    model.save(tmp_path)
    return tmp_path


def edit(folder: Path, **changes: object) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_embedding_is_float32(model: Model, toy: Events) -> None:
    z = model.embed(toy)
    assert z.dtype == np.float32
    assert z.shape == (len(toy), 4) == (len(toy), model.dim)


def test_nothing_in_the_folder_is_a_pickle(folder: Path) -> None:
    assert sorted(p.name for p in folder.iterdir()) == ["model.json", "model.safetensors"]
    assert set(safetensors.torch.load_file(folder / "model.safetensors")) == {
        f"layers.{i}.{kind}" for i in (0, 2, 4, 6) for kind in ("weight", "bias")
    }


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(MissingFileError, match=name):
        Model.load(folder)


def test_a_changed_weight_file_is_named(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(CorruptFileError, match="does not match the hash"):
        Model.load(folder)


def test_weights_of_another_shape_are_named(folder: Path) -> None:
    content = json.loads((folder / "model.json").read_text())
    content["config"]["encoder"]["dim"] = 5
    edit(folder, config=content["config"])
    with pytest.raises(CorruptFileError, match="weights of this encoder"):
        Model.load(folder)


def test_a_model_of_the_first_format_still_opens(model: Model, folder: Path, toy: Events) -> None:
    content = json.loads((folder / "model.json").read_text())
    del content["scaling"], content["config"]["inputs"]
    (folder / "model.json").write_text(json.dumps(content | {"format_version": 1}))
    np.testing.assert_array_equal(Model.load(folder).embed(toy), model.embed(toy))


def test_a_scaling_of_other_inputs_is_named(folder: Path) -> None:
    content = json.loads((folder / "model.json").read_text())
    edit(folder, config=content["config"] | {"inputs": "physics"})
    with pytest.raises(CorruptFileError, match="does not fit together"):
        Model.load(folder)


def test_threads_do_not_change_a_bit(model: Model, toy: Events) -> None:
    z = model.embed(toy)
    torch.set_num_threads(2)
    try:
        np.testing.assert_array_equal(model.embed(Events.concatenate([toy] * 3))[: len(toy)], z)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize(
    "changes",
    [
        {"format_version": 99},
        {"scaling": {}},
        {"config": {"epochs": -1}},
        {"normalisation": {}},
        {"label_names": None},
        {"seed": "x"},
    ],
)
def test_a_damaged_description_is_named(folder: Path, changes: dict[str, object]) -> None:
    edit(folder, **changes)
    with pytest.raises(CorruptFileError, match=r"model\.json"):
        Model.load(folder)


def test_a_truncated_description_is_named(folder: Path) -> None:
    path = folder / "model.json"
    path.write_text(path.read_text()[:100])
    with pytest.raises(CorruptFileError, match="not valid JSON"):
        Model.load(folder)


def test_an_unknown_encoder_is_named(folder: Path) -> None:
    edit(folder, config={"encoder": "quantum"})
    with pytest.raises(UnknownNameError, match="quantum"):
        Model.load(folder)


def test_nan_weights_are_named(folder: Path) -> None:
    path = folder / "model.safetensors"
    tensors = safetensors.torch.load_file(path)
    tensors["layers.0.bias"] = torch.full_like(tensors["layers.0.bias"], float("nan"))
    safetensors.torch.save_file(tensors, path)
    edit(folder, weights_sha256=file_hash(path))
    with pytest.raises(NonFiniteError, match=r"layers\.0\.bias"):
        Model.load(folder)


def test_events_of_another_layout_are_named(model: Model, w_events: Events) -> None:
    with pytest.raises(SchemaError, match="adc2021"):
        model.embed(w_events)


def test_an_event_beyond_float32_is_named(folder: Path, toy: Events) -> None:
    raw = train(toy, toy_settings(epochs=1, log_pt=False), folder / "raw", seed=1)
    objects = toy.objects.copy()
    objects[7, 0, :] = np.finfo(np.float32).max
    with pytest.raises(NonFiniteError, match="event 7"):
        raw.embed(toy.replace_objects(objects, toy.present))
