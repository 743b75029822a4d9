"""`train`: from labelled simulation to a model folder, or to one of several models, resumable to the same bits."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unseen.embed.ensemble import ENSEMBLE, Ensemble, Member, load_finished, plan_members
from unseen.embed.fingerprint import fingerprint_of
from unseen.embed.folds import check_folds, fold_of, identity_of
from unseen.embed.labels import Labelling, encode, population_table
from unseen.embed.launch import plan_launch
from unseen.embed.mapped import mapped_events
from unseen.embed.member import FILES, Work, finished, train_member
from unseen.embed.model import Model
from unseen.embed.partners import partner_share, require_source
from unseen.embed.populated import check_classes, check_populated
from unseen.embed.progress import ProgressCallback, reporter
from unseen.embed.settings import TrainingConfig
from unseen.events import Events, Sample
from unseen.seeds import small_seed

__all__ = ["labelling_of", "train"]

MEMBER_NAME = re.compile(r"(fold-\d+)?-?(seed-\d+)?")


def train(
    events: Events | Sample,
    config: TrainingConfig,
    out: str | Path,
    seed: int,
    progress: bool | ProgressCallback = False,
    say: Callable[[str], None] | None = None,
) -> Model | Ensemble:
    """Train an embedding on simulated events and write it to the folder `out`; several with `folds` or `ensemble`.

    A Sample is memory-mapped, not read. Everything is learned from these events: normalisation and weights from all but
    the validation share (and the fold that a member leaves out). Equal events, settings, seed and thread count give
    equal bits, also when a killed training is started again: it continues after the last whole epoch of the member that
    was at work. A finished training is opened, not repeated; one of other events, settings or seed in `out` is
    replaced. `progress`: True for a bar, or a function of (epochs done, epochs, losses). `say` gets the table of the
    classes before the first epoch; `classes.json` has it in full.
    With several devices that this process starts itself, a script needs the guard `if __name__ == "__main__":`.
    Errors: NotEnoughEventsError (also for a class that a model would not see), NegativeWeightError, WeightError,
    NonFiniteError (diverged; the batch is in `out`), ConfigError (no such device), CorruptFileError (checkpoint),
    DiskSpaceError, SchemaError (the view `resimulate` on events of unknown source).
    """
    if config.n_partners:
        require_source(events)
    out = Path(out)
    launch = plan_launch(config.devices, config.nodes)
    fingerprint = fingerprint_of(events, config, seed)
    done = load_finished(out, fingerprint) if config.several else finished(out, fingerprint)
    if done is not None:
        return done
    plan = plan_members(config.folds, config.ensemble) if config.several else ()
    if launch.writes:
        _clear(out, plan)
    with mapped_events(events, out, launch.rank) as mapped, reporter(progress) as report:
        labelling = labelling_of(mapped, config)
        partners = partners_said(mapped, config)
        if say is not None:
            say("\n".join([population_table(labelling), *partners]))
        work = Work(mapped, labelling, config.alone(), launch)
        if not config.several:
            rows = np.arange(len(mapped))
            check_populated(mapped, labelling, config, rows, seed)
            return train_member(work, rows, out, seed, fingerprint, report)
        return _train_members(work, plan, config, out, seed, fingerprint, report)


def _train_members(
    work: Work,
    plan: tuple[Member, ...],
    config: TrainingConfig,
    out: Path,
    seed: int,
    fingerprint: str,
    report: ProgressCallback | None,
) -> Ensemble:
    identity = identity_of(work.events)
    fold = np.zeros(len(work.events), dtype=np.int64)
    if config.folds is not None:
        fold = fold_of(work.events, config.folds, seed, identity)
        check_folds(fold, config.folds)
    seeds = {member.name: small_seed(seed, "train", "member", member.name) for member in plan}

    def rows(member: Member) -> NDArray[np.int64]:
        return np.flatnonzero(fold != member.fold) if member.fold is not None else np.arange(len(fold))

    for member in plan:
        check_populated(work.events, work.labelling, config, rows(member), seeds[member.name], member)
    members = {}
    for number, member in enumerate(plan):
        members[member.name] = train_member(
            work,
            rows(member),
            out / member.name,
            seeds[member.name],
            f"{fingerprint}/{member.name}",
            _overall(report, number, len(plan)),
        )
    ensemble = Ensemble(members, plan, config.folds, seed, identity, {"fingerprint": fingerprint})
    if work.launch.writes:
        ensemble.save(out)
    return ensemble


def labelling_of(events: Events, config: TrainingConfig) -> Labelling:
    """The classes of the events. Errors: NotEnoughEventsError (fewer than the objective needs, or an empty one)."""
    labelling = encode(events, config.labels)
    check_classes(config, labelling.names, len(events))
    return labelling


def partners_said(events: Events, config: TrainingConfig) -> list[str]:
    """Lines about the re-simulated partners; none without them. Errors: SchemaError, NotEnoughEventsError."""
    if not config.n_partners:
        return []
    share = partner_share(events)
    alone = "; the others are their own partner" if share < 1 else ""
    return [f"{share:.2%} of the training events have a re-simulated partner{alone}"]


def _overall(report: ProgressCallback | None, number: int, members: int) -> ProgressCallback | None:
    """Progress of one member as that of all of them."""
    if report is None:
        return None

    def overall(done: int, total: int, values: Mapping[str, float]) -> None:
        report(number * total + done, members * total, values)

    return overall


def _clear(out: Path, plan: tuple[Member, ...]) -> None:
    """Remove what another training left in `out`, but nothing that this one can continue from."""
    keep = {member.name for member in plan}
    for name in (*FILES, ENSEMBLE):
        (out / name).unlink(missing_ok=True)
    for folder in out.glob("*-*"):
        if folder.is_dir() and MEMBER_NAME.fullmatch(folder.name) and folder.name not in keep:
            shutil.rmtree(folder)
