"""Commands that judge searches and embeddings: `power`, `probe`, `study`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unseen.cli.options import (
    ClusterOption,
    Command,
    ConfigArgument,
    ConfigOption,
    JsonOption,
    OutOption,
    QuietOption,
    SeedOption,
    ThreadsOption,
    WorkersOption,
    chosen,
    finish,
    use_threads,
)

__all__ = ["COMMANDS"]

# What `unseen power --json` says of the first signal; the file has the rest.
SUMMARY = ("signal", "n_signal", "median_z", "power", "power_level", "n2", "n3", "n3_interval", "n5", "null_size")


def power(
    background: Annotated[Path, typer.Option(help="Simulated background, split into reference, pool and settings.")],
    signal: Annotated[list[str], typer.Option(help="FILE or NAME=FILE; may be given again for more signals.")],
    n_reference: Annotated[int, typer.Option(min=2, help="Reference events, N_R.")],
    n_data: Annotated[float, typer.Option(min=1, help="Background events expected in the data, N.")],
    n_signal: Annotated[str, typer.Option(help="Numbers of signal events, e.g. 0,50,100,200.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The JSON to write; figure and toys go beside it.")],
    model: Annotated[Path | None, typer.Option(help="Folder of a trained model.")] = None,
    calibration: Annotated[str | None, typer.Option(help="auto, toys, linear or asymptotic.")] = None,
    statistic: Annotated[str | None, typer.Option(help="converged, one_step or linear.")] = None,
    normalisation: Annotated[str | None, typer.Option(help="known, constrained(FRACTION) or free.")] = None,
    toys: Annotated[int, typer.Option(min=10, help="Pseudo-data sets at each number of signal events.")] = 300,
    null_toys: Annotated[
        int | None, typer.Option(min=10, help="Null toys; default: 1,000, and 20,000 of the linear statistic.")
    ] = None,
    pool: Annotated[int | None, typer.Option(min=1, help="Events for toys beside the reference; default: 3 N.")] = None,
    processes: Annotated[str, typer.Option(help="Background processes to use; default: all but the signals.")] = "",
    tests: Annotated[
        str, typer.Option(help="Tests on the same toys, e.g. kernel,mmd,c2st,ceiling (docs/rivals.md has them all).")
    ] = "kernel",
    config: Annotated[Path | None, typer.Option(help="YAML with a section 'search'; one of a run will do.")] = None,
    seed: SeedOption = None,
    workers: WorkersOption = None,
    cluster: ClusterOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run a power study."""
    from unseen.powering import PowerOptions, numbers, signal_files, study_power
    from unseen.progress import Display
    from unseen.report.power import power_lines

    options = PowerOptions(
        background=background,
        signals=signal_files(signal),
        out=out,
        n_reference=n_reference,
        n_data=n_data,
        n_signal=numbers(n_signal),
        model=model,
        n_toys=toys,
        n_null=null_toys,
        n_pool=pool,
        seed=1 if seed is None else seed,
        calibration=calibration,
        statistic=statistic,
        normalisation=normalisation,
        config=config,
        processes=tuple(name for name in processes.split(",") if name),
        tests=tuple(name for name in tests.split(",") if name),
        workers=workers,
        cluster=cluster,
    )
    content = study_power(options, Display(quiet))
    if not quiet and not as_json:
        typer.echo("\n".join(power_lines(content)))
    finish({name: content[name] for name in SUMMARY} | {"out": str(out)}, as_json)


def probe(
    model: Annotated[Path, typer.Argument(help="Folder of a trained model.")],
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Events by process, FILE or NAME=FILE for a process's name.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The JSON to write.")],
    mixture: Annotated[
        str, typer.Option(help="Shares to weight to, e.g. w=0.6,qcd=0.4, or adc2021; default: the sample's own.")
    ] = "",
    processes: Annotated[str, typer.Option(help="Processes to use; default: the mixture's, or all but signals.")] = "",
    signal: Annotated[
        list[str] | None, typer.Option(help="FILE or NAME=FILE to draw over the figures; may be given again.")
    ] = None,
    raw: Annotated[bool, typer.Option(help="Probe the encoder's inputs too, for comparison.")] = True,
    figure: Annotated[Path | None, typer.Option(help="Corner plot to write: .png, .pdf or .svg.")] = None,
    umap: Annotated[Path | None, typer.Option(help="UMAP map to write; needs the extra 'umap'.")] = None,
    max_events: Annotated[int, typer.Option(min=2, help="Of more events a random part is used.")] = 100_000,
    seed: SeedOption = None,
    workers: ThreadsOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Evaluate a representation."""
    from unseen.powering import signal_files
    from unseen.probing import ProbeOptions, mixture_of, probe_files
    from unseen.progress import Display
    from unseen.report.probe import probe_lines

    use_threads(workers)
    options = ProbeOptions(
        model=model,
        files=tuple(files),
        out=out,
        signals=signal_files(signal or []),
        mixture=mixture_of(mixture),
        processes=tuple(name for name in processes.split(",") if name),
        raw=raw,
        figure=figure,
        umap=umap,
        max_events=max_events,
        seed=seed or 0,
        workers=workers,
    )
    content = probe_files(options, Display(quiet))
    if not quiet and not as_json:
        typer.echo("\n".join(probe_lines(content)))
    scores = {name: found["accuracy"] for name, found in content["probes"].items()}
    finish({"accuracy": scores, "measures": content["measures"], "out": str(out)}, as_json)


def study(
    config: ConfigArgument = None,
    config_option: ConfigOption = None,
    out: OutOption = None,
    seed: SeedOption = None,
    workers: WorkersOption = None,
    cluster: ClusterOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the entries and what they will cost.")] = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run a study of embeddings."""
    from unseen.progress import Display
    from unseen.studying import cost_lines, measure_cost, print_tables, run_study

    path = chosen(config, config_option)
    if dry_run:
        listed, cost = measure_cost(path, out, seed)
        if not as_json:
            typer.echo("\n".join(cost_lines(listed, cost)))
        seconds = {"core_seconds": round(cost.seconds, 1), "not_in_core_seconds": dict(cost.uncounted)}
        finish({"entries": [entry.name for entry in listed]} | seconds, as_json)
        return
    outcome = run_study(path, out=out, seed=seed, worker_count=workers, cluster=cluster, display=Display(quiet))
    if not quiet and not as_json:
        print_tables(outcome)
    summary = {"out": str(outcome.folder), "rows": len(outcome.rows), "kept": outcome.kept, "failed": outcome.failed}
    finish(summary, as_json)


COMMANDS = {
    "power": Command(
        power,
        "Measure how many signal events a search needs: median Z, power, N_2, N_3 and N_5 of pseudo-data.\n\n"
        "Files are collisions (with --model) or .npz with an array x (n, d).\n\n"
        "Example: unseen power --model runs/x/train --background runs/x/simulate/test --signal "
        "ato4l=runs/x/simulate/test --n-reference 5000 --n-data 500 --n-signal 0,5,10,20,40 --out power.json",
    ),
    "probe": Command(
        probe,
        "Judge an embedding by labelled simulation that it was not trained on: probes, and measures of its shape.\n\n"
        "Example: unseen probe runs/x/train runs/x/simulate/test --processes w,qcd,z,tt --mixture adc2021 "
        "--signal ato4l=runs/x/simulate/test --figure corner.png -o probe.json",
    ),
    "study": Command(
        study,
        "Compare embeddings by the power of the search: a grid of trainings on common events, one table.\n\n"
        "Rows that are done are kept: the same command continues, and entries may be added.\n\n"
        "Example: unseen study examples/study.yaml --dry-run",
    ),
}
