"""The stream of generated events: filters, slices and caps change the speed, not the physics."""

from __future__ import annotations

import gc
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unseen.simulate import Process, Slice, load_processes
from unseen.simulate import source as source_module
from unseen.simulate.hooks import lepton_hook
from unseen.simulate.isolation import LeptonCut
from unseen.simulate.pythia import FIDELITY, Generator
from unseen.simulate.source import EventSource, measure_slices

CUT = LeptonCut(17.5)
W = ("WeakSingleBoson:ffbar2W=on", "24:onMode=off", "24:onIfAny=13")
JETS = Process(settings=("HardQCD:gg2gg=on", "PhaseSpace:pTHatMin=50", "PartonLevel:all=off"))


def source(process: Process, seed: int = 1) -> EventSource:
    return EventSource("test", process, "fast", seed, ("test",), CUT)


def hard_muons(stream: EventSource, tries: int, pt_min: float = 20.0) -> int:
    particles = stream.next(tries).particles
    muon = (np.abs(particles.id) == 13) & (np.hypot(particles.p[:, 0], particles.p[:, 1]) > pt_min)
    return len(np.unique(particles.event[muon]))


@pytest.mark.parametrize("given_pb", [None, 5000.0])
def test_a_filter_does_not_change_the_cross_section(given_pb: float | None) -> None:
    plain = Process(settings=W, cross_section_pb=given_pb)
    filtered = plain.model_copy(update={"filter": load_processes()["w"].filter})
    found = []
    for stream in (source(plain), source(filtered, seed=2)):
        n = hard_muons(stream, 700)
        assert n > 200
        found.append((stream.cross_section() * n / stream.tries, 1 / n))
    (a, a2), (b, b2) = found
    assert a == pytest.approx(b, rel=4 * np.sqrt(a2 + b2))


def test_slices_add_up_to_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "SURVEY", 4000)
    edges = ((50, 70), (70, 120), (120, 0))
    parts = tuple(
        Slice(settings=(f"PhaseSpace:pTHatMin={low}", *([f"PhaseSpace:pTHatMax={high}"] if high else [])))
        for low, high in edges
    )
    sliced = JETS.model_copy(update={"slices": measure_slices("jets", JETS.model_copy(update={"slices": parts}), 3)})
    whole, mixed = source(JETS), source(sliced, seed=2)
    n = 4000
    a, b = whole.next(n).record, mixed.next(n).record
    assert mixed.cross_section() == pytest.approx(whole.cross_section(), rel=0.05)
    for threshold in (70, 120):
        x, y = (np.mean(record["pt_hat"] > threshold) for record in (a, b))
        assert x == pytest.approx(y, abs=5 * np.sqrt(2 * x * (1 - x) / n) + 0.01 * x)
    index = np.searchsorted([70, 120], b["pt_hat"])
    np.testing.assert_array_equal(b["slice"], index)
    assert np.abs(np.diff(b["slice"][:200])).sum() > 20  # mixed, not one slice after the other


def test_sources_are_numbered_once_over_all_blocks() -> None:
    stream = source(JETS)
    numbers = np.concatenate([stream.next(n).source for n in (5, 1, 20)])
    assert len(np.unique(numbers)) == len(numbers) == 26
    assert (stream.tries, stream.sources) == (26, 26)


def test_equal_seeds_give_equal_events() -> None:
    process = load_processes()["w"]
    a, b, c = (source(process, seed).next(40) for seed in (7, 7, 8))
    np.testing.assert_array_equal(a.particles.p, b.particles.p)
    np.testing.assert_array_equal(a.source, b.source)
    assert len(a.particles.p) != len(c.particles.p) or not np.array_equal(a.particles.p, c.particles.p)


def test_a_block_may_be_empty() -> None:
    block = source(Process(settings=W, filter={"lepton_pt_min": 6000.0})).next(20)
    assert len(block.particles) == len(block.source) == 0
    assert {len(values) for values in block.record.values()} == {0}


def test_a_hook_lives_as_long_as_its_generator() -> None:
    generator = Generator("w", (*W, *FIDELITY["fast"], "Check:abortIfVeto=on"), 1, lepton_hook(6000.0))
    gc.collect()
    assert len(generator.batch(30).offsets) == 1
    assert len(Generator("w", (*W, *FIDELITY["fast"]), 1).batch(30).offsets) == 31


@settings(max_examples=80, deadline=None, derandomize=True, database=None)
@given(st.floats(15, 400), st.booleans(), st.sampled_from(load_processes()["qcd"].slices))
def test_thinning_and_keeping_cancel(pt_hat: float, heavy: bool, part: Slice) -> None:
    """P(survives the thinning) x p / cap = p / (cap of the slice), whatever the event."""
    process = load_processes()["qcd"]
    stream = SimpleNamespace(process=process, slices=(part,))
    survives = min(1.0, EventSource._thinning(stream, part)(pt_hat, heavy))
    codes = np.array([[21, 21, 5, -5] if heavy else [21, 21, 21, 21]])
    column = np.concatenate([[90, 2212, 2212], codes[0]])
    p = np.zeros((7, 4))
    p[5] = (0.6 * pt_hat, -0.8 * pt_hat, 3.0, 500.0)
    batch = SimpleNamespace(offsets=np.array([0, 7]), p=p, column={"id": column}.__getitem__)
    [cap] = EventSource._caps(stream, 0, batch)
    edges = np.array(process.caps.pt_hat if process.caps else ())
    if np.abs(edges / pt_hat - 1).min() > 1e-9:
        assert survives / cap == pytest.approx(1 / part.cap)
