"""What is refused of nuisance parameters before anything is simulated or read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from unseen.config import parse_config
from unseen.errors import NuisanceError, NuisanceRangeError, SchemaError
from unseen.sources import check_config

POOLS = {"mixture": {"w": 0.5, "tt": 0.5}, "train": 60, "settings": 20, "reference": 80, "toys": 60, "expected": 15}


def check(*rows: Any, **sections: Any) -> None:
    content: dict[str, Any] = {"simulate": {}, "pools": POOLS, "systematics": {"nuisances": rows}}
    check_config(parse_config(content | sections))


def of(*processes: str) -> dict[str, Any]:
    return {"name": "normalisation", "label": "xsec", "size": 0.06, "processes": processes}


def test_a_process_that_no_event_will_have_is_refused_with_a_suggestion() -> None:
    check("jet-scale", of("tt"), of("w", "tt") | {"label": "both"})
    with pytest.raises(NuisanceError, match=r"'xsec': no process 'ww' in pools\.mixture; did you mean 'w'"):
        check("jet-scale", of("ww"))
    signal = {"data": {"signal": {"process": "ato4l", "events": 3}}}
    with pytest.raises(NuisanceError, match=r"no process 'ato4l' in pools\.mixture"):  # it is not expected
        check("jet-scale", of("ato4l"), **signal)
    with pytest.raises(NuisanceError, match="no process 'w'"):  # no event of it
        check("jet-scale", of("w"), pools=POOLS | {"mixture": {"w": 0.0, "tt": 1.0}})


def test_processes_are_those_of_the_labels_that_events_carry(data_folder: Path) -> None:
    files = {"test": {name: [str(data_folder / "w_more.h5")] for name in ("w", "tt")}}
    check("jet-scale", of("tt"), files=files, simulate=None)
    own = {"simulate": {"processes": {"heavy": {"label": "top", "settings": ["Top:gg2ttbar = on"]}}}}
    mixed = {"pools": POOLS | {"mixture": {"w": 0.5, "heavy": 0.5}}}
    check("jet-scale", of("top"), **own, **mixed)
    with pytest.raises(NuisanceError, match=r"no process 'heavy' in pools\.mixture; known: top, w"):
        check("jet-scale", of("heavy"), **own, **mixed)


def test_columns_that_the_simulation_does_not_make_are_refused(data_folder: Path) -> None:
    with pytest.raises(NuisanceError, match=r"'initial-shower' .* 'isr_up' .* makes source.*: set simulate.shower_wei"):
        check("jet-scale", "initial-shower")
    check("initial-shower", {"name": "final-shower", "label": "fsr"}, simulate={"shower_weights": True})
    with pytest.raises(NuisanceError, match=r"'pdf' needs the column 'pdf_up' .* makes source, .*fsr_down: leave it"):
        check(
            {"name": "weights", "label": "pdf", "up": "pdf_up", "down": "isr_down"}, simulate={"shower_weights": True}
        )
    with pytest.raises(NuisanceError, match="'pdf' needs the column 'pdf_down'"):
        check({"name": "weights", "label": "pdf", "up": "true_met", "down": "pdf_down"})
    files = {"test": {name: [str(data_folder / "w_more.h5")] for name in ("w", "tt")}}
    check("initial-shower", files=files, simulate=None)  # files are looked at when they are read, before training


def test_values_and_collections_are_checked() -> None:
    with pytest.raises(NuisanceRangeError, match="nu of 'jet-scale' is 6"):
        check("jet-scale", data={"nu": {"jet-scale": 6.0}})
    with pytest.raises(SchemaError, match="acts on photons"):
        check({"name": "energy-scale", "collection": "photons", "size": 0.1})
