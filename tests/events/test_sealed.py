from __future__ import annotations

import json
from pathlib import Path

import pytest

from unseen.errors import CorruptFileError
from unseen.events.sealed import SEAL, check_seal, seal_of, write_sealed_json

CONTENT = {
    "numbers": [0.1, 1e-30, -0.0, 123456789.123],
    "by number": {10: "ten", 9: "nine"},
    "text": "Z → ττ",
    "n": None,
}


def test_a_sealed_file_is_its_content_and_the_seal(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_sealed_json(path, CONTENT)
    content = json.loads(path.read_text(encoding="utf-8"))
    check_seal(content, path, True, "make it again")
    assert content[SEAL] == seal_of(CONTENT) == seal_of({**CONTENT, SEAL: "another"})
    del content[SEAL]
    assert content == json.loads(json.dumps(CONTENT))
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_the_seal_does_not_depend_on_order_or_spaces() -> None:
    assert seal_of({"a": 1, "b": [1, 2]}) == seal_of({"b": [1, 2], "a": 1})
    assert seal_of({"a": 1, "b": [1, 2]}) != seal_of({"a": 1, "b": [2, 1]})
    assert seal_of({"a": 1}) != seal_of({"a": 1.0}) != seal_of({"a": "1"})


@pytest.mark.parametrize("change", [{"numbers": [0.2]}, {SEAL: None}, {SEAL: "0" * 64}, {"more": 1}])
def test_changed_content_is_named(change: dict[str, object], tmp_path: Path) -> None:
    content = {**CONTENT, SEAL: seal_of(CONTENT), **change}
    with pytest.raises(CorruptFileError, match=r"a\.json does not match its own hash.*; make it again"):
        check_seal(content, tmp_path / "a.json", False, "make it again")


def test_content_without_a_seal_passes_only_where_none_is_required(tmp_path: Path) -> None:
    check_seal(CONTENT, tmp_path / "a.json", False, "make it again")
    with pytest.raises(CorruptFileError, match="make it again"):
        check_seal(CONTENT, tmp_path / "a.json", True, "make it again")
