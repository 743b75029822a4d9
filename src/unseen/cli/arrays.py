"""Commands between files of events, models and arrays: `embed`, `export`, `search`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unseen.cli.options import (
    Command,
    JsonOption,
    QuietOption,
    SeedOption,
    ThreadsClusterOption,
    ThreadsOption,
    finish,
    named_values,
    use_threads,
)

__all__ = ["COMMANDS"]


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
        use_threads(workers)
    n, dimensions = embed_file(model, file, out, select, cluster, workers, quiet)
    if not quiet and not as_json:
        typer.echo(f"{n} events in {dimensions} dimensions: {out}")
    finish({"events": n, "dimensions": dimensions, "out": str(out)}, as_json)


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
    finish(done.to_json(), as_json)


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
    config: Annotated[Path | None, typer.Option(help="YAML with a section 'search'; one of a run will do.")] = None,
    toys: Annotated[int | None, typer.Option(min=1, help="Number of toys; overrides the configuration.")] = None,
    ratio: Annotated[
        Path | None,
        typer.Option(
            help="What nuisance parameters do to the events, to be profiled: an .npz with arrays reference_linear "
            "(n, k), data_linear, pool_linear and perhaps *_quadratic (n, k, k), names, limits; or a saved ratio."
        ),
    ] = None,
    auxiliary: Annotated[
        str | None,
        typer.Option(metavar="NAME=VALUE,...", help="Auxiliary measurements of nuisance parameters; default: 0."),
    ] = None,
    accept_failed_closure: Annotated[
        bool, typer.Option("--accept-failed-closure", help="Use a ratio whose closure test failed.")
    ] = False,
    seed: SeedOption = None,
    workers: ThreadsOption = None,
    cluster: ThreadsClusterOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run the kernel test on arrays."""
    from unseen.commands import search_arrays
    from unseen.report import nuisances, verdict

    if cluster is None:
        use_threads(workers)
    measured = None if auxiliary is None else named_values(auxiliary, "--auxiliary")
    result = search_arrays(
        reference,
        data,
        out,
        pool,
        expected,
        config,
        toys,
        seed or 0,
        quiet,
        cluster,
        workers,
        ratio,
        measured,
        accept_failed_closure,
    )
    if not quiet and not as_json:
        typer.echo("\n".join(line for line in (verdict(result, "reference"), nuisances(result)) if line))
    keys = ("p_value", "z", "z_interval", "p_resolution", "converged", "n_reference", "n_data")
    profiled = {key: result[key] for key in ("nu_hat", "nu_error") if result[key] is not None}
    finish({key: result[key] for key in keys} | profiled | {"out": str(out)}, as_json)


COMMANDS = {
    "embed": Command(
        embed, "Embed events with a trained model.\n\nExample: unseen embed runs/x/train events.h5 -o z.npz"
    ),
    "export": Command(
        export,
        "Write a trained model as an ONNX graph, and check that it gives the numbers of the model.\n\n"
        "Inputs: objects (n, slots, features) in physical units, present (n, slots). Output: z (n, d).\n\n"
        "Example: unseen export runs/x/train -o model.onnx",
    ),
    "search": Command(
        search,
        "Test whether data agree with a reference: arrays x (n, d), optional weights, in .npz files.\n\n"
        "Example: unseen search --reference R.npz --data D.npz --pool P.npz --expected 500 -o result.json\n\n"
        "Toys on a cluster: unseen search ... --cluster slurm --workers 100\n\n"
        "With nuisance parameters: unseen search ... --ratio Q.npz --auxiliary jet-scale=0.5",
    ),
}
