"""`unseen power` from files to numbers, and every way in which a user can go wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import unseen
from tests.power.problems import sample, signals
from tests.test_cli import call
from unseen.arrays import write_arrays
from unseen.embed import TrainingConfig, train
from unseen.errors import ConfigError, UnknownNameError
from unseen.powering import check_tests, numbers, signal_files

CONFIG = "simulate: {}\nsearch: {n_centers: 30, widths: [1.5], normalisation: known}\n"
OPTIONS = {
    "--background": "b.npz",
    "--signal": "bump=s.npz",
    "--n-reference": "300",
    "--n-data": "80",
    "--n-signal": "0,10,25",
    "--config": "c.yaml",
    "--toys": "20",
    "--null-toys": "600",
    "--workers": "1",
    "--out": "out/power.json",
}
Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: Patch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_arrays(tmp_path / "b.npz", x=sample(0, 1200))
    write_arrays(tmp_path / "s.npz", x=signals()["bump"])
    write_arrays(tmp_path / "ring.npz", x=signals()["ring"])
    (tmp_path / "c.yaml").write_text(CONFIG)
    return tmp_path


def power(monkeypatch: Patch, *flags: str, **changes: str | None) -> int:
    options = OPTIONS | {f"--{name.replace('_', '-')}": value for name, value in changes.items()}
    given = [part for name, value in options.items() if value is not None for part in (name, value)]
    return call(monkeypatch, "power", *given, *flags)


def content(name: str = "out/power.json") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(name).read_text())
    return found


def toys() -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in Path("out/power.toys").rglob("*.h5")}


def test_the_json_the_figure_and_the_last_line(monkeypatch: Patch, capsys: Capture) -> None:
    assert power(monkeypatch, "--json") == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    found = content()
    keys = {"n2", "n3", "n5", "n2_interval", "n3_interval", "n5_interval", "notes", "at_resolution", "n_toys"}
    keys |= {"median_z", "median_z_interval", "power", "power_interval", "power_level", "null_size", "largest_z"}
    assert keys | {"test", "signal", "signals", "about", "n_signal"} == set(found)
    assert {name: found[name] for name in last if name != "out"} == {k: v for k, v in last.items() if k != "out"}
    assert (last["out"], last["signal"]) == ("out/power.json", "bump")
    assert (found["test"], found["n_signal"], found["null_size"]) == ("kernel", [0, 10, 25], 600)
    assert (found["power_level"], found["n_toys"]) == (2.0, [20, 20, 20])
    assert 0 < found["n2"] < 25
    assert found["n3"] is None
    assert found["notes"]["n3"] == "600 null toys do not resolve Z = 3"
    assert found["signals"]["bump"]["kernel"] == {name: found[name] for name in found["signals"]["bump"]["kernel"]}
    for name in ("median_z_interval", "power_interval"):
        values = np.array(found[name])
        middle = np.array(found[name.removesuffix("_interval")])
        assert ((values[:, 0] <= middle) & (middle <= values[:, 1])).all()
    about = found["about"]
    assert (about["calibration"], about["statistic"]) == ({"kernel": "toys"}, "converged")
    assert about["options"]["n_reference"] == 300
    assert about["configuration"]["search"]["n_centers"] == 30
    with Image.open("out/power.png") as image:
        assert image.size[0] > 500
    assert sorted(path.name for path in Path("out").iterdir()) == ["power.json", "power.png", "power.toys"]


def test_the_same_study_again_computes_nothing_and_a_longer_one_only_what_is_new(
    monkeypatch: Patch, capsys: Capture
) -> None:
    assert power(monkeypatch) == 0
    assert "bump, kernel: N_2 = " in capsys.readouterr().out
    first, made = Path("out/power.json").read_bytes(), toys()
    assert power(monkeypatch, "--quiet") == 0
    assert capsys.readouterr() == ("", "")
    assert Path("out/power.json").read_bytes() == first
    assert toys() == made
    assert power(monkeypatch, n_signal="0,5,10,25", null_toys="700") == 0
    assert made.items() < toys().items()
    before, after = json.loads(first), content()
    assert after["power"][1:] != before["power"] or after["n_signal"] == [0, 5, 10, 25]
    assert len(toys()) == len(made) + 2


def test_toys_of_another_study_are_refused(monkeypatch: Patch, capsys: Capture) -> None:
    assert power(monkeypatch, "--quiet") == 0
    for changes, named in (
        ({"seed": "2"}, "seed (1, now 2)"),
        ({"statistic": "linear"}, "search.statistic ('converged', now 'linear')"),
        ({"n_data": "81"}, "expected (80.0, now 81.0)"),
        ({"signal": "bump=ring.npz"}, "events ("),
    ):
        capsys.readouterr()
        assert power(monkeypatch, **changes) == 2
        said = capsys.readouterr().err
        assert "StoreMismatchError: the toys in out/power.toys" in said
        assert named in said


def test_several_signals_and_tests_with_a_ceiling(monkeypatch: Patch) -> None:
    write_arrays(Path("b.npz"), x=sample(0, 1500))
    for file, x in zip(("s", "ring"), signals(300).values(), strict=True):
        write_arrays(Path(f"{file}.npz"), x=x)
    assert power(monkeypatch, "--signal", "ring.npz", tests="kernel,mmd,ceiling") == 0
    found = content()
    for signal in ("bump", "ring"):
        assert set(found["signals"][signal]) == {"kernel", "mmd", "ceiling"}
    assert found["about"]["calibration"] == dict.fromkeys(("kernel", "mmd", "ceiling"), "toys")
    # As many other injections: the toys of a ceiling belong to its injections.
    assert power(monkeypatch, "--signal", "ring.npz", tests="ceiling", n_signal="0,10,40") == 0
    assert power(monkeypatch, "--signal", "ring.npz", tests="ceiling", n_signal="0,10,40", out="new.json") == 0
    assert content("new.json")["signals"] == content()["signals"]


def test_an_analytic_null_reaches_five_sigma(monkeypatch: Patch) -> None:
    Path("c.yaml").write_text(CONFIG.replace("n_centers: 30", "n_centers: 30, penalty: 0.001"))
    changes = {"statistic": "linear", "calibration": "asymptotic", "n_signal": "0,20,40,80"}
    assert power(monkeypatch, **changes) == 0
    found = content()
    assert (found["null_size"], found["about"]["calibration"]) == (None, {"kernel": "asymptotic"})
    assert found["power_level"] == 5.0
    assert found["n2"] < found["n3"] < found["n5"]
    assert not list(Path("out").rglob("null*"))


def test_a_test_of_shape_has_a_null_for_each_injection(monkeypatch: Patch) -> None:
    assert power(monkeypatch, normalisation="free", null_toys="20") == 0
    names = {path.name.rsplit("-", 2)[0] for path in toys()}
    assert names == {*(f"null-of-{80 + n}" for n in (0, 10, 25)), *(f"bump-{n}-of-{80 + n}" for n in (0, 10, 25))}
    assert content()["about"]["normalisation"] == "free"


def test_weights_are_removed_by_hit_or_miss(monkeypatch: Patch, capsys: Capture) -> None:
    write_arrays(Path("b.npz"), x=sample(0, 1600), weights=np.where(np.arange(1600) < 1200, 2.0, 0.0))
    assert power(monkeypatch) == 0
    assert "background: 1200 of 1600 weighted events are left after unweighting" in capsys.readouterr().err


FEW = "the background has 1200 events: 6000 as reference and 240 for toys (--pool) leave 0 for the tests' settings"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"calibration": "linear"},
            "ConfigError: power: calibration 'linear' needs statistic 'linear', not 'converged'",
        ),
        ({"calibration": "permutation"}, "ConfigError: calibration 'permutation' cannot serve a power study"),
        ({"calibration": "toy"}, "ConfigError: power: calibration: Input should be 'auto', 'toys', 'linear'"),
        ({"statistic": "linaer"}, "ConfigError: power: statistic: Input should be 'converged', 'one_step' or 'linear'"),
        ({"normalisation": "fre"}, "did you mean 'free'?"),
        ({"tests": "kernel,mdm"}, "UnknownNameError: unknown test 'mdm'; did you mean 'mmd'?"),
        ({"tests": "mmd,mmd"}, "ConfigError: tests are ('mmd', 'mmd'); name at least one, each once"),
        ({"tests": ","}, "ConfigError: tests are (); name at least one, each once"),
        ({"cluster": "lokal"}, "UnknownNameError: --cluster 'lokal' is unknown; did you mean 'local'?"),
        ({"n_reference": "6000"}, f"NotEnoughEventsError: {FEW}"),
        ({"pool": "5000"}, "5000 for toys (--pool)"),
        ({"pool": "90"}, "NotEnoughEventsError: the pool has 90 events"),
        ({"n_signal": "0,121"}, "NotEnoughEventsError: signal 'bump' has 120 events, 121 are to be injected"),
        ({"n_signal": "0,61", "tests": "ceiling"}, "has 60 events beside the 60 that train the ceiling, 61 are"),
        ({"n_signal": "0,ten"}, "--n-signal is '0,ten'; expected whole numbers with commas between"),
        ({"n_signal": "0,5,5"}, "--n-signal is '0,5,5'; the numbers must be different and not negative"),
        ({"n_signal": "-3,5"}, "--n-signal is '-3,5'; the numbers must be different and not negative"),
        ({"n_signal": ""}, "--n-signal is ''"),
        ({"signal": "a/b=s.npz"}, "the name 'a/b' is not usable or given twice"),
        ({"background": "absent.npz"}, "MissingFileError: no file absent.npz"),
        ({"config": "absent.yaml"}, "MissingFileError"),
        ({"pool": "870", "tests": "ceiling"}, "leave 30 for the tests' settings, which want 30 and need 30"),
    ],
)
def test_mistakes_end_with_one_line_and_code_2(
    changes: dict[str, str], message: str, monkeypatch: Patch, capsys: Capture
) -> None:
    assert power(monkeypatch, "--quiet", **changes) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not Path("out/power.json").exists()


@pytest.mark.parametrize(
    ("file", "arrays", "message"),
    [
        ("b", {"z": np.ones((1200, 2))}, "CorruptFileError: b.npz has no array 'x'"),
        ("b", {"x": np.full((1200, 2), "a")}, "ShapeError: x of b.npz is not a rectangular array of numbers"),
        ("b", {"x": np.full((1200, 2), np.nan)}, "NonFiniteError: x of b.npz has 1200 events with NaN"),
        ("b", {"x": np.ones((1200, 2, 2))}, "ShapeError: x of b.npz has shape (1200, 2, 2)"),
        ("b", {"x": sample(0, 1200), "weights": np.ones(7)}, "WeightError: the weights of b.npz has shape (7,)"),
        ("b", {"x": sample(0, 1200), "weights": -np.ones(1200)}, "NegativeWeightError: the weights of b.npz"),
        ("b", {"x": np.linspace(0, 1, 1200)}, "ShapeError: signal 'bump' has 2 features"),
        ("s", {"x": np.ones((50, 3))}, "ShapeError: signal 'bump' has 3 features"),
        ("s", {"x": np.empty((0, 2))}, "NotEnoughEventsError: x of s.npz has no events"),
        ("s", {"x": sample(0, 1200)[:60]}, "OverlapError: 60 of 60 events of signal 'bump' are also in the background"),
    ],
)
@pytest.mark.parametrize("tests", ["kernel", "mahalanobis"])
def test_arrays_that_cannot_be_used_are_named(
    file: str, arrays: dict[str, Any], message: str, tests: str, monkeypatch: Patch, capsys: Capture
) -> None:
    write_arrays(Path(f"{file}.npz"), **arrays)
    assert power(monkeypatch, "--quiet", tests=tests) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_a_signal_given_twice_is_refused(monkeypatch: Patch, capsys: Capture) -> None:
    assert power(monkeypatch, "--signal", "bump=ring.npz") == 2
    assert "the name 'bump' is not usable or given twice; write NAME=ring.npz" in capsys.readouterr().err


def test_names_and_numbers_are_read() -> None:
    assert numbers("0, 50,100") == (0, 50, 100)
    assert signal_files(["a=x/y.npz", "x/z.npz"]) == {"a": Path("x/y.npz"), "z": Path("x/z.npz")}
    check_tests(("kernel", "energy", "ceiling"))
    with pytest.raises(ConfigError):
        check_tests(())
    with pytest.raises(UnknownNameError, match="did you mean 'kernel'"):
        check_tests(("kernell",))


def test_help_has_an_example(monkeypatch: Patch, capsys: Capture) -> None:
    assert call(monkeypatch, "power", "--help") == 0
    assert "Example: unseen power" in capsys.readouterr().out
    assert call(monkeypatch, "--help") == 0
    assert "power" in capsys.readouterr().out


def test_a_flat_array_is_one_feature(monkeypatch: Patch) -> None:
    write_arrays(Path("b.npz"), x=sample(0, 1200)[:, 0])
    write_arrays(Path("s.npz"), x=signals()["bump"][:, 0])
    assert power(monkeypatch, toys="10", null_toys="10") == 0


def test_collisions_are_embedded_and_need_a_model(monkeypatch: Patch, capsys: Capture, data_folder: Path) -> None:
    """Background w with ato4l as signal, from samples in the public format, at sizes that these files allow."""
    events = unseen.Events.concatenate([unseen.read(data_folder / f"{name}.h5") for name in ("w", "qcd")])
    train(events, TrainingConfig.parse({"epochs": 1, "device": "cpu"}), Path("model"), seed=1)
    changes = {
        "background": str(data_folder / "w_more.h5"),
        "signal": f"ato4l={data_folder / 'ato4l.h5'}",
        "n_reference": "100",
        "n_data": "20",
        "n_signal": "0,10",
        "null_toys": "20",
    }
    assert power(monkeypatch, "--quiet", **changes) == 2
    said = capsys.readouterr().err
    assert "ConfigError" in said
    assert "w_more.h5 holds collisions: name an embedding with --model" in said
    assert power(monkeypatch, "--quiet", model="model", **changes) == 0
    assert content()["signal"] == "ato4l"
    assert power(monkeypatch, "--quiet", model="absent", **changes) == 2
    assert "MissingFileError" in capsys.readouterr().err
