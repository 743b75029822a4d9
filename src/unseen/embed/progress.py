"""A progress bar for training."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.queues import SimpleQueue

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["ProgressCallback", "relayed", "reporter"]

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


Message = tuple[int, int, dict[str, float]]


@dataclass(frozen=True)
class Sender:
    """A progress callback that may travel to a spawned process: it writes to a queue."""

    queue: SimpleQueue[Message | None]

    def __call__(self, done: int, total: int, values: Mapping[str, float]) -> None:
        """Send one report."""
        self.queue.put((done, total, dict(values)))


@contextlib.contextmanager
def relayed(progress: ProgressCallback | None) -> Iterator[ProgressCallback | None]:
    """A callback for spawned processes that calls `progress` in this one; what that raises is raised at the end."""
    if progress is None:
        yield None
        return
    queue: SimpleQueue[Message | None] = get_context("spawn").SimpleQueue()
    raised: list[BaseException] = []

    def listen() -> None:
        while (message := queue.get()) is not None:
            try:
                progress(*message)
            except BaseException as error:
                raised.append(error)

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield Sender(queue)
    finally:
        queue.put(None)
        thread.join()
        queue.close()
    if raised:
        raise raised[0]
