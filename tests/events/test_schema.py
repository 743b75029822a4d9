from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from unseen.errors import MissingFileError, SchemaError
from unseen.events import ADC2021, Schema

YAML = """
name: dimuon
collections:
  - {name: muons, slots: 2, type: 1, abs_eta_max: 2.4}
  - {name: met, slots: 1, type: 2}
selection:
  all_of: [{collection: muons, pt_min: 20, count: 2}]
"""


def test_adc2021_has_the_published_layout() -> None:
    assert (ADC2021.n_slots, ADC2021.n_features) == (19, 3)
    assert ADC2021.slots("jets") == slice(9, 19)
    np.testing.assert_array_equal(ADC2021.slot_types, [1] + [2] * 4 + [3] * 4 + [4] * 10)


def test_any_layout_from_a_few_lines_of_yaml(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(YAML)
    schema = Schema.load(tmp_path / "s.yaml")
    assert schema.n_slots == 3
    assert schema.slots("met") == slice(2, 3)
    assert schema == Schema.parse(schema.model_dump(mode="json"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("slots: 2", "slots: 0"),
        ("type: 2}", "type: 1}"),
        ("collection: muons", "collection: muon"),
        ("name: met", "name: muons"),
        ("abs_eta_max", "abs_eta"),
    ],
)
def test_a_bad_schema_is_refused_with_its_file(tmp_path: Path, change: str, message: str) -> None:
    (tmp_path / "s.yaml").write_text(YAML.replace(change, message))
    with pytest.raises(SchemaError, match=r"s\.yaml"):
        Schema.load(tmp_path / "s.yaml")


def test_names_are_suggested() -> None:
    with pytest.raises(SchemaError, match="did you mean 'muons'"):
        ADC2021.slots("muon")
    with pytest.raises(SchemaError, match="did you mean 'eta'"):
        ADC2021.feature("etaa")
    with pytest.raises(MissingFileError, match="did you mean 'adc2021'"):
        Schema.load("adc2012")


def test_schemas_are_equal_whatever_was_asked_of_them() -> None:
    copy = Schema.model_validate(ADC2021.model_dump())
    assert copy.slot_types.tolist() == ADC2021.slot_types.tolist()
    assert copy == ADC2021
