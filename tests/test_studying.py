"""`unseen study` from a YAML file to the table, the page and the figures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.report.test_page import Outline
from tests.study.problems import SIZES, settings, write_files
from tests.test_cli import call
from unseen.arrays import write_arrays
from unseen.config import to_yaml
from unseen.errors import ConfigError, StoreMismatchError
from unseen.powering import PowerOptions, study_power
from unseen.progress import Display
from unseen.study import draw_study_pools, entries, load_study, numbers, parse_study, read_table
from unseen.study import measure as measuring
from unseen.study import tuning as tuning_module
from unseen.study.measure import samples_of
from unseen.study.representations import leading_pt
from unseen.studying import run_study

ROOT = Path(__file__).parents[1]
Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch
# 10,000 null toys resolve Z = 3; one width and a tiny reference make them a matter of seconds.
RESOLVED = {"power": {"null_toys": 10_000, "widths": [2.0]}}


@pytest.fixture(scope="module")
def study_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    write_files(folder, SIZES)
    return folder


@pytest.fixture(scope="module")
def done(study_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study of two trainings and a fixed representation."""
    out = tmp_path_factory.mktemp("done") / "study"
    run_study(settings(study_folder, **RESOLVED), out=out, worker_count=1)
    return out


@pytest.fixture
def config(study_folder: Path, tmp_path: Path) -> Path:
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(settings(study_folder, out=str(tmp_path / "out"), **RESOLVED)))
    return path


def test_the_table_has_settings_numbers_and_gains(done: Path) -> None:
    rows = {row["name"]: row for row in read_table(done / "table.parquet")}
    assert list(rows) == ["leading_pt", "dim=2", "dim=3"]
    for dim in (2, 3):
        row = rows[f"dim={dim}"]
        assert (row["model.encoder.dim"], row["dim"], row["model.epochs"]) == (dim, dim, 1)
        assert (row["pools.mixture.w"], row["power.n_data"], row["kind"], row["failed"]) == (0.5, 100.0, "model", None)
        assert row["n_parameters"] == 76 * 8 + 8 + 8 * dim + dim
        assert 0 < row["probe.balanced_accuracy"] < 1
        for signal in ("heavy", "soft"):
            place = f"known.{signal}"
            assert 0 < row[f"{place}.n2"] < row[f"{place}.n3"] < 400
            assert row[f"{place}.n3_low"] < row[f"{place}.n3"] < row[f"{place}.n3_high"]
            assert row[f"{place}.gain_leading_pt"] == rows["leading_pt"][f"{place}.n3"] / row[f"{place}.n3"]
            assert row[f"{place}.n5"] is None
        assert row["known.n3"] == pytest.approx(np.sqrt(row["known.heavy.n3"] * row["known.soft.n3"]))
        assert "known: 10000 null toys do not resolve Z = 5" in row["notes"]
    assert not [column for column in rows["dim=2"] if "second" in column]
    seconds = json.loads((done / "provenance.json").read_text())["seconds"]
    assert seconds["dim=2"]["train"] > 0


@pytest.mark.slow
def test_a_dask_cluster_gives_the_same_rows(done: Path, study_folder: Path, tmp_path: Path) -> None:
    run_study(settings(study_folder, **RESOLVED), out=tmp_path / "study", worker_count=2, cluster="local")
    assert read_table(tmp_path / "study" / "table.parquet") == read_table(done / "table.parquet")


def test_the_page_the_tables_and_the_figures(done: Path) -> None:
    page = (done / "study.html").read_text()
    outline = Outline(page)
    assert outline.open == []
    assert "<title>Small &lt;study&gt;</title>" in page
    assert [s["id"] for s in outline.all("section")] == ["known", "settings"]
    assert "http" not in page
    assert len(outline.all("figure")) == 2
    text = (done / "table.md").read_text()
    assert "| entry | d | probe | balanced | N_3 heavy | N_3 soft | mean | gain raw | gain leading pt |" in text
    for name in ("dimension-known", "tradeoff-known"):
        with Image.open(done / f"{name}.png") as image:
            assert image.size[0] > 1000
    assert not list(done.rglob("*.part")) + list(done.rglob("null*.h5"))  # rows are written, toys not needed


def test_numbers_are_those_of_unseen_power(done: Path, study_folder: Path, tmp_path: Path) -> None:
    row = next(row for row in read_table(done / "table.parquet") if row["name"] == "leading_pt")
    study = parse_study(settings(study_folder, **RESOLVED))
    pools = draw_study_pools(study)
    samples = samples_of(lambda events: leading_pt(events, pools.train), pools, 100.0)
    # `unseen power` wants five settings events for each centre, and deals a background file by a permutation.
    x = np.concatenate([samples.settings, samples.reference, samples.pool])
    background = np.empty_like(x)
    background[np.random.default_rng(_split_seed(study.seed)).permutation(len(x))] = x
    write_arrays(tmp_path / "b.npz", x=background)
    search = study.power.search("known").model_dump(mode="json")
    (tmp_path / "c.yaml").write_text(yaml.safe_dump({"simulate": {}, "search": search}))
    for signal, events in samples.signals.items():
        write_arrays(tmp_path / f"{signal}.npz", x=events)
        options = PowerOptions(
            background=tmp_path / "b.npz",
            signals={signal: tmp_path / f"{signal}.npz"},
            out=tmp_path / f"{signal}.json",
            n_reference=600,
            n_data=100.0,
            n_signal=tuple(json.loads(row[f"known.{signal}.injections"])),
            n_toys=20,
            n_null=10_000,
            n_pool=300,
            seed=study.seed,
            config=tmp_path / "c.yaml",
        )
        found = study_power(options, Display(quiet=True))
        assert found["median_z"] == json.loads(row[f"known.{signal}.median_z"])
        for key in ("n2", "n3"):
            assert [found[key], *found[f"{key}_interval"]] == [
                row[f"known.{signal}.{key}{end}"] for end in ("", "_low", "_high")
            ]


def _split_seed(seed: int) -> np.random.SeedSequence:
    from unseen.seeds import seed_sequence

    return seed_sequence(seed, "power", "split")


@pytest.fixture
def stop_after(monkeypatch: Patch) -> Any:
    """Interrupt the study at the n-th power measurement."""

    def stop(n: int) -> None:
        measured, calls = measuring.power_numbers, iter(range(n))

        def power_numbers(*args: Any, **options: Any) -> Any:
            if next(calls, None) is None:
                raise KeyboardInterrupt
            return measured(*args, **options)

        monkeypatch.setattr(measuring, "power_numbers", power_numbers)

    return stop


def test_a_study_that_was_stopped_ends_like_one_that_was_not(
    study_folder: Path, tmp_path: Path, done: Path, stop_after: Any, monkeypatch: Patch
) -> None:
    content, out = settings(study_folder, **RESOLVED), tmp_path / "out"
    with monkeypatch.context() as inner:
        stop_after(2)
        with pytest.raises(KeyboardInterrupt):
            run_study(content, out=out, worker_count=1)
        inner.undo()
    assert not (out / "table.parquet").exists()
    assert len(list((out / "rows").glob("*.parquet"))) == 2
    monkeypatch.undo()
    outcome = run_study(content, out=out, worker_count=1)
    assert outcome.kept == 2
    assert (out / "table.parquet").read_bytes() == (done / "table.parquet").read_bytes()
    assert (out / "table.md").read_bytes() == (done / "table.md").read_bytes()


def test_entries_can_be_added_and_a_changed_setting_measures_again(
    study_folder: Path, tmp_path: Path, done: Path
) -> None:
    out = shutil.copytree(done, tmp_path / "study")
    more = settings(study_folder, representations=["leading_pt", "raw"], **RESOLVED)
    outcome = run_study(more, out=out, worker_count=1)
    assert (outcome.kept, [row["name"] for row in outcome.rows]) == (3, ["leading_pt", "raw", "dim=2", "dim=3"])
    fewer = settings(study_folder, grid=None, **RESOLVED) | {"grid": None}
    fewer["power"] = fewer["power"] | {"toys": 21}
    assert run_study(fewer, out=out, worker_count=1).kept == 0


def test_a_training_that_fails_does_not_stop_the_others(study_folder: Path, tmp_path: Path) -> None:
    models = {"diverges": {"epochs": 2, "lr": 1e30, "gradient_clip": None, "device": "cpu", "encoder": "mlp"}}
    content = settings(study_folder, models=models) | {"grid": None}
    outcome = run_study(content, out=tmp_path / "out", worker_count=1)
    assert outcome.failed == ["diverges"]
    failed = outcome.rows[-1]
    assert "NonFiniteError" in failed["failed"]
    assert "diverges (failed)" in (tmp_path / "out" / "table.md").read_text()
    assert outcome.rows[0]["known.heavy.n2"] > 0
    assert len(list((tmp_path / "out" / "rows").glob("*.parquet"))) == 1


def test_an_ensemble_is_one_row_whose_members_have_widths_of_their_own(
    study_folder: Path, tmp_path: Path, monkeypatch: Patch
) -> None:
    model = {"epochs": 1, "device": "cpu", "encoder": {"name": "mlp", "dim": 2, "hidden": [8]}}
    content = settings(study_folder, models={"two": model | {"ensemble": 2}, "one": model}, leave_out=["z"])
    asked = []
    fit = numbers.fitted_kernel

    def fitted_kernel(found: Any, *rest: Any) -> Any:
        asked.append((found.embeddings, (contender := fit(found, *rest)).candidate.columns))
        return contender

    monkeypatch.setattr(numbers, "fitted_kernel", fitted_kernel)
    rows = {row["name"]: row for row in run_study(content | {"grid": None}, out=tmp_path, worker_count=1).rows}
    assert asked[-4:] == [((2, 2), 4)] * 2 + [(None, 2)] * 2  # two widths each; with and without z
    assert rows["two"]["dim"] == 2 * rows["one"]["dim"] == 4
    assert rows["two"]["n_parameters"] == 2 * rows["one"]["n_parameters"]
    assert rows["two"]["known.heavy.n2"] > 0
    assert rows["two"]["leave_out.known.z.n2"] > 0


def test_left_out_processes_rivals_shape_and_the_ceiling(study_folder: Path, tmp_path: Path) -> None:
    power = {"ceiling": True, "normalisations": ["known", "free"], "tests": ["kernel", "mahalanobis"], "widths": [2.0]}
    content = settings(study_folder, power=power, leave_out=["z"], representation_widths=["one"]) | {"grid": None}
    outcome = run_study(content, out=tmp_path / "out", worker_count=1)
    ceiling, row = outcome.rows
    assert (ceiling["name"], row["name"]) == ("neyman_pearson", "leading_pt, one width")
    for group in ("known", "free", "mahalanobis"):
        assert row[f"{group}.heavy.n2"] > ceiling["known.heavy.n2"]
    assert row["leave_out.known.z.n2"] > 0
    assert ceiling["known.heavy.n2"] < ceiling["known.heavy.n3"] < ceiling["known.heavy.n5"]
    titles = [part for part in (tmp_path / "out" / "table.md").read_text().splitlines() if part.startswith("N_3")]
    assert len(titles) == 3


def tuned(folder: Path, **changes: Any) -> dict[str, Any]:
    ranges = {"encoder.dim": {"low": 2, "high": 4, "integer": True}, "lr": {"low": 1e-3, "high": 1e-2, "log": True}}
    optuna = {"objective": "synthetic", "anomalies": ["hard_leptons"], "parameters": ranges, "trials": 2} | changes
    content = settings(
        folder, optuna=optuna, pools={"anomalies": 200}, representations=[], signals=["heavy"], **RESOLVED
    )
    content["grid"] = {"base": content["grid"]["base"]}
    return content


def test_a_search_for_settings_resumes_to_the_same_best(study_folder: Path, tmp_path: Path, monkeypatch: Patch) -> None:
    pytest.importorskip("optuna")
    whole = run_study(tuned(study_folder), out=tmp_path / "whole", worker_count=1)
    assert [row["name"] for row in whole.rows] == ["base", "best (optuna)"]
    trials = json.loads((tmp_path / "whole" / "trials.json").read_text())
    assert len(trials["trials"]) == 2
    best = min(trials["trials"], key=lambda trial: trial["value"])
    assert whole.rows[1]["model.encoder.dim"] == best["parameters"]["encoder.dim"]

    measured, calls = tuning_module.power_numbers, iter(range(1))

    def interrupted(*args: Any, **options: Any) -> Any:
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return measured(*args, **options)

    monkeypatch.setattr(tuning_module, "power_numbers", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_study(tuned(study_folder), out=tmp_path / "cut", worker_count=1)
    monkeypatch.undo()
    run_study(tuned(study_folder), out=tmp_path / "cut", worker_count=1)
    for name in ("trials.json", "table.parquet"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    with pytest.raises(StoreMismatchError, match=r"the trials in .*optuna.db were made with other events or settings"):
        run_study(tuned(study_folder, seed=2), out=tmp_path / "cut", worker_count=1)


def test_a_range_of_no_setting_is_refused_before_any_work(study_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    wrong = tuned(study_folder, parameters={"encoder.dims": {"low": 2, "high": 4, "integer": True}})
    with pytest.raises(ConfigError, match=r"optuna.parameters: .*unknown key 'encoder.dims'; did you mean 'dim'"):
        run_study(wrong, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_dry_run_prints_entries_and_cost_and_writes_nothing(
    config: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    assert call(monkeypatch, "study", config, "--dry-run", "--json") == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert summary["entries"] == ["leading_pt", "dim=2", "dim=3"]
    assert summary["core_seconds"] > 0
    assert summary["not_in_core_seconds"] == {}
    assert [path.name for path in config.parent.iterdir()] == ["study.yaml"]


def test_the_command_prints_the_table_and_a_summary(
    config: Path, done: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    out = shutil.copytree(done, config.parent / "copy")
    assert call(monkeypatch, "study", config, "--out", out, "--workers", "1", "--quiet", "--json") == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last == {"failed": [], "kept": 3, "out": str(out), "rows": 3}
    assert call(monkeypatch, "study", config, "--out", out, "--workers", "1") == 0
    printed = capsys.readouterr().out
    assert "leading_pt" in printed
    assert "study.html" in printed


def test_the_settings_as_written_give_the_same_study(done: Path, study_folder: Path) -> None:
    again = parse_study(yaml.safe_load((done / "config.yaml").read_text()))
    assert to_yaml(again) == (done / "config.yaml").read_text()


def test_the_example_is_a_study() -> None:
    listed = entries(load_study(ROOT / "examples" / "study.yaml"))
    assert len([entry for entry in listed if entry.kind == "model"]) == 6


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks" / "studies").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_studies_that_the_results_quote_are_studies(path: Path) -> None:
    assert entries(load_study(path))
