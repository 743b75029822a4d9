"""The command `finetune`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unseen.cli.options import Command, JsonOption, QuietOption, SeedOption, ThreadsOption, finish, use_threads

__all__ = ["COMMANDS"]


def finetune(
    model: Annotated[Path, typer.Argument(help="Folder of a trained model.")],
    events: Annotated[list[str], typer.Option(help="FILE or NAME=FILE of stored events; may be given again.")],
    systematics: Annotated[
        Path, typer.Option(help="YAML: 'nuisances', a table, and 'fine_tune', settings.", metavar="YAML")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")],
    mixture: Annotated[
        str | None,
        typer.Option(help="Shares of the selected events, w=0.6,qcd=0.4, or adc2021; default: weights as they are."),
    ] = None,
    seed: SeedOption = None,
    workers: ThreadsOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Fine-tune a model."""
    from unseen.finetuning import FIGURE, finetune_files
    from unseen.probing import mixture_of

    use_threads(workers)
    shown = not quiet
    _, summary = finetune_files(model, events, systematics, out, mixture_of(mixture), seed or 0, shown)
    if not quiet and not as_json:
        typer.echo(
            f"{out}: ratio of {', '.join(summary['nuisances'])}; mean squared pull of held-out events "
            f"{summary['shift']:.3g} without it, {summary['closure']:.3g} with it (1: closed)\n"
            f"figure: {out / FIGURE}"
        )
    finish(summary, as_json)


COMMANDS = {
    "finetune": Command(
        finetune,
        "Fine-tune a trained model so that its embedding covaries with nuisance parameters, and learn the ratio "
        "r(z; nu) that a profiled search takes.\n\n"
        "Events are those before the selection. A killed fine-tuning continues with the same command.\n\n"
        "Example: unseen finetune runs/x/train --events w.h5 --events qcd.h5 --mixture w=0.7,qcd=0.3 "
        "--systematics systematics.yaml -o runs/x/tuned",
    ),
}
