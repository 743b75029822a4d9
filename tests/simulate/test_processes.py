"""Process registry: what is built in, what users add, and what goes wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from unseen.errors import ConfigError, PythiaSettingsError, SchemaError, UnknownProcessError
from unseen.simulate import Process, SimulationConfig, check, load_processes
from unseen.simulate.processes import Caps, choose
from unseen.simulate.pythia import check_settings

Z_PRIME = yaml.safe_load("""
zprime:
  label: zprime
  settings: ["NewGaugeBoson:ffbar2gmZZprime=on", "32:m0=200", "32:onMode=off", "32:onIfAny=13"]
  cross_section_pb: 1.5
  filter: {lepton_pt_min: 20, count: 2}
""")


def test_built_in_has_the_mixture_and_the_benchmark_signals() -> None:
    known = load_processes()
    assert {"w", "z", "tt", "qcd"} <= known.keys()
    assert {name for name, process in known.items() if process.signal} == {
        "ato4l",
        "leptoquark",
        "h0tautau",
        "hchtaunu",
    }
    assert all(process.label == name for name, process in known.items())


def test_user_process_from_yaml() -> None:
    known = load_processes(Z_PRIME)
    assert known["zprime"].cross_section_pb == 1.5
    assert "w" in known


def test_user_process_may_replace_a_built_in_one() -> None:
    assert load_processes({"w": {"label": "mine", "settings": ["Top:gg2ttbar=on"]}})["w"].label == "mine"
    assert load_processes()["w"].label == "w"
    assert load_processes({"mine": {"settings": ["Top:gg2ttbar=on"]}})["mine"].label == "mine"


def test_unknown_process_gets_a_suggestion() -> None:
    with pytest.raises(UnknownProcessError, match=r"unknown process 'ato4'; did you mean 'ato4l'\?"):
        choose(["w", "ato4"], load_processes())


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"label": "x"}, "process 'x': settings"),
        ({"label": "x", "settings": ["# off"]}, "comment"),
        ({"label": "x", "settings": ["PhaseSpace:bias2Selection = on"]}, "gives events weights"),
        ({"label": "x", "settings": ["Top:gg2ttbar=on"], "crossection": 1}, "crossection"),
        ({"label": "x", "settings": ["Top:gg2ttbar=on"], "cross_section_pb": -1}, "cross_section_pb"),
    ],
)
def test_malformed_process_is_named(entry: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_processes({"x": entry})


@pytest.mark.parametrize("setting", ["WeakSingleBoson:ffbar2W2=on", "Top:gg2ttbar=abc=1", "PhaseSpace:pTHatMin=x"])
def test_setting_that_pythia_does_not_know(setting: str) -> None:
    with pytest.raises(PythiaSettingsError, match=f"process 'mine'.*{setting}"):
        check_settings("mine", ("Top:gg2ttbar=on", setting))


def test_settings_that_pythia_cannot_start_with(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PythiaSettingsError, match=r"process 'a3'.*does not start.*no process switched on"):
        check_settings("a3", ("HiggsBSM:gg2A3=on",))
    assert capfd.readouterr() == ("", "")


def test_everything_is_checked_before_work_starts() -> None:
    bad = Process(label="mine", settings=("Nonsense:all=on",))
    with pytest.raises(PythiaSettingsError, match=r"process 'mine'.*'Nonsense:all=on'"):
        check(SimulationConfig(test={"w": 10, "mine": 10}, processes={"mine": bad}))
    with pytest.raises(UnknownProcessError, match="did you mean 'tt'"):
        check(SimulationConfig(test={"ttt": 10}))
    with pytest.raises(ConfigError, match="no events"):
        check(SimulationConfig(test={"w": 0}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("collections: [{name: muon, slots: 1, type: 1}]", "the collection 'muon'.*did you mean 'muons'"),
        (
            "{collections: [{name: met, slots: 1, type: 1}], features: [pt, eta, phi, btag], units: ['', '', '', '']}",
            "btag",
        ),
    ],
)
def test_a_schema_that_the_detector_cannot_fill_is_refused(tmp_path: Path, change: str, message: str) -> None:
    layout = {"name": "mine"} | yaml.safe_load(change)
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(layout))
    with pytest.raises(SchemaError, match=message):
        check(SimulationConfig(test={"w": 10}, schema_name=str(tmp_path / "s.yaml")))


def test_caps_look_up() -> None:
    caps = Caps(pt_hat=(20, 30), heavy=(0.1, 0.2), light=(0.01, 0.02))
    assert caps.at([10, 25, 30, 99], [True, False, True, False]).tolist() == [0.1, 0.01, 0.2, 0.02]
    assert [caps.of(p, h) for p, h in ((10, True), (25, False), (30, True))] == [0.1, 0.01, 0.2]
    with pytest.raises(ValueError, match="same"):
        Caps(pt_hat=(20, 30), heavy=(0.1,), light=(0.01, 0.02))
