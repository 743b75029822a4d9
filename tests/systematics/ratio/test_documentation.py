"""The example of docs/density-ratio.md runs as it stands, and its table names every kind."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import unseen
from unseen.systematics.ratio import SOURCES

PAGE = Path(__file__).parents[3] / "docs" / "density-ratio.md"


def test_the_example_runs(data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(data_folder / "w.h5", tmp_path)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[0], names)
    assert names["ratio"].names == ("muon-scale", "unclustered-met")
    assert names["ratio"].closure.method == "moments"
    assert np.isfinite(names["weights"]).all()
    assert sorted(path.name for path in (tmp_path / "ratio").iterdir()) == ["ratio.json", "ratio.safetensors"]


def test_the_page_names_what_there_is() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert all(f"`{kind}`" in text for kind in SOURCES)
    rows = re.findall(r"^\| `(\w+)` \| `(?:kernel|mixture|joined)` \|", text, re.MULTILINE)
    assert len(rows) == 5
    assert all(hasattr(unseen.systematics, name) for name in rows)
