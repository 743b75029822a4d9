from __future__ import annotations

import numpy as np
import pytest

from unseen.events import Cut, Events, Requirement, Selection, select
from unseen.events.selection import passes, remove_objects


def test_the_l1_selection_keeps_leptons_above_23_gev(two_events: Events, w_events: Events) -> None:
    assert len(select(two_events)) == 2
    kept = select(w_events)
    lepton = np.maximum(kept.get("electrons", "pt").max(1), kept.get("muons", "pt").max(1))
    assert lepton.min() > 23
    assert kept.get("jets", "pt")[kept.has("jets")].min() > 30
    assert 100 < len(kept) < len(w_events)


def test_selecting_twice_changes_nothing(w_events: Events) -> None:
    once = select(w_events)
    assert select(once) == once


def test_removed_objects_leave_no_gap(two_events: Events) -> None:
    events = remove_objects(two_events, {"muons": Cut(pt_min=48)})
    np.testing.assert_array_equal(events.has("muons").sum(1), [1, 0])
    np.testing.assert_allclose(events.get("muons", "pt")[0], [50, 0, 0, 0])
    back = remove_objects(two_events, {"muons": Cut(pt_min=0.0, abs_eta_max=0.5)})
    assert not back.objects[:, events.schema.slots("muons")].any()


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(), [True, True]),
        (Selection(all_of=(Requirement(collection="muons", pt_min=20, count=2),)), [True, False]),
        (Selection(any_of=(Requirement(collection="electrons", pt_min=20),)), [False, True]),
        (
            Selection(
                any_of=(Requirement(collection="electrons"), Requirement(collection="muons")),
                all_of=(Requirement(collection="jets"),),
            ),
            [True, False],
        ),
    ],
)
def test_requirements(two_events: Events, selection: Selection, expected: list[bool]) -> None:
    np.testing.assert_array_equal(passes(two_events, selection), expected)
