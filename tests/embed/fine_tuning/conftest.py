from __future__ import annotations

import pytest

from tests.embed.fine_tuning.build import events, stage_a
from unseen.embed import Model
from unseen.events import Events


@pytest.fixture(scope="session")
def stored() -> Events:
    return events(3000, seed=0)


@pytest.fixture(scope="session")
def model(stored: Events, tmp_path_factory: pytest.TempPathFactory) -> Model:
    return stage_a(stored, tmp_path_factory.mktemp("stage-a"))
