from __future__ import annotations

from pathlib import Path

import pytest

from tests.study.problems import SIZES, settings, write_files
from unseen.study import StudyPools, draw_study_pools, parse_study


@pytest.fixture(scope="session")
def study_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small files of collisions."""
    folder = tmp_path_factory.mktemp("study")
    write_files(folder, SIZES)
    return folder


@pytest.fixture(scope="session")
def pools(study_folder: Path) -> StudyPools:
    return draw_study_pools(parse_study(settings(study_folder)))
