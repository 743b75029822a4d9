"""The section `systematics` of a study, on invented collisions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from tests.study.problems import settings, write_files
from unseen.errors import ConfigError, NotEnoughEventsError, UnknownNameError
from unseen.events import select
from unseen.power.rival import Samples
from unseen.search.validate import Floats
from unseen.stored import passing
from unseen.study import draw_study_pools, entries, parse_study
from unseen.study.estimate import uncounted
from unseen.study.measure import Work
from unseen.study.stored import at_mixture, thinned, worth
from unseen.study.systematic import power_kept, with_preserved
from unseen.studying import prepare_study, run_study

SIZES = {"w": 6000, "qcd": 4000, "z": 3000, "heavy": 1200, "soft": 1200}
SECTION: dict[str, Any] = {
    "nuisances": ["jet-scale", {"name": "normalisation", "size": 0.05}],
    "n_centers": 60,
    "rank": 20,
    "values": [-2.0, 2.0],
    "combinations": 1,
    "pull_points": 1,
    "pull_events": 100,
    "pull_samples": 100,
    "robust_values": [0.0, 2.0],
    "toys": 20,
    "signal_toys": 12,
    "null_toys": 40,
    "treatments": ["ignored", "profiled"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("systematic")
    write_files(made, SIZES)
    return made


def content(folder: Path, **changes: Any) -> dict[str, Any]:
    made = settings(folder, systematics={**SECTION, **changes}, pools={"train": 800, "reference": 900, "toys": 1500})
    made["power"] |= {"widths": 2.0, "toys": 10}
    del made["grid"]
    return made | {"signals": ["heavy"]}


def cross_section(*processes: str, **settings: Any) -> dict[str, Any]:
    return {"name": "normalisation", "label": "xsec", "size": 0.4, "processes": processes, **settings}


def test_events_to_distort_are_stored_ones_that_no_pool_has(folder: Path) -> None:
    config = parse_study(content(folder))
    pools = draw_study_pools(config)
    assert set(pools.stored) == {"learn", "judge"}
    used = [pools.train, pools.settings, pools.reference, pools.toys, *pools.stored.values()]
    sources = np.concatenate([np.unique(events.record["source"]) for events in used])
    assert len(np.unique(sources)) == len(sources)
    judge = pools.stored["judge"]
    kept = passing(judge)
    weight, label = judge.weight[kept], judge.label[kept]
    for name, share in config.pools.mixture.items():
        mine = weight[label == judge.label_names.index(name)].sum() / weight.sum()
        assert mine == pytest.approx(share)
    assert weight.mean() == pytest.approx(1.0)
    for name, events in pools.stored_signals.items():
        injected = np.concatenate([pools.signals[name].record["source"], pools.signals_apart[name].record["source"]])
        assert not np.intersect1d(events.record["source"], injected).size


def test_thinned_events_keep_the_mixture_with_equal_weights(folder: Path) -> None:
    judge = draw_study_pools(parse_study(content(folder))).stored["judge"]
    kept = thinned(judge, np.random.default_rng(0))
    assert (kept.weight == 1.0).all()
    for label in range(len(judge.label_names)):
        expected = judge.weight[judge.label == label].sum() / judge.weight.max()
        assert abs((kept.label == label).sum() - expected) <= 4 * np.sqrt(expected)  # binomial at most


def test_a_row_has_the_numbers_and_a_second_run_keeps_it(folder: Path) -> None:
    made = content(folder)
    outcome = run_study(made, worker_count=1)
    (row,) = outcome.rows
    assert "nu." not in row["notes"]
    assert row["nu.closure.ignored"] > 0
    assert 0.5 < row["nu.pull.width_low"] < 1.5
    assert row["nu.information.normalisation"] == pytest.approx(1.0, abs=0.3)
    assert row["nu.overlap.heavy.closest"] in ("jet-scale", "normalisation")
    cells = json.loads(row["nu.robustness.cells"])
    # 0, 2 on either axis and one combination, all of them with the signal, too, for two treatments.
    assert len(cells) == 2 * (4 + 4)
    for cell in cells:
        assert cell["n_toys"] == (12 if cell["signal"] else 20)
        assert cell["median_z"] <= cell["largest_z"] == pytest.approx(norm.isf(1 / 41))
    power = [cell["rate"] for cell in cells if (cell["treatment"], cell["signal"]) == ("profiled", "heavy")]
    assert row["nu.robustness.profiled.heavy.lowest"] == min(power)
    assert row["nu.robustness.profiled.heavy.at_zero"] == power[0]
    told = uncounted(entries(parse_study(made)), parse_study(made), 1)
    for name in SECTION["treatments"]:
        toys = [cell["n_toys"] for cell in cells if cell["treatment"] == name]
        assert told[f"toys times widths ({name})"] == sum(toys) + SECTION["null_toys"]
    assert told["closure points"] == len(json.loads(row["nu.closure.points"]))
    assert told["pull samples"] == sum(point["n_samples"] for point in json.loads(row["nu.pull.points"]))
    assert {cell["treatment"] for cell in cells} == {"ignored", "profiled"}
    # The pool is worth some 3,200 events: samples have a hundredth of that, and it is said.
    assert 10 < row["nu.pull.events"] < row["nu.pull.events_wanted"] == 100.0
    assert f"{row['nu.pull.events']:.0f} of 100" in (outcome.folder / "table.md").read_text()
    assert 0.0 < row["nu.pull.error_low"] <= row["nu.pull.error_high"] <= 1.05
    assert 0.0 <= row["nu.robustness.profiled.lowest"] <= row["nu.robustness.profiled.highest"] <= 1.0
    folder_of = outcome.folder
    assert (folder_of / "robustness.png").is_file()
    assert "Closure: mean t" in (folder_of / "table.md").read_text()
    assert "Type-I error: without a signal" in (folder_of / "table.md").read_text()
    assert 'aria-label="Rates of p &lt; 0.05' in (folder_of / "study.html").read_text()
    assert len(list(folder_of.glob("robustness-1-*.png"))) == 1
    again = run_study(made, worker_count=1)
    assert again.kept == 1
    assert again.rows == outcome.rows


def test_a_prior_of_half_a_width_is_half_the_size(folder: Path) -> None:
    """Pulls, robustness and learned ratios throw unit Gaussians: nu is in widths of the priors for all of them.

    The nuisance is the cross section of one process, which leaves the signal alone.
    """
    short = {"information": False, "auc": False, "treatments": ["profiled", "marginalised"], "robust_values": [2.0]}
    rows = []
    for name, row in (
        ("half", cross_section("z", prior={"width": 0.5})),
        ("size", cross_section("z", size=1.4**0.5 - 1.0)),
    ):
        made = content(folder, nuisances=[row], **short) | {"out": str(folder / name)}
        rows += run_study(made, worker_count=1).rows
    half, size = rows
    assert "nu." not in half["notes"]
    numbers = [key for key, value in size.items() if key.startswith("nu.") and isinstance(value, float)]
    assert {"nu.closure", "nu.pull.width_low", "nu.robustness.profiled.highest"} <= set(numbers)
    for key in numbers:
        assert half[key] == pytest.approx(size[key], rel=1e-3, abs=1e-3), key


def test_a_model_is_fine_tuned_and_its_row_says_how(folder: Path) -> None:
    training = {"encoder": {"name": "mlp", "dim": 2, "hidden": [8]}, "objective": "classifier", "epochs": 2}
    tuning = {"epochs": 2, "batch_size": 512, "refit": {"epochs": 2}, "require_stored": False}
    made = content(folder, treatments=[], information=False, overlap=False, auc=False)
    made |= {"models": {"plain": training, "tuned": {**training, "fine_tune": tuning}}, "representations": []}
    rows = {row["name"]: row for row in run_study(made | {"out": str(folder / "tuned")}, worker_count=1).rows}
    assert rows["tuned"]["fine_tune.method"] == "covariant"
    assert "fine_tune.method" not in rows["plain"]
    assert rows["plain"]["nu.closure"] != rows["tuned"]["nu.closure"]
    del made["systematics"]
    with pytest.raises(ConfigError, match="'tuned' is fine-tuned and the study names no nuisance"):
        prepare_study(made)
    made["models"]["tuned"]["fine_tune"] = {"alfa": 1}
    with pytest.raises(ConfigError, match="did you mean 'alpha'"):
        prepare_study(made)


def test_a_process_that_is_left_out_has_no_cross_section(folder: Path) -> None:
    rows = ["jet-scale", cross_section("z"), cross_section("z", "w", label="both")]
    config = parse_study(content(folder, nuisances=rows))
    work = Work(config, draw_study_pools(config), folder)
    left, all_ = work.nuisances_without("z"), work.nuisances_without("qcd")
    assert left is not None
    assert all_ is not None
    assert left.names == ("jet-scale", "both")
    assert all_.names == ("jet-scale", "xsec", "both")


def test_bad_sections_are_refused_before_work(folder: Path) -> None:
    for changes, words in (
        ({"nuisances": []}, "nuisances is empty"),
        ({"treatments": ["profile"]}, "did you mean 'profiled'"),
        ({"values": [0.0]}, "different from 0"),
        ({"nuisances": ["jet-scales"]}, "did you mean 'jet-scale'"),
        ({"n_signal": {"heav": 3.0}}, "did you mean 'heavy'"),
        ({"nuisances": [{"name": "jet-scale", "prior": {"mean": 1.0}}]}, "nuisances: .* has a prior of mean 1"),
        ({"nuisances": ["jet-scale", "jet-scale"]}, "2 nuisances are called"),
        ({"nuisances": [cross_section("ww")]}, r"no process 'ww' in pools\.mixture; did you mean 'w'"),
        ({"nuisances": [cross_section("heavy")]}, r"no process 'heavy' in pools\.mixture"),
        ({"signal_points": "al"}, "did you mean 'all'"),
        ({"signal_points": "few", "combinations": 0, "robust_values": [-1, 1]}, "no power would be measured"),
        ({"combinations": 0, "robust_values": []}, "robustness has no point"),
    ):
        with pytest.raises((ConfigError, UnknownNameError), match=words):
            parse_study(content(folder, **changes))
    with pytest.raises(ConfigError, match="select: true"):
        parse_study(content(folder) | {"select": False})


def test_n3_over_that_of_another_row(folder: Path) -> None:
    config = parse_study(content(folder, before={"after": "first"}))
    rows = [{"name": "first", "known.heavy.n3": 50.0}, {"name": "after", "known.heavy.n3": 55.0}]
    first, after = with_preserved(rows, config)
    assert "nu.preserved.heavy" not in first
    assert after["nu.preserved.heavy"] == pytest.approx(1.1)
    with pytest.raises(UnknownNameError, match=r"systematics\.before"):
        prepare_study(content(folder, before={"after": "first"}))


def test_few_signal_events_are_moved_and_embedded(folder: Path) -> None:
    """100 data sets' worth of selected events, and all where there are fewer."""
    events = draw_study_pools(parse_study(content(folder))).stored_signals["heavy"]
    found = worth(events, 2.0, np.random.default_rng(1))
    assert len(found) < len(events)
    assert np.count_nonzero(passing(found)) == pytest.approx(200, abs=3 * np.sqrt(200))
    assert np.isin(found.record["source"], events.record["source"]).all()
    assert len(worth(events, 1e3, np.random.default_rng(1))) == len(events)


def test_a_process_without_events_is_named(folder: Path) -> None:
    pools = draw_study_pools(parse_study(content(folder)))
    with pytest.raises(NotEnoughEventsError, match="'heavy'"):
        at_mixture(select(pools.stored["judge"]), {"w": 0.5, "heavy": 0.5})


def test_profiling_costs_power(folder: Path, tmp_path: Path) -> None:
    """A bump that looks like a shift: N_2 with the shift profiled is not below N_2 with it known."""
    rng = np.random.default_rng(1)

    def delta(z: Floats) -> tuple[Floats, Floats]:
        return 0.15 * z, np.full((len(z), 1, 1), -0.01125)

    samples = Samples(
        rng.normal(size=(100, 1)),
        rng.normal(size=(1200, 1)),
        rng.normal(size=(2500, 1)),
        {"bump": rng.normal(2.0, 0.5, size=(500, 1))},
        100.0,
    )
    made = content(folder)
    made["power"] |= {"null_toys": 600, "toys": 40, "widths": 1.0, "n_centers": 15, "penalty": 1e-4}
    values, notes = power_kept(samples, delta, parse_study(made), tmp_path, "several")
    known, profiled = (values[f"nu.{name}.bump.n2"] for name in ("known", "profiled"))
    assert profiled > 0.9 * known  # 40 data sets: 15 % each
    assert values["nu.power_kept.bump"] is None  # 600 null toys do not resolve Z = 3, and it is said
    assert any("do not resolve Z = 3" in note for note in notes)
