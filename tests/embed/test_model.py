from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from tests.embed.toy import toy_events, toy_settings
from unseen.embed import Model, train
from unseen.errors import CorruptFileError, MissingFileError, NonFiniteError, SchemaError, UnknownNameError
from unseen.events import Events
from unseen.events.atomic import file_hash
from unseen.events.sealed import write_sealed_json


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return train(toy_events(300, seed=1), toy_settings(epochs=1), tmp_path_factory.mktemp("model"), seed=1)


@pytest.fixture
def folder(model: Model, tmp_path: Path) -> Path:
    model.save(tmp_path)
    return tmp_path


def edit(folder: Path, **changes: object) -> None:
    """Change the description as somebody would who writes its hash anew."""
    path = folder / "model.json"
    write_sealed_json(path, json.loads(path.read_text()) | changes)


def unsealed(folder: Path, format_version: int) -> dict[str, Any]:
    """The description as it was written before it had a hash."""
    content = json.loads((folder / "model.json").read_text())
    del content["content_sha256"]
    return content | {"format_version": format_version}


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


def test_models_of_earlier_formats_still_open_and_get_a_hash_when_they_are_saved(
    model: Model, folder: Path, toy: Events
) -> None:
    path = folder / "model.json"
    sealed = json.loads(path.read_text())["content_sha256"]
    first = unsealed(folder, 1)
    del first["scaling"], first["config"]["inputs"]
    for content in (first, unsealed(folder, 2)):
        path.write_text(json.dumps(content))
        again = Model.load(folder)
        np.testing.assert_array_equal(again.embed(toy), model.embed(toy))
        again.save(folder)
        assert json.loads(path.read_text())["content_sha256"] == sealed


def test_a_description_without_its_hash_is_named(folder: Path) -> None:
    (folder / "model.json").write_text(json.dumps(unsealed(folder, 3)))
    with pytest.raises(CorruptFileError, match="does not match its own hash"):
        Model.load(folder)


def test_a_changed_digit_of_the_description_is_named(folder: Path) -> None:
    """Wherever it is: the numbers that scale an event, a setting, the version that says whether there is a hash."""
    path = folder / "model.json"
    text = path.read_text()
    scaling = text.index('"scaling"')
    for place in (text.index('"deviation"', scaling), scaling, text.index('"seed"'), text.index('"format_version"')):
        digit = next(i for i in range(place, len(text)) if text[i].isdigit())
        path.write_text(text[:digit] + {"2": "1", "3": "2"}.get(text[digit], "2") + text[digit + 1 :])
        with pytest.raises(CorruptFileError, match=r"model\.json does not match its own hash"):
            Model.load(folder)


def test_any_flipped_bit_of_the_description_is_named_or_changes_nothing(
    model: Model, folder: Path, toy: Events
) -> None:
    path = folder / "model.json"
    whole, z = path.read_bytes(), model.embed(toy[:20])
    refused = 0
    for bit in np.random.default_rng(1).integers(0, 8 * len(whole), 150).tolist():
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            again = Model.load(folder)
        except CorruptFileError:
            refused += 1
        else:  # a space became another one
            np.testing.assert_array_equal(again.embed(toy[:20]), z)
    assert refused > 75  # half of the characters or more are no spaces


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


def test_events_in_other_units_are_named(model: Model, toy: Events) -> None:
    other = toy.schema.model_copy(update={"name": "cavern", "units": ("MeV", "", "rad")})
    with pytest.raises(SchemaError, match="'cavern' have pt in MeV"):
        model.embed(replace(toy, schema=other))


def test_events_with_fewer_objects_are_named(model: Model, toy: Events) -> None:
    collections = tuple(c.model_copy(update={"pt_min": 10.0}) for c in toy.schema.collections)
    with pytest.raises(SchemaError, match="above pt 10"):
        model.embed(replace(toy, schema=toy.schema.model_copy(update={"collections": collections})))
