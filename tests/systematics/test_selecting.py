from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.systematics.build import events
from unseen.events import select
from unseen.systematics import NuisanceSet
from unseen.systematics.selecting import select_tensors


@pytest.mark.parametrize("nu", [0.0, -2.0])
def test_tensors_are_selected_as_events_are(nu: float) -> None:
    sample = events(400)
    moved = NuisanceSet.parse(["jet-scale", "electron-scale"]).distort(sample, [nu, nu])
    expected = select(moved)
    found = select_tensors(moved.schema, torch.tensor(moved.objects), torch.tensor(moved.present))
    passes = found.passes.numpy()
    assert 0 < passes.sum() < len(moved)
    np.testing.assert_array_equal(moved.record["source"][passes], expected.record["source"])
    np.testing.assert_array_equal(found.objects.numpy()[passes], expected.objects)
    np.testing.assert_array_equal(found.present.numpy()[passes], expected.present)
