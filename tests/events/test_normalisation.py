from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from unseen.errors import CorruptFileError, NonFiniteError, NotEnoughEventsError, SchemaError
from unseen.events import Collection, Events, Schema
from unseen.events.normalisation import Normalisation


@pytest.mark.parametrize("log_pt", [False, True])
def test_present_objects_get_zero_mean_and_unit_spread_per_type(w_events: Events, log_pt: bool) -> None:
    fitted = Normalisation.fit(w_events, log_pt=log_pt)
    x = fitted.apply(w_events.objects, w_events.present)
    assert x.dtype == np.float32
    for collection in w_events.schema.collections:
        slots = w_events.schema.slots(collection.name)
        present = x[:, slots][w_events.present[:, slots]]
        constant = [i for i, name in enumerate(w_events.schema.features) if collection.name == "met" and name == "eta"]
        spread = np.ones(3)
        spread[constant] = 0.0
        np.testing.assert_allclose(present.mean(axis=0), 0.0, atol=1e-4)
        np.testing.assert_allclose(present.std(axis=0), spread, atol=1e-4)


def test_absent_objects_are_exactly_zero_and_do_not_matter(w_events: Events) -> None:
    fitted = Normalisation.fit(w_events)
    filled = np.where(w_events.present[..., None], w_events.objects, np.float32(np.nan))
    x = fitted.apply(filled, w_events.present)
    assert (x[~w_events.present] == 0).all()
    np.testing.assert_array_equal(x, fitted.apply(w_events.objects, w_events.present))


def test_log_pt_is_the_logarithm_of_one_plus_pt(two_events: Events) -> None:
    fitted = Normalisation.fit(_doubled(two_events), log_pt=True)
    pt = two_events.objects[0, 9, 0]
    jets = np.log1p(np.array([60.0, 25.0]))
    x = fitted.apply(two_events.objects, two_events.present)
    assert x[0, 9, 0] == pytest.approx((np.log1p(pt) - jets.mean()) / jets.std(), rel=1e-5)


def test_tensors_and_arrays_agree(w_events: Events) -> None:
    fitted = Normalisation.fit(w_events, log_pt=True)
    tensors = fitted.apply(torch.tensor(w_events.objects), torch.tensor(w_events.present))
    np.testing.assert_array_equal(tensors.numpy(), fitted.apply(w_events.objects, w_events.present))


def test_json_round_trip(w_events: Events) -> None:
    fitted = Normalisation.fit(w_events)
    assert Normalisation.parse(json.loads(fitted.model_dump_json())) == fitted


def test_an_empty_collection_is_refused(w_events: Events) -> None:
    present = w_events.present.copy()
    present[:, w_events.schema.slots("muons")] = False
    with pytest.raises(NotEnoughEventsError, match="'muons' has 0 objects"):
        Normalisation.fit(w_events.replace_objects(w_events.objects, present))


def test_a_constant_feature_becomes_zero() -> None:
    schema = Schema(name="one", collections=(Collection(name="met", slots=1, type=1),))
    same = Events.create(schema, np.full((100, 1, 3), 0.1), np.ones((100, 1), bool))
    np.testing.assert_array_equal(Normalisation.fit(same).apply(same.objects, same.present), 0.0)


def test_other_slots_are_refused(w_events: Events) -> None:
    schema = Schema(name="one", collections=(Collection(name="met", slots=1, type=1),))
    with pytest.raises(SchemaError, match="fitted on"):
        Normalisation.fit(w_events).check(schema)


def test_a_negative_pt_has_no_logarithm(two_events: Events) -> None:
    objects = two_events.objects.copy()
    objects[0, 9, 0] = -5.0
    broken = two_events.replace_objects(objects, two_events.present)
    with pytest.raises(NonFiniteError, match="-5 GeV"):
        Normalisation.fit(_doubled(broken), log_pt=True)
    with pytest.raises(NonFiniteError, match="event 0, slot 9: pt"):
        Normalisation.fit(_doubled(two_events), log_pt=True).apply(broken.objects, broken.present)


@pytest.mark.parametrize(
    "change", [{"mean": [[0.0]]}, {"deviation": [[0.0] * 3] * 4}, {"slots": [1]}, {"extra": 1}, {"mean": None}]
)
def test_damaged_numbers_are_named(w_events: Events, change: dict[str, object]) -> None:
    content = Normalisation.fit(w_events).model_dump(mode="json") | change
    with pytest.raises(CorruptFileError, match="here"):
        Normalisation.parse(content, origin="here")


def _doubled(events: Events) -> Events:
    return Events.concatenate([events, events])
