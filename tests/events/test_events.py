from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import torch

from unseen.errors import NonFiniteError, SchemaError, ShapeError, WeightError
from unseen.events import ADC2021, Events, Schema


def test_arrays_are_read_only(two_events: Events) -> None:
    for array in (two_events.objects, two_events.weight, two_events.record["source"], two_events[:1].objects):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    with pytest.raises(AttributeError):
        two_events.label = two_events.label


def test_the_input_is_copied_not_frozen() -> None:
    objects = np.zeros((1, 19, 3), np.float32)
    Events.create(ADC2021, objects, np.zeros((1, 19), bool))
    objects[0] = 1.0


def test_absent_objects_are_zero_whatever_was_passed() -> None:
    objects = np.full((1, 19, 3), np.nan, np.float32)
    events = Events.create(ADC2021, objects, np.zeros((1, 19), bool))
    assert not events.objects.any()


def test_indexing_and_concatenation_are_inverse(two_events: Events) -> None:
    assert Events.concatenate([two_events[:1], two_events[1:]]) == two_events
    assert two_events[np.array([1, 0])][np.array([1, 0])] == two_events
    assert two_events[np.array([False, True])].record["source"][0] == 8


def test_concatenation_merges_label_names(two_events: Events) -> None:
    other = Events.create(ADC2021, two_events.objects, two_events.present, label=1, label_names=("tt", "w"))
    both = Events.concatenate([two_events, other])
    assert both.label_names == ("z", "w", "tt")
    np.testing.assert_array_equal(both.label, [0, 1, 1, 1])
    assert "source" not in both.record
    assert len(both.of("w")) == 3


def test_concatenation_of_other_schemas_is_refused(two_events: Events) -> None:
    other = Schema(name="x", collections=(ADC2021.collections[0],))
    events = Events.create(other, np.zeros((1, 1, 3)), np.ones((1, 1), bool))
    with pytest.raises(SchemaError, match="'adc2021' and 'x'"):
        Events.concatenate([two_events, events])
    with pytest.raises(ShapeError):
        Events.concatenate([])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"objects": np.zeros((2, 18, 3))}, SchemaError, r"\(n, 19, 3\)"),
        ({"present": np.zeros((2, 18), bool)}, ShapeError, "present"),
        ({"objects": np.full((2, 19, 3), np.inf)}, NonFiniteError, "pt is inf"),
        ({"weight": [1.0, np.nan]}, WeightError, "event 1"),
        ({"label": 3}, SchemaError, "label names"),
        ({"nu": np.zeros((3, 1))}, ShapeError, "nu has 3 rows"),
        ({"record": {"source": [1]}}, ShapeError, "source has 1 rows"),
    ],
)
def test_bad_columns_are_named(change: dict[str, object], error: type[Exception], message: str) -> None:
    columns: dict[str, object] = {"objects": np.zeros((2, 19, 3)), "present": np.ones((2, 19), bool)}
    with pytest.raises(error, match=message):
        Events.create(ADC2021, **{**columns, **change})


def test_to_torch_copies(two_events: Events) -> None:
    tensors = two_events.to_torch()
    tensors["objects"].zero_()
    assert two_events.objects.any()
    assert tensors["present"].dtype == torch.bool


def test_from_awkward_sorts_pads_and_clips() -> None:
    schema = Schema.parse({"name": "m", "collections": [{"name": "muons", "slots": 2, "type": 1}]})
    muons = ak.zip({"pt": [[10.0, 30.0, 20.0], []], "eta": [[0.1, 0.3, 0.2], []], "phi": [[0.0, 0.0, 0.0], []]})
    events = Events.from_awkward(schema, {"muons": muons})
    np.testing.assert_allclose(events.get("muons", "pt"), [[30, 20], [0, 0]])
    np.testing.assert_allclose(events.get("muons", "eta"), [[0.3, 0.2], [0, 0]])
    np.testing.assert_array_equal(events.present, [[True, True], [False, False]])


def test_from_awkward_names_what_is_missing() -> None:
    with pytest.raises(SchemaError, match="'met'"):
        Events.from_awkward(ADC2021, {})
    with pytest.raises(SchemaError, match="phi"):
        Events.from_awkward(ADC2021, {"met": {"pt": [1.0], "eta": [0.0]}})


def test_from_awkward_keeps_to_the_acceptance() -> None:
    schema = Schema.parse(
        {"name": "m", "collections": [{"name": "jets", "slots": 2, "type": 1, "pt_min": 15, "abs_eta_max": 2}]}
    )
    jets = ak.zip({"pt": [[90.0, 30.0, 20.0, 10.0], []], "eta": [[-2.5, 0.3, 1.9, 0.0], []], "phi": [[0.0] * 4, []]})
    events = Events.from_awkward(schema, {"jets": jets})
    np.testing.assert_allclose(events.get("jets", "pt"), [[30, 20], [0, 0]])
    broken = ak.zip({"pt": [[float("nan")]], "eta": [[0.0]], "phi": [[0.0]]})
    with pytest.raises(NonFiniteError, match="pt is nan"):
        Events.from_awkward(schema, {"jets": broken})


def test_collections_of_different_lengths_are_named() -> None:
    schema = Schema.parse(
        {"name": "m", "collections": [{"name": "met", "slots": 1, "type": 1}, {"name": "jets", "slots": 1, "type": 2}]}
    )
    met = {name: np.zeros(2) for name in schema.features}
    jets = ak.zip({name: [[1.0]] for name in schema.features})
    with pytest.raises(ShapeError, match="'jets' has 1 events, the one before it 2"):
        Events.from_awkward(schema, {"met": met, "jets": jets})


@pytest.mark.parametrize("rows", [0, (0, 1), np.zeros((2, 1), int), np.int64(1), None])
def test_a_row_alone_is_not_a_batch(two_events: Events, rows: object) -> None:
    with pytest.raises(ShapeError, match="slice, a mask or indices"):
        two_events[rows]


def test_nuisance_columns_must_match(two_events: Events) -> None:
    other = Events.create(ADC2021, two_events.objects, two_events.present, nu=np.zeros((2, 3)))
    with pytest.raises(ShapeError, match="nu of shape"):
        Events.concatenate([two_events, other])


def test_events_compare_by_value_and_so_have_no_hash(two_events: Events) -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(two_events)
