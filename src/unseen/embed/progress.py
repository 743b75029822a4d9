"""A progress bar for training."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["ProgressCallback", "reporter"]

# Called after every epoch with (epochs done, epochs planned, {"train_loss", "val_loss", "learning_rate"}).
ProgressCallback = Callable[[int, int, Mapping[str, float]], None]


@contextlib.contextmanager
def reporter(progress: bool | ProgressCallback) -> Iterator[ProgressCallback | None]:
    """A bar on stderr for True, nothing for False, else the caller's own function."""
    if not isinstance(progress, bool):
        yield progress
        return
    if not progress:
        yield None
        return
    columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=None)

        def report(done: int, total: int, values: Mapping[str, float]) -> None:
            text = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
            bar.update(task, completed=done, total=total, description=text)

        yield report
