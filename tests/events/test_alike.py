"""Events in other units or with other objects than those of the training are refused; other storage is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unseen.errors import SchemaError
from unseen.events import ADC2021, Cut, Events, Requirement, Sample, Schema, Selection, read, select
from unseen.events.alike import check_alike, difference


def schema(jets: dict[str, Any] | None = None, cut: Cut | None = None, **changes: Any) -> Schema:
    """ADC2021 as "other", with other thresholds of stored and of selected jets."""
    collections = [c.model_copy(update=jets or {}) if c.name == "jets" else c for c in ADC2021.collections]
    objects = ADC2021.selection.objects | ({} if cut is None else {"jets": cut})
    selection = ADC2021.selection.model_copy(update={"objects": objects})
    return ADC2021.model_copy(
        update={"name": "other", "collections": tuple(collections), "selection": selection, **changes}
    )


def with_jet(events: Events, schema: Schema, pt: float, eta: float = 0.0) -> Events:
    """The events, of this schema, with such a jet in the last slot of the third."""
    objects, present = events.objects.copy(), events.present.copy()
    objects[2, -1], present[2, -1] = (pt, eta, 1.0), True
    return replace(events, schema=schema).replace_objects(objects, present)


@pytest.fixture(scope="module")
def selected(w_events: Events) -> Events:
    return select(w_events)


@pytest.mark.parametrize(
    ("units", "message"),
    [
        (("MeV", "", "rad"), r"'other' have pt in MeV.*'adc2021', which were trained on, have pt in GeV"),
        (("GeV", "", "deg"), "phi in deg.*phi in rad.*correct their schema"),
    ],
)
def test_other_units_are_refused(units: tuple[str, ...], message: str, w_events: Events) -> None:
    with pytest.raises(SchemaError, match=message):
        check_alike(ADC2021, replace(w_events, schema=schema(units=units)))


def test_other_layouts_are_refused(w_events: Events) -> None:
    fewer = ADC2021.model_copy(update={"collections": ADC2021.collections[:3]})
    with pytest.raises(SchemaError, match=r"jets\[10\]; those of"):
        check_alike(fewer, w_events)
    swapped = schema(features=("pt", "phi", "eta"))
    with pytest.raises(SchemaError, match=r"features pt, phi, eta; .* features pt, eta, phi"):
        check_alike(ADC2021, replace(w_events, schema=swapped))
    assert difference(ADC2021, schema()) is None


@pytest.mark.parametrize(
    "other",
    [
        schema(),
        schema(preselection=Selection()),
        schema(preselection=Selection(all_of=(Requirement(collection="muons", pt_min=50.0),))),
        schema({"pt_min": 10.0, "abs_eta_max": 5.0}),
        schema({"pt_min": 10.0, "abs_eta_max": None}),
        schema({"pt_min": 30.0}, Cut(abs_eta_max=4.0)),
        schema({"pt_min": 15.0}, Cut(pt_min=25.0, abs_eta_max=4.5)),
        schema(selection=ADC2021.selection.model_copy(update={"any_of": (), "all_of": ADC2021.selection.any_of[1:]})),
    ],
    ids=[
        "another name",
        "no preselection",
        "a tighter preselection",
        "stored looser",
        "stored without limit",
        "stored as tight as selected",
        "a looser selection, but the objects pass ours",
        "other requirements on the event",
    ],
)
def test_legitimate_differences_pass(other: Schema, selected: Events) -> None:
    check_alike(ADC2021, replace(selected, schema=other))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            schema(cut=Cut(pt_min=40.0, abs_eta_max=4.0)),
            "jets above pt 40 .*, above pt 30 .*missing.*select=True",
        ),
        (schema({"pt_min": 40.0}), "jets above pt 40 .*Store them with that schema"),
        (schema(cut=Cut(pt_min=30.0, abs_eta_max=2.5)), r"within \|eta\| 2\.5, .* within \|eta\| 4"),
    ],
)
def test_tighter_objects_are_refused_whatever_the_events_hold(other: Schema, message: str, selected: Events) -> None:
    with pytest.raises(SchemaError, match=message):
        check_alike(ADC2021, replace(selected[:0], schema=other))


@pytest.mark.parametrize(
    ("other", "jet"),
    [
        (schema(cut=Cut(pt_min=25.0, abs_eta_max=4.0)), (27.0, 0.0)),
        (schema(cut=Cut(pt_min=30.0)), (50.0, 3.9)),
        (schema({"pt_min": 10.0}), (12.0, 0.0)),
        (schema({"abs_eta_max": None}), (50.0, -4.4)),
    ],
    ids=["selected softer", "selected within the acceptance", "stored softer, not selected", "stored wider"],
)
def test_objects_that_the_training_could_not_have_are_refused_and_can_be_removed(
    other: Schema, jet: tuple[float, float], selected: Events
) -> None:
    trained = ADC2021 if jet[1] != 3.9 else schema(cut=Cut(pt_min=30.0, abs_eta_max=3.0))
    clean = select(replace(selected, schema=other), trained.selection)
    check_alike(trained, clean)
    soft = with_jet(clean, other, *jet)
    with pytest.raises(SchemaError, match=rf"event 2 .* one of jets with pt {jet[0]:g}, eta {jet[1]:g};.*select\("):
        check_alike(trained, soft)
    check_alike(trained, select(soft, trained.selection))


def test_events_of_one_schema_pass_before_and_after_their_selection(w_events: Events, selected: Events) -> None:
    check_alike(ADC2021, w_events)
    check_alike(ADC2021, selected)


def test_reading_with_a_schema_gives_its_selection_and_refuses_other_units(w_events: Events, tmp_path: Path) -> None:
    tight = schema(cut=Cut(pt_min=40.0, abs_eta_max=4.0))
    Sample.write(tmp_path / "loose", w_events)
    events = read(tmp_path / "loose", schema=tight, select=True)
    assert events.schema.selection == tight.selection
    assert events.schema.preselection == w_events.schema.preselection
    np.testing.assert_array_equal(events.objects, select(w_events, tight.selection).objects)
    check_alike(tight, events)
    Sample.write(tmp_path / "mev", replace(w_events, schema=schema(units=("MeV", "", "rad"))))
    with pytest.raises(SchemaError, match="pt in MeV, eta without unit, phi in rad, not pt in GeV"):
        read(tmp_path / "mev", schema=ADC2021)
    with pytest.raises(SchemaError, match="other thresholds"):
        read(tmp_path / "loose", schema=schema({"pt_min": 10.0}))
