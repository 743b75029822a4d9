from __future__ import annotations

import builtins
import subprocess
import sys
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest

from tests.simulate.detector.build import efficient, events, repeat
from unseen.errors import MissingExtraError, NonFiniteError, SchemaError
from unseen.events import ADC2021, Events
from unseen.simulate.detector import DetectorSettings, reconstruct

COLLECTIONS = ("electrons", "muons", "jets")


def run(particles: ak.Array, seed: int = 0, settings: DetectorSettings | None = None) -> dict[str, Any]:
    return reconstruct(particles, np.random.default_rng(seed), settings or efficient())


def random_events(n: int = 200, seed: int = 3) -> ak.Array:
    rng = np.random.default_rng(seed)
    codes = [11, -11, 13, -13, 22, 211, -211, 130, 2112, 321, 12, -14, 16]

    def particle() -> tuple[int, float, float, float]:
        pt, eta, phi = rng.exponential(15), rng.normal(0, 2.5), rng.uniform(-3, 3)
        return int(rng.choice(codes)), float(pt), float(eta), float(phi)

    return events(*[[particle() for _ in range(rng.integers(0, 40))] for _ in range(n)])


def same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    lists = all(ak.array_equal(first[name], second[name]) for name in COLLECTIONS)
    return lists and all(np.array_equal(first["met"][key], second["met"][key]) for key in ("pt", "eta", "phi"))


def test_equal_seeds_give_equal_events() -> None:
    particles = random_events()
    assert same(run(particles, 1), run(particles, 1))
    assert not same(run(particles, 1), run(particles, 2))


def test_layout_of_the_input_does_not_matter() -> None:
    particles = random_events()
    shuffled = ak.concatenate([particles[:7], particles])[np.arange(7, len(particles) + 7)]
    visible = ak.concatenate([particles, particles[:, :0]], axis=1)
    assert same(run(particles), run(shuffled))
    assert same(run(particles), run(visible))


def test_fits_the_schema_and_stays_within_acceptance() -> None:
    particles = random_events(500)
    out = run(particles, settings=DetectorSettings())
    made = Events.from_awkward(ADC2021, out)
    assert len(made) == 500
    assert made.has("met").all()
    assert (out["met"]["eta"] == 0).all()
    for name in COLLECTIONS:
        collection = ADC2021.collection(name)
        assert collection.abs_eta_max is not None
        pt, eta, phi = (ak.to_numpy(ak.flatten(out[name][key])) for key in ("pt", "eta", "phi"))
        assert len(pt) > 20
        assert pt.min() > collection.pt_min
        assert np.abs(eta).max() < collection.abs_eta_max
        assert np.abs(phi).max() <= np.pi
        assert ak.all(out[name].pt[:, 1:] <= out[name].pt[:, :-1])


def test_invisible_particles_leave_no_trace() -> None:
    visible = [(13, 50.0, 0.3, 1.0), (211, 30.0, -1.0, -2.0), (22, 25.0, -1.1, -2.1)]
    neutrinos = [(12, 80.0, 0.3, 1.0), (-14, 20.0, 0.0, 0.0), (16, 9.0, -1.0, -2.0), (1000022, 300.0, 0.2, 0.2)]
    assert same(run(events(visible)), run(events([*visible, *neutrinos])))


def test_declared_invisible_particles() -> None:
    particles = events([(211, 80.0, 0.0, 0.0), (-9900012, 80.0, 0.0, np.pi)])
    hidden = run(particles, settings=efficient(invisible_ids=(12, 14, 16, 9900012)))
    assert ak.num(run(particles)["jets"])[0] == 2
    assert ak.num(hidden["jets"])[0] == 1
    assert hidden["met"]["pt"][0] > 60


def test_events_without_particles() -> None:
    out = run(events([], [(12, 50.0, 0.0, 0.0)], []))
    assert ak.to_list(ak.num(out["jets"])) == [0, 0, 0]
    assert (out["met"]["pt"] == 0).all()
    assert len(Events.from_awkward(ADC2021, out)) == 3


def test_no_events() -> None:
    out = run(random_events()[:0])
    assert all(len(out[name]) == 0 for name in COLLECTIONS)
    assert len(Events.from_awkward(ADC2021, out)) == 0


def test_neutrino_recoil_is_missing() -> None:
    out = run(repeat(2000, (14, 40.0, 0.5, -1.2), (13, 40.0, -0.3, np.pi - 1.2)))
    assert np.median(out["met"]["pt"]) == pytest.approx(40.0, abs=0.2)
    assert np.abs(out["met"]["phi"] + 1.2).max() < 1e-6


def test_noise_of_missing_momentum() -> None:
    settings = DetectorSettings()
    n = 20_000
    out = run(repeat(n, (14, 30.0, 0.0, 0.0)), settings=settings)
    x = out["met"]["pt"] * np.cos(out["met"]["phi"])
    assert x.std() == pytest.approx(settings.met.noise, rel=4 / np.sqrt(2 * n))
    assert abs(x.mean()) < 4 * settings.met.noise / np.sqrt(n)


def test_missing_field_and_bad_numbers() -> None:
    particles = events([(211, 80.0, 0.0, 0.0)])
    with pytest.raises(SchemaError, match="'id'"):
        run(particles[["px", "py", "pz", "e"]])
    with pytest.raises(NonFiniteError, match="particle 0 of 1"):
        run(ak.with_field(particles, particles.px * np.nan, "px"))


@pytest.mark.parametrize("module", ["awkward", "fastjet"])
def test_missing_extra_is_named(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == module:
            raise ImportError(name)
        return original(name, *args, **kwargs)

    particles = events([(211, 80.0, 0.0, 0.0)])
    monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtraError, match=r"unseen\[hep\]"):
        run(particles)


def test_banner_stays_silent() -> None:
    code = (
        "import numpy as np; from tests.simulate.detector.build import events; "
        "from unseen.simulate.detector import reconstruct; "
        "reconstruct(events([(211, 80.0, 0.0, 0.0)]), np.random.default_rng(0))"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == ""


@pytest.mark.parametrize(
    "change",
    [
        {"electrons": {"efficiency": [{"abs_eta_max": 3.0, "plateau": 0.9}, {"abs_eta_max": 2.0, "plateau": 0.8}]}},
        {"electrons": {"efficiency": [{"abs_eta_max": 3.0, "plateau": 1.2}]}},
        {"jets": {"response": []}},
        {"jets": {"raduis": 0.5}},
    ],
)
def test_settings_are_checked(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        DetectorSettings.model_validate(change)


def test_settings_round_trip() -> None:
    settings = DetectorSettings()
    assert DetectorSettings.model_validate_json(settings.model_dump_json()) == settings
