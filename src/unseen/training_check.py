"""Whether the training of a run can work on its events, from configuration and schema alone: before they are made."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from unseen.config import Config
from unseen.embed import TrainingConfig
from unseen.embed.rehearsal import rehearse
from unseen.errors import NotEnoughEventsError, UnknownNameError, UnseenError
from unseen.events import Schema
from unseen.simulate.recorded import recorded

__all__ = ["check_settings", "check_training"]

SOURCE = " (pools.train and pools.train_mixture, or else pools.mixture, decide what is trained on)"


def check_training(config: Config, counts: Mapping[str, int]) -> None:
    """Refuse labels, views and inputs of a run that its events cannot serve; `counts`: training events of every label.

    Errors: those of `rehearse`.
    """
    record = recorded(config.simulate) if config.simulate is not None else None
    check_settings(config.train, Schema.load(config.schema_), counts, record, "train")


def check_settings(
    config: TrainingConfig, schema: Schema, counts: Mapping[str, int], record: Collection[str] | None, origin: str
) -> None:
    """`rehearse` with errors that say where the settings are from, and what decides the training events."""
    with _from(origin):
        rehearse(config, schema, counts, record)


@contextmanager
def _from(origin: str) -> Iterator[None]:
    try:
        yield
    except UnseenError as error:
        what = SOURCE if isinstance(error, UnknownNameError | NotEnoughEventsError) else ""
        raise type(error)(f"{origin}: {error}{what}") from error
