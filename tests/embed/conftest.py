from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from tests.embed.toy import toy_events, toy_settings
from unseen.embed import TrainingConfig
from unseen.events import Events


@pytest.fixture(scope="session")
def toy() -> Events:
    return toy_events(600, seed=0)


@pytest.fixture(scope="session")
def settings() -> TrainingConfig:
    return toy_settings()


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Small matrices gain nothing from threads, and equal thread counts are part of "the same bits"."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
