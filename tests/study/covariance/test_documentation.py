"""The page of the documentation: its example runs, and it names what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from unseen.study import covariance

PAGE = (Path(__file__).parents[3] / "docs" / "covariance.md").read_text(encoding="utf-8")


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    code = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(code[0], "covariance.md", "exec"), {"__name__": "docs"})
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_every_function_in_the_table_exists() -> None:
    for name in re.findall(r"^\| `(\w+)` \| [A-Z]", PAGE, re.MULTILINE):
        assert hasattr(covariance, name), name
    for name in covariance.TREATMENTS:
        assert f"`{name}`" in PAGE
