"""The commands.

Exit code 0: success; 2: a user's error, told in one line; 1: a defect, with its traceback; 130: interrupted.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from unseen.errors import ConfigError, UnseenError

__all__ = ["app", "main"]

app = typer.Typer(
    name="unseen",
    help="Look for what nobody predicted: from simulation to a calibrated p-value.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

INTERRUPTED = 130
# What `unseen power --json` says of the first signal; the file has the rest.
SUMMARY = ("signal", "n_signal", "median_z", "power", "power_level", "n2", "n3", "n3_interval", "n5", "null_size")

# Threads that wait for each other in a loop take a busy machine's cores from one another: on a loaded two-core machine
# the search was several times slower than with threads that sleep. Read once, when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

ConfigArgument = Annotated[Path | None, typer.Argument(metavar="CONFIG", help="The YAML configuration.")]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="The same, as an option.")]
OutOption = Annotated[Path | None, typer.Option("--out", "-o", help="Where to write; overrides the configuration.")]
SeedOption = Annotated[int | None, typer.Option("--seed", min=0, help="Root seed; overrides the configuration.")]
WorkersOption = Annotated[int | None, typer.Option("--workers", min=1, help="Processes to use; default: all cores.")]
ThreadsOption = Annotated[
    int | None, typer.Option("--workers", min=1, help="Threads, or with --cluster workers; default: all.")
]
ON_A_CLUSTER = (
    "Work on a Dask cluster: local, slurm, htcondor, or a scheduler's address or file. "
    "E.g. --cluster tcp://host:8786, or --cluster slurm --workers 100. Default: "
)
ClusterOption = Annotated[
    str | None, typer.Option("--cluster", metavar="WHERE", help=f"{ON_A_CLUSTER}processes of this machine.")
]
ThreadsClusterOption = Annotated[
    str | None, typer.Option("--cluster", metavar="WHERE", help=f"{ON_A_CLUSTER}threads of this process.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no messages.")]
JsonOption = Annotated[bool, typer.Option("--json", help="A machine-readable summary as the last line of output.")]


def _chosen(argument: Path | None, option: Path | None) -> Path:
    path = argument if argument is not None else option
    if path is None or (argument is not None and option is not None and argument != option):
        raise ConfigError("name one configuration file, e.g. 'unseen run examples/quickstart.yaml'")
    return path


def _use_threads(count: int | None) -> None:
    if count is not None:
        import torch

        torch.set_num_threads(count)


def _finish(summary: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(summary, sort_keys=True))


def _stages(
    until: str,
    path: Path,
    out: Path | None,
    seed: int | None,
    workers: int | None,
    cluster: str | None,
    quiet: bool,
    as_json: bool,
) -> None:
    from unseen.config import load_config
    from unseen.pipeline import run
    from unseen.report import beside, verdict

    result = run(path, out=out, seed=seed, workers=workers, cluster=cluster, quiet=quiet, until=until)
    folder = out or load_config(path).out
    summary: dict[str, Any] = {"out": str(folder)}
    if result is not None:
        content = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        summary |= {name: content[name] for name in ("p_value", "z", "z_interval", "p_resolution", "converged")}
        if not quiet and not as_json:
            typer.echo("\n".join(line for line in (verdict(content), beside(content)) if line))
    if until == "report":
        summary["report"] = str(folder / "report.html")
        if not quiet and not as_json:
            typer.echo(f"page: {folder / 'report.html'}")
    _finish(summary, as_json)


def _stage_command(name: str, until: str, text: str) -> None:
    def command(
        config: ConfigArgument = None,
        config_option: ConfigOption = None,
        out: OutOption = None,
        seed: SeedOption = None,
        workers: WorkersOption = None,
        cluster: ClusterOption = None,
        quiet: QuietOption = False,
        as_json: JsonOption = False,
    ) -> None:
        _stages(until, _chosen(config, config_option), out, seed, workers, cluster, quiet, as_json)

    example = f"Example: unseen {name} examples/quickstart.yaml --out runs/quickstart"
    app.command(name, help=f"{text}\n\n{example}")(command)


_stage_command("run", "report", "Run everything: simulate, train, embed, search, report. Unchanged stages are kept.")
_stage_command("simulate", "simulate", "Make the simulated events of a configuration, or finish what was started.")
_stage_command("train", "train", "Run up to the training of the embedding.")
_stage_command("report", "report", "Write the page again; earlier stages are kept where nothing changed.")


@app.command(help="Embed events with a trained model.\n\nExample: unseen embed runs/x/train events.h5 -o z.npz")
def embed(
    model: Annotated[Path, typer.Argument(help="Folder of a trained model.")],
    file: Annotated[Path, typer.Argument(help="Events: a sample folder, a shard, or an ADC2021 HDF5 file.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The .npz to write: x (n, d), weights, label.")],
    select: Annotated[bool, typer.Option(help="Apply the selection of the model's schema first.")] = True,
    workers: ThreadsOption = None,
    cluster: ThreadsClusterOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write the embedding of a file of events."""
    from unseen.commands import embed_file

    if cluster is None:
        _use_threads(workers)
    n, dimensions = embed_file(model, file, out, select, cluster, workers, quiet)
    if not quiet and not as_json:
        typer.echo(f"{n} events in {dimensions} dimensions: {out}")
    _finish({"events": n, "dimensions": dimensions, "out": str(out)}, as_json)


@app.command(
    help="Write a trained model as an ONNX graph, and check that it gives the numbers of the model.\n\n"
    "Inputs: objects (n, slots, features) in physical units, present (n, slots). Output: z (n, d).\n\n"
    "Example: unseen export runs/x/train -o model.onnx"
)
def export(
    model: Annotated[Path, typer.Argument(help="Folder of a trained model.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The .onnx to write.")],
    exporter: Annotated[str, typer.Option(help="dynamo (torch.export) or torchscript.")] = "dynamo",
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Export a model."""
    from unseen.deploy import to_onnx
    from unseen.embed import Model

    done = to_onnx(Model.load(model), out, exporter)
    if not quiet and not as_json:
        typer.echo(f"{out}: opset {done.opset}, differs from the model by {done.difference:.1e} at most")
    _finish(done.to_json(), as_json)


@app.command(
    help="Test whether data agree with a reference: arrays x (n, d), optional weights, in .npz files.\n\n"
    "Example: unseen search --reference R.npz --data D.npz --pool P.npz --expected 500 -o result.json\n\n"
    "Toys on a cluster: unseen search ... --cluster slurm --workers 100"
)
def search(
    reference: Annotated[Path, typer.Option(help="Simulation.")],
    data: Annotated[Path, typer.Option(help="Data.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The JSON to write.")],
    pool: Annotated[
        Path | None, typer.Option(help="More simulation, for toys; default: half of the reference is set apart.")
    ] = None,
    expected: Annotated[
        float | None,
        typer.Option(min=0, help="Expected number of data events; default: the reference's sum of weights."),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="YAML; its 'search' section is used.")] = None,
    toys: Annotated[int | None, typer.Option(min=1, help="Number of toys; overrides the configuration.")] = None,
    seed: SeedOption = None,
    workers: ThreadsOption = None,
    cluster: ThreadsClusterOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run the kernel test on arrays."""
    from unseen.commands import search_arrays
    from unseen.report import verdict

    if cluster is None:
        _use_threads(workers)
    result = search_arrays(reference, data, out, pool, expected, config, toys, seed or 0, quiet, cluster, workers)
    if not quiet and not as_json:
        typer.echo(verdict(result, "reference"))
    keys = ("p_value", "z", "z_interval", "p_resolution", "converged", "n_reference", "n_data")
    _finish({key: result[key] for key in keys} | {"out": str(out)}, as_json)


@app.command(
    help="Measure how many signal events a search needs: median Z, power, N_2, N_3 and N_5 of pseudo-data.\n\n"
    "Files are collisions (with --model) or .npz with an array x (n, d).\n\n"
    "Example: unseen power --model runs/x/train --background runs/x/simulate/test --signal a_4l=runs/x/simulate/test "
    "--n-reference 5000 --n-data 500 --n-signal 0,5,10,20,40 --out power.json"
)
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
    config: Annotated[Path | None, typer.Option(help="YAML; its 'search' section is used.")] = None,
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
    _finish({name: content[name] for name in SUMMARY} | {"out": str(out)}, as_json)


@app.command(
    help="Judge an embedding by labelled simulation that it was not trained on: probes, and measures of its shape.\n\n"
    "Example: unseen probe runs/x/train runs/x/simulate/test --processes w,qcd,z,tt --mixture adc2021 "
    "--signal a_4l=runs/x/simulate/test --figure corner.png -o probe.json"
)
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

    _use_threads(workers)
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
    _finish({"accuracy": scores, "measures": content["measures"], "out": str(out)}, as_json)


@app.command(
    help="Compare embeddings by the power of the search: a grid of trainings on common events, one table.\n\n"
    "Rows that are done are kept: the same command continues, and entries may be added.\n\n"
    "Example: unseen study examples/study.yaml --dry-run"
)
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

    path = _chosen(config, config_option)
    if dry_run:
        listed, cost = measure_cost(path, out, seed)
        if not as_json:
            typer.echo("\n".join(cost_lines(listed, cost)))
        _finish({"entries": [entry.name for entry in listed], "core_seconds": round(cost.seconds, 1)}, as_json)
        return
    outcome = run_study(path, out=out, seed=seed, worker_count=workers, cluster=cluster, display=Display(quiet))
    if not quiet and not as_json:
        print_tables(outcome)
    summary = {"out": str(outcome.folder), "rows": len(outcome.rows), "kept": outcome.kept, "failed": outcome.failed}
    _finish(summary, as_json)


@app.command(
    name="config",
    help="Check a configuration and print it with every default written out; without one, print the schema.\n\n"
    "Example: unseen config examples/quickstart.yaml",
)
def config_command(
    config: ConfigArgument = None,
    config_option: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a configuration."""
    from unseen.config import Config, load_config, to_yaml
    from unseen.sources import check_config

    if config is None and config_option is None:
        typer.echo(json.dumps(Config.model_json_schema(by_alias=True), indent=None if as_json else 2))
        return
    resolved = load_config(_chosen(config, config_option))
    check_config(resolved)
    typer.echo(
        json.dumps(resolved.model_dump(mode="json", by_alias=True)) if as_json else to_yaml(resolved), nl=as_json
    )


def main() -> None:
    """Run the command line and turn errors into exit codes."""
    try:
        if app(standalone_mode=False) == INTERRUPTED:  # newer versions of typer return the code for Ctrl-C
            raise KeyboardInterrupt
    except UnseenError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(2)
    except (PermissionError, FileExistsError, IsADirectoryError, NotADirectoryError) as error:
        print(f"{type(error).__name__}: {error.strerror}: {error.filename}", file=sys.stderr)
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):
        print("interrupted; what is done is kept: run the same command to continue", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except Exception as error:
        # Usage errors carry their own exit code and message; typer's vendored or plain click raises them.
        show = getattr(error, "show", None)
        if show is None:
            raise
        show()
        sys.exit(getattr(error, "exit_code", 2))


if __name__ == "__main__":
    main()
