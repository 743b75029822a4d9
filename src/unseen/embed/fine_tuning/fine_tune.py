"""`fine_tune`: stage B. An embedding that covaries with nuisance parameters, and the ratio of rates in it."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from unseen.embed.diagnosis import DIAGNOSIS
from unseen.embed.ensemble import Ensemble
from unseen.embed.fine_tuning.checks import check_fine_tuning, check_partners, one_model
from unseen.embed.fine_tuning.expand import PairedExpansion
from unseen.embed.fine_tuning.fingerprint import fine_tuning_fingerprint
from unseen.embed.fine_tuning.heads import HeadProblem
from unseen.embed.fine_tuning.objective import CONTRASTIVE, DISTILLATION, StageB
from unseen.embed.fine_tuning.paired import pair_events
from unseen.embed.fine_tuning.proposal import Proposal
from unseen.embed.fine_tuning.ratio import source_of
from unseen.embed.fine_tuning.refit import head_problem, refit_head
from unseen.embed.fine_tuning.result import FILES, FineTuned, finished
from unseen.embed.fine_tuning.sample import BLOCK, Prepared, prepare
from unseen.embed.fine_tuning.settings import FineTuneConfig
from unseen.embed.fine_tuning.terms import METHODS, TermProblem
from unseen.embed.launch import plan_launch
from unseen.embed.member import own_random_numbers, provenance_of
from unseen.embed.model import Model
from unseen.embed.objectives import Problem
from unseen.embed.progress import ProgressCallback, reporter
from unseen.embed.settings import TrainingConfig
from unseen.events import Events
from unseen.seeds import generator, small_seed
from unseen.systematics import DensityRatio, NuisanceSet
from unseen.systematics.selecting import select_tensors

__all__ = ["fine_tune"]

CHECKPOINT = "last.ckpt"
NODE_EVENTS = 4096  # on which the loss of a projection is measured


@dataclass(frozen=True)
class _Work:
    """What the steps of one fine-tuning share."""

    model: Model
    events: Events
    nuisances: NuisanceSet
    config: FineTuneConfig
    training: TrainingConfig
    sample: Prepared
    proposal: Proposal
    seed: int

    @property
    def device(self) -> str:
        return "cuda" if self.config.device != "cpu" and torch.cuda.is_available() else "cpu"


def fine_tune(
    model: Model | Ensemble,
    events: Events,
    nuisances: NuisanceSet,
    config: FineTuneConfig,
    out: str | Path,
    seed: int,
    progress: bool | ProgressCallback = False,
) -> FineTuned:
    """Fine-tune a trained embedding on stored, nominal events, fit the ratio r(z; nu) in it, write both to `out`.

    `events` are those before the selection, of the model's schema, with the weights of their rates. The loss is that
    of the model's own training on nominal selected events, plus alpha times the systematic term, plus beta times the
    distance to the embedding before; the model that is given does not change. Equal arguments give equal bits on one
    machine; a killed fine-tuning continues after its last whole epoch; a finished one is opened. `history` has the
    losses of every epoch by term, and the closure on held-out events and values of nu.
    Errors: ConfigError (an ensemble: fine-tune its members), SchemaError (another schema, or events of unknown source
    for a model whose views are of re-simulated partners), NuisanceError (one that does
    nothing), NuisanceRangeError, SelectionError (events were selected before), NegativeWeightError,
    NotEnoughEventsError, NonFiniteError (diverged), CorruptFileError (checkpoint), DiskSpaceError.
    """
    out = Path(out)
    model = one_model(model)
    training = config.training(model.config)
    check_fine_tuning(model, events, nuisances, config)
    check_partners(events, training)
    fingerprint = fine_tuning_fingerprint(model, events, nuisances, config, seed)
    done = finished(out, fingerprint)
    if done is not None:
        return done
    for name in FILES:
        (out / name).unlink(missing_ok=True)
    own = small_seed(seed, "fine-tune")
    sample = prepare(events, nuisances, training, own)
    work = _Work(
        model, events, nuisances, config, training, sample, Proposal(nuisances, config.width, config.axes), own
    )
    with reporter(progress) as report, own_random_numbers(small_seed(own, "initial")):
        tuned, history = _trained(work, out, fingerprint, report)
        result = FineTuned(tuned, _ratio(work, tuned), history)
    result.save(out, config)
    for name in (CHECKPOINT, DIAGNOSIS):
        (out / name).unlink(missing_ok=True)
    return result


def _trained(
    work: _Work, out: Path, fingerprint: str, report: ProgressCallback | None
) -> tuple[Model, list[dict[str, float | int | None]]]:
    """The fine-tuned model and the history."""
    # Importing Lightning takes seconds; only training needs it.
    from unseen.embed.bookkeeping import Bookkeeping
    from unseen.embed.fine_tuning.module import FineTuneModule
    from unseen.embed.fit import fit_network

    model, sample = work.model, work.sample
    network = copy.deepcopy(model.network).cpu().train()
    views = work.training.expansion(work.events.schema, model.normalisation)
    problem = Problem(
        model.dim,
        len(sample.labelling.names),
        views.n_parameters,
        work.events.schema,
        model.normalisation,
        views.n_families,
    )
    objective = _objective(work, problem)
    objective.attach(network)
    names = work.events.label_names
    expand = PairedExpansion(views, work.nuisances, work.proposal, work.events.schema, names, sample.side)
    book = Bookkeeping(work.training, work.seed, fingerprint, out / CHECKPOINT, report)
    fit, held = sample.sides
    fit_network(network, objective, expand, fit, held, book, plan_launch(1, 1), FineTuneModule)
    provenance = {
        **provenance_of(fingerprint, len(fit), len(held), book.epoch),
        "fine_tuned": {"from": model.provenance.get("fingerprint"), "nuisances": list(work.nuisances.names)},
    }
    tuned = Model(
        network.cpu().eval(),
        model.config,
        model.schema,
        model.normalisation,
        model.label_names,
        work.seed,
        provenance,
        model.scaling,
    )
    return tuned, book.history


def _objective(work: _Work, problem: Problem) -> StageB:
    z = torch.from_numpy(_embedding(work, work.model))
    head = _head_problem(work, z)
    config = work.config
    weights = {CONTRASTIVE: 1.0, config.method: config.weight, DISTILLATION: config.beta}
    return StageB(
        work.training.objective.build(problem),
        METHODS[config.method](TermProblem(problem, config.head, head)),
        head,
        weights,
        config.head_epochs,
        z if config.beta else None,
    )


def _head_problem(work: _Work, z: torch.Tensor) -> HeadProblem:
    rows = work.sample.fit[work.sample.passes[work.sample.fit]]
    return head_problem(z[torch.from_numpy(rows)], work.proposal.scale, len(work.events.label_names))


def _embedding(work: _Work, model: Model) -> NDArray[np.float32]:
    """z (n, d) of all events without the objects that fail their cut, whether they pass or not."""
    blocks = []
    for i in range(0, len(work.events), BLOCK):
        part = work.events[i : i + BLOCK]
        seen = select_tensors(part.schema, torch.tensor(part.objects), torch.tensor(part.present))
        blocks.append(model.block(seen.objects.numpy(), seen.present.numpy(), work.device))
    return model.joined(blocks)


def _ratio(work: _Work, tuned: Model) -> DensityRatio:
    """Fit the head anew on the finished embedding."""
    sample, refit = work.sample, work.config.refit
    rows = generator(work.seed, "fine-tune", "refit").permutation(sample.fit)[: refit.events]
    fit, held = (
        pair_events(
            tuned,
            work.events,
            np.sort(part),
            sample.relative,
            sample.side,
            work.nuisances,
            work.proposal,
            refit.copies,
            small_seed(work.seed, "refit", name),
            work.device,
        )
        for name, part in (("fit", rows), ("held", sample.held))
    )
    z = fit.z[fit.rate > 0]
    head = work.config.head.build(head_problem(z, work.proposal.scale, len(work.events.label_names)))
    order = torch.Generator().manual_seed(small_seed(work.seed, "refit", "order"))
    found = refit_head(head, fit, held, refit, order)
    source, lost = source_of(head, work.proposal, z[:NODE_EVENTS].double().numpy())
    report = {"kind": source.kind, "head": work.config.head.name, **asdict(found), **lost}
    return DensityRatio(work.nuisances.names, np.array(work.proposal.limits), source, None, report)
